"""The page of the search box: the photos that a text finds."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.records.search import Place
from returns_pipeline.report.columns import Output, as_dict
from returns_pipeline.store import search_words
from returns_pipeline.usecases import search
from returns_pipeline.web.dependencies import Pipeline
from returns_pipeline.web.pages.page import Person, root_of, show
from returns_pipeline.web.queries.lookups import IMAGE_ID_END

router = APIRouter()

_IMAGES = 60
_Id = Annotated[int | None, Query(ge=0, lt=IMAGE_ID_END)]


@router.get("/search")
def show_search(
    request: Request,
    context: Pipeline,
    _: Person,
    q: Annotated[str, Query(max_length=2000)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    order: Annotated[str, Query(max_length=10)] = "",
    after: _Id = None,
    before: _Id = None,
) -> HTMLResponse:
    """Show a page of the photos that a text finds: those after a photo, or those before it."""
    q = q.replace("\0", "").strip()
    label = label.replace("\0", "")
    also = Filter(state=ImageState(state) if state in ImageState.written() else None, label=label or None)
    place = (
        Place(after) if after is not None else Place(before, backwards=True) if before is not None else None
    )
    oldest = order == "oldest"
    kept = {"q": q, "state": also.state, "label": label, "order": "oldest" if oldest else ""}
    meaning, found = None, None
    if q or also != Filter():
        meaning, found = search.find_images(
            context.db, context.settings, q, _IMAGES, also=also, oldest_first=oldest, place=place
        )

    def link(name: str, to: Place | None) -> str | None:
        query = {name: value for name, value in kept.items() if value}
        return f"{root_of(request)}/search?{urlencode(query | {name: to.after})}" if to else None

    return show(
        request,
        "search.html",
        q=q,
        meanings=meaning.meanings if meaning else (),
        found=found,
        images=[as_dict(Output.REST, image) for image in found.images] if found else [],
        labels=search_words.labels(context.db),
        wanted=also,
        oldest=oldest,
        previous=link("before", found.previous) if found else None,
        next=link("after", found.next) if found else None,
    )
