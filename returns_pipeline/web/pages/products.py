"""Products: the list of them, and each one with its pictures, its attributes and its returns."""

from typing import Annotated, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.records.access import Role
from returns_pipeline.records.catalogue import Product, ProductFilter, ProductState
from returns_pipeline.records.recommendations import RECOMMENDED, RecommendationKind
from returns_pipeline.records.return_lists import ListedReturn
from returns_pipeline.report import product_words
from returns_pipeline.store import product_images, products, return_lists
from returns_pipeline.usecases import catalogue, product_removal, recommendations
from returns_pipeline.web.dependencies import Pipeline, Web
from returns_pipeline.web.pages.page import Person, form_of, redirect, root_of, show
from returns_pipeline.web.queries.cursors import pack, product_cursor
from returns_pipeline.web.queries.recommendations import RecommendedOnPage, on_page
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import require_role

router = APIRouter()

#: Products of one page, and returns on the page of a product.
_PRODUCTS, _RETURNS = 60, 20
#: Categories and brands that the form proposes.
_MOST_PROPOSED = 500
_GRID = "grid"
_Cursor = Annotated[str | None, Query(max_length=200)]


class _Listed(NamedTuple):
    """The filter of a list, and its look: a table or a grid."""

    filter: ProductFilter
    look: str

    def address(self, **others: str | None) -> str:
        """Return the list as the query of an address, with its `?`."""
        kept = {**self.filter._asdict(), "look": self.look, **others}
        query = urlencode({name: value for name, value in kept.items() if value})
        return f"?{query}" if query else ""


async def _listed(
    q: Annotated[str, Query(max_length=200)] = "",
    category: Annotated[str, Query(max_length=300)] = "",
    brand: Annotated[str, Query(max_length=100)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
    look: Annotated[str, Query(max_length=10)] = "",
) -> _Listed:
    q, category, brand = (each.replace("\0", "").strip() for each in (q, category, brand))
    known = state if state in ProductState.written() else ""
    return _Listed(ProductFilter(q, category, brand, known), look if look == _GRID else "")


@router.get("/products")
def list_products(
    request: Request,
    context: Pipeline,
    _: Person,
    listed: Annotated[_Listed, Depends(_listed)],
    after: _Cursor = None,
    before: _Cursor = None,
    removed: Annotated[str, Query(max_length=100)] = "",
) -> HTMLResponse:
    """Show a page of products: those behind a place, or those before one."""
    db, wanted = context.db, listed.filter
    place = product_cursor(before or after)
    found = products.page(db, wanted, place, _PRODUCTS, backwards=bool(before))
    pictures = product_images.of_products(db, [item.id for item in found.products])
    return show(
        request,
        "products.html",
        listed=listed,
        removed=removed,
        wanted=wanted,
        products=[(item, pictures[item.id]) for item in found.products],
        total=product_words.counted(*products.count(db, wanted)),
        is_empty=not found.products and wanted == ProductFilter() and place is None,
        categories=products.categories(db)[:_MOST_PROPOSED],
        brands=products.brands(db)[:_MOST_PROPOSED],
        path_of=path_of,
        previous=_address(request, listed, "before", found.previous),
        next=_address(request, listed, "after", found.next),
    )


def _address(request: Request, listed: _Listed, name: str, place: int | None) -> str | None:
    packed = pack(place)
    return f"{root_of(request)}/products{listed.address(**{name: packed})}" if packed else None


@router.get("/products/{product_id:path}")
def show_product(
    request: Request, web: Web, person: Person, product_id: str, remove: Annotated[bool, Query()] = False
) -> HTMLResponse:
    """Show one product; with `remove`, ask whether it should be removed."""
    context = web.context
    item, pictures = catalogue.existing(context.db, product_id)
    if remove:
        require_role(person, Role.ADMIN)
        return show(request, "remove_product.html", item=item, path=path_of(item.product_id))
    return show(
        request,
        "product.html",
        item=item,
        pictures=pictures,
        trail=_trail(item),
        returns=_returns(context, item),
        recommended=_recommended(web, item),
        removal=f"{path_of(item.product_id)}?remove=1" if person.may(Role.ADMIN) else "",
    )


@router.post("/products/{product_id:path}", response_model=None)
async def remove_product(request: Request, context: Pipeline, person: Person, product_id: str) -> Response:
    """Remove a product for good; then show the list."""
    await form_of(request, person, Role.ADMIN)
    removed = await run_in_threadpool(product_removal.remove_one, context, product_id, person.name)
    return redirect(request, f"/products?{urlencode({'removed': removed})}")


def path_of(product_id: str) -> str:
    """Return the path of the page of a product."""
    return f"/products/{quote(product_id, safe='')}"


def _trail(item: Product) -> list[tuple[str, str]]:
    """Return the levels of the category, each with the path to it."""
    parts = item.category.split("/") if item.category else []
    return [(part, "/".join(parts[: depth + 1])) for depth, part in enumerate(parts)]


def _recommended(web: Resources, item: Product) -> RecommendedOnPage:
    db, kind = web.context.db, RecommendationKind.SUBSTITUTES
    found = recommendations.for_product(web.looks.search, db, item.product_id, kind, RECOMMENDED)
    return on_page(db, found)


def _returns(context: Pipeline, item: Product) -> list[ListedReturn]:
    return list(return_lists.of_product(context.db, item.product_id, _RETURNS))
