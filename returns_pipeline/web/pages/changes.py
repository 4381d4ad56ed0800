"""What of a night is unlike the nights before it, with some photos that show it."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from returns_pipeline.errors import NotFoundError
from returns_pipeline.quality.drift import LEAST_NIGHTS
from returns_pipeline.report import words
from returns_pipeline.store import browsing, run_mixes, runs
from returns_pipeline.web.dependencies import Pipeline
from returns_pipeline.web.pages.page import Person, show
from returns_pipeline.web.queries.lookups import RUN_ID_END

router = APIRouter()


@router.get("/nights/{run_id}")
def show_changes(
    request: Request, context: Pipeline, _: Person, run_id: Annotated[int, Path(ge=1, lt=RUN_ID_END)]
) -> HTMLResponse:
    """Show what has changed in a night."""
    db = context.db
    run = runs.find(db, run_id)
    if run is None:
        raise NotFoundError("There is no run {run}.", run=run_id)
    found = [
        (
            words.change(each.property, each.bin, each.share, each.usual),
            browsing.listed(db, each.examples),
        )
        for each in run_mixes.changes(db, run_id)
    ]
    return show(request, "changes.html", run=run, changes=found, least_nights=LEAST_NIGHTS)
