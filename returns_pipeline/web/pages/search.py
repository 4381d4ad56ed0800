"""The page of the search box: the photos that a text finds."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.search import Place
from returns_pipeline.store import browsing, search_words
from returns_pipeline.store.browsing import Order
from returns_pipeline.usecases import image_lists, search
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.image_lists import MOST_SORTED
from returns_pipeline.web.dependencies import Web
from returns_pipeline.web.pages import labelling
from returns_pipeline.web.pages.page import Person, root_of, show
from returns_pipeline.web.queries.lists import SEARCH, ImageList, ListOfAddress
from returns_pipeline.web.queries.lookups import IMAGE_ID_END

router = APIRouter()

_IMAGES = 60
_Id = Annotated[int | None, Query(ge=0, lt=IMAGE_ID_END)]


class _At(NamedTuple):
    """Where a page is: after or before a photo, or in a sorted list its number, from 1."""

    after: int | None
    before: int | None
    page: int

    @property
    def place(self) -> Place | None:
        if self.after is not None:
            return Place(self.after)
        return None if self.before is None else Place(self.before, backwards=True)


class _Shown(NamedTuple):
    """A page of photos; the parameters of the pages around it; the total, and whether there are more."""

    images: Sequence[ImageResult]
    total: tuple[int, bool]
    previous: dict[str, int] | None
    next: dict[str, int] | None
    meanings: Sequence[tuple[str, str]]
    is_too_long: bool = False


@router.get("/search")
def show_search(
    request: Request,
    web: Web,
    person: Person,
    in_list: ListOfAddress,
    after: _Id = None,
    before: _Id = None,
    page: Annotated[int, Query(ge=1, le=MOST_SORTED)] = 1,
) -> HTMLResponse:
    """Show a page of the photos that a text finds: those after a photo, or those before it."""
    in_list, at = _of_search(in_list), _At(after, before, page)
    query = in_list.query(None)
    shown = None if query.is_everything else _find(web.context, in_list, at)
    images = shown.images if shown else []
    return show(
        request,
        "search.html",
        q=in_list.q,
        is_searched=shown is not None,
        meanings=shown.meanings if shown else (),
        images=[labelling.tile(image) for image in images],
        in_list=in_list.address(),
        labels=search_words.labels(web.context.db),
        wanted=query.also,
        order="" if in_list.by is Order.ID else in_list.by.value,
        is_too_long=shown.is_too_long if shown else False,
        most_sorted=MOST_SORTED,
        total=shown.total if shown else (0, False),
        count_address=f"/api/v1/images/count{in_list.filter_address()}",
        export=f"/api/v1/images/export{_export_query(in_list)}",
        label_action=f"/search/label{_address(in_list, at)}",
        previous=_link(request, in_list, shown.previous) if shown else None,
        next=_link(request, in_list, shown.next) if shown else None,
        **labelling.values_of_form(request, web, person, images),
    )


@router.post("/search/label", response_model=None)
async def label(
    request: Request,
    web: Web,
    person: Person,
    in_list: ListOfAddress,
    after: _Id = None,
    before: _Id = None,
    page: Annotated[int, Query(ge=1, le=MOST_SORTED)] = 1,
) -> Response:
    """Give photos one category, or take back the last action; then show the same page again."""
    in_list = _of_search(in_list)
    at = _address(in_list, _At(after, before, page))
    query = in_list.query(None)
    return await labelling.answer(request, web, person, query, f"/search/label{at}", f"/search{at}")


def _of_search(in_list: ImageList) -> ImageList:
    """Return the list of a search. An unknown state filters nothing."""
    wanted = in_list.filter(None)
    return ImageList(
        wanted.state or "",
        in_list.label.replace("\0", ""),
        order=in_list.by.value,
        q=in_list.q.replace("\0", "").strip()[: search.MOST_CHARACTERS],
        within=SEARCH,
    )


def _find(context: Context, in_list: ImageList, at: _At) -> _Shown:
    if not in_list.by.is_of_ids:
        found = _sorted(context, in_list, at)
        if found is not None:
            return found
    meaning, page = search.find_images(
        context.db,
        context.settings,
        in_list.q,
        _IMAGES,
        also=in_list.filter(None),
        oldest_first=in_list.by is Order.OLDEST,
        place=at.place,
    )
    return _Shown(
        page.images,
        (page.total, page.has_more),
        {"before": page.previous.after} if page.previous else None,
        {"after": page.next.after} if page.next else None,
        meaning.meanings,
        is_too_long=not in_list.by.is_of_ids,
    )


def _sorted(context: Context, in_list: ImageList, at: _At) -> _Shown | None:
    """Return a page of a list that is sorted by name or probability; None if it is too long for that."""
    db, settings = context.db, context.settings
    ids = image_lists.sorted_ids(db, settings, in_list.query(None), in_list.by)
    if ids is None:
        return None
    start = (at.page - 1) * _IMAGES
    return _Shown(
        browsing.listed(db, ids[start : start + _IMAGES]),
        (len(ids), False),
        {"page": at.page - 1} if at.page > 1 else None,
        {"page": at.page + 1} if start + _IMAGES < len(ids) else None,
        search.understood(db, settings, in_list.q).meanings,
    )


def _address(in_list: ImageList, at: _At) -> str:
    """Return the query of a page's address."""
    kept = {
        name: str(value) for name, value in (("after", at.after), ("before", at.before)) if value is not None
    }
    if at.page > 1:
        kept["page"] = str(at.page)
    return in_list._replace(within="").address(**kept)


def _link(request: Request, in_list: ImageList, to: dict[str, int] | None) -> str | None:
    if to is None:
        return None
    query = in_list._replace(within="").address(**{name: str(value) for name, value in to.items()})
    return f"{root_of(request)}/search{query}"


def _export_query(in_list: ImageList) -> str:
    return in_list.filter_address(**({"oldest_first": "1"} if in_list.by is Order.OLDEST else {}))
