"""Products that look like a photo of the visitor's own, which is not kept."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from returns_pipeline.errors import PipelineError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.catalogue import ProductFilter
from returns_pipeline.records.embedding import PhotoLook
from returns_pipeline.store import photo_looks, products
from returns_pipeline.usecases.likely_products import NothingEmbeddedError, active_space
from returns_pipeline.web.dependencies import Images, Web
from returns_pipeline.web.pages.page import Person, form_of, redirect, show
from returns_pipeline.web.queries import likely
from returns_pipeline.web.queries.likely import SHOWN, Likely
from returns_pipeline.web.queries.lookups import IMAGE_ID_END
from returns_pipeline.web.resources import Resources

router = APIRouter()

#: Categories and brands that the form proposes.
_MOST_PROPOSED = 500
_MOST_PRICE = 10**12


class _Wanted(NamedTuple):
    """The filter as it was typed."""

    category: str
    brand: str
    lowest: str
    highest: str
    available: bool

    def filter(self) -> ProductFilter:
        """Return what the products must be; a price that is no number counts as none."""
        prices = _price(self.lowest), _price(self.highest)
        return ProductFilter("", self.category, self.brand, "", *prices, available=self.available)

    def address(self, look_id: int) -> str:
        """Return the page with these filters."""
        kept = {"look": look_id, **self._asdict(), "available": "1" if self.available else ""}
        return f"/lookalikes?{urlencode({name: value for name, value in kept.items() if value})}"


async def _wanted(
    category: Annotated[str, Query(max_length=300)] = "",
    brand: Annotated[str, Query(max_length=100)] = "",
    lowest: Annotated[str, Query(max_length=20)] = "",
    highest: Annotated[str, Query(max_length=20)] = "",
    available: Annotated[str, Query(max_length=4)] = "",
) -> _Wanted:
    category, brand, lowest, highest = (
        each.replace("\0", "").strip() for each in (category, brand, lowest, highest)
    )
    return _Wanted(category, brand, lowest, highest, bool(available))


def _price(text: str) -> Decimal | None:
    try:
        found = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found <= _MOST_PRICE else None


@router.get("/lookalikes")
async def show_found(
    request: Request,
    web: Web,
    _: Person,
    wanted: Annotated[_Wanted, Depends(_wanted)],
    look: Annotated[int, Query(ge=0, lt=IMAGE_ID_END)] = 0,
) -> HTMLResponse:
    """Show the form, and the products that look like a photo that was sent before."""
    if not look:
        return await run_in_threadpool(_page, request, web, wanted, 0, None)
    try:
        sent = await run_in_threadpool(_sent, web, look)
        found = Likely(await likely.like_look(web.looks, sent, SHOWN, wanted.filter()))
    except NothingEmbeddedError:
        found = Likely(is_embedded=False)
    except RefusedError as fault:
        found = Likely(fault=fault.shown)
    return await run_in_threadpool(_page, request, web, wanted, look, found)


@router.post("/lookalikes", response_model=None)
async def find(
    request: Request,
    web: Web,
    bodies: Images,
    person: Person,
    wanted: Annotated[_Wanted, Depends(_wanted)],
) -> Response:
    """Have a worker look at a photo; then show the products that look like it."""
    async with bodies.received(request) as whole:
        file = (await form_of(whole, person, Role.VIEWER)).get("file")
        photo = (file.filename, await file.read()) if isinstance(file, UploadFile) and file.filename else None
    if photo is None:
        return await run_in_threadpool(
            _page, request, web, wanted, 0, Likely(fault=RefusedError("Choose a photo first.").shown)
        )
    try:
        look = await web.looks.of_photo(*photo)
        await likely.like_look(web.looks, look, 1, ProductFilter())
    except NothingEmbeddedError:
        return await run_in_threadpool(_page, request, web, wanted, 0, Likely(is_embedded=False))
    except PipelineError as fault:
        shown = Likely(fault=fault.shown)
        return await run_in_threadpool(_page, request, web, wanted, 0, shown, fault.http_status)
    return redirect(request, wanted.address(look.id))


def _sent(web: Resources, look_id: int) -> PhotoLook:
    db = web.context.db
    found = photo_looks.of_upload(db, look_id, active_space(db).id)
    if found is None:
        raise RefusedError("This photo is not kept any more.", "Choose it again.")
    return found


def _page(
    request: Request, web: Resources, wanted: _Wanted, look_id: int, found: Likely | None, status: int = 200
) -> HTMLResponse:
    db = web.context.db
    return show(
        request,
        "lookalikes.html",
        status,
        wanted=wanted,
        look=look_id,
        likely=found,
        is_empty=products.is_empty(db),
        categories=products.categories(db)[:_MOST_PROPOSED],
        brands=products.brands(db)[:_MOST_PROPOSED],
        again=wanted.address(look_id),
    )
