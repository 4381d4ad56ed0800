"""The interactive page of the OpenAPI document, with files of this server only."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from returns_pipeline.web.pages.page import show

router = APIRouter(include_in_schema=False)

#: Swagger UI writes inline styles; its scripts are files of this server.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Show Swagger UI."""
    page = show(request, "docs.html")
    page.headers["Content-Security-Policy"] = _POLICY
    return page
