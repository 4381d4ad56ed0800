"""The pages: rendered here, a form for everything that changes something."""

from fastapi import APIRouter

from returns_pipeline.web.pages import login, models, review, runs, tonight, try_one

router = APIRouter(include_in_schema=False)
for part in (login, tonight, runs, review, try_one, models):
    router.include_router(part.router)
