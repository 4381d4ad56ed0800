"""The pages, rendered on the server. Every change is a form with a token against forged requests."""

from importlib import import_module

from fastapi import APIRouter, Depends

from returns_pipeline.web.pages.login import log_in_with_token
from returns_pipeline.web.pages.page import shown_to
from returns_pipeline.web.pages.table import PAGES

# The token in the address that `returns-pipeline up` prints is checked before the session.
router = APIRouter(include_in_schema=False, dependencies=[Depends(log_in_with_token)])
for page in PAGES:
    router.include_router(
        import_module(f"{__name__}.{page.module}").router,
        dependencies=[Depends(shown_to(page.role))] if page.role else [],
    )
