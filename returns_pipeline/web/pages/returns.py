"""Returns: the list of them, and each one with its photos, its verdict and its decision."""

from typing import Annotated
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.recommendations import RECOMMENDED, RecommendationKind
from returns_pipeline.records.return_lists import ReturnPlace
from returns_pipeline.records.returns import Return, ReturnDecision, return_number
from returns_pipeline.records.text import printable
from returns_pipeline.report import return_words
from returns_pipeline.store import (
    match_lists,
    product_images,
    products,
    removed_products,
    return_lists,
    return_photos,
    return_search,
    returns,
)
from returns_pipeline.store import return_decisions as decision_versions
from returns_pipeline.store.return_decisions import MOST_NOTE
from returns_pipeline.usecases import recommendations, return_decisions
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.dependencies import Pipeline, Web
from returns_pipeline.web.pages.open_returns import TO_CHECK
from returns_pipeline.web.pages.page import Person, form_of, redirect, root_of, show, text_of
from returns_pipeline.web.queries import compared_products, likely
from returns_pipeline.web.queries.cursors import pack, unpack
from returns_pipeline.web.queries.likely import Likely
from returns_pipeline.web.queries.recommendations import RecommendedOnPage, on_page
from returns_pipeline.web.queries.return_lists import (
    DECISIONS,
    VERDICTS,
    ListOfPage,
    ReturnList,
    place_of,
    values_of,
)
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()

#: Returns of one page.
_RETURNS = 50
_Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/returns")
def list_returns(
    request: Request,
    context: Pipeline,
    person: Person,
    listed: ListOfPage,
    after: _Cursor = None,
    before: _Cursor = None,
) -> HTMLResponse:
    """Show a page of returns: those behind a place, or those before one."""
    return _list(request, context, person, listed, after, before)


def _list(
    request: Request,
    context: Context,
    person: Principal,
    listed: ReturnList,
    after: str | None,
    before: str | None,
) -> HTMLResponse:
    db, wanted = context.db, listed.filter
    chosen = return_lists.resolved(db, wanted)
    place = place_of(unpack(before or after))
    found = return_lists.page(db, chosen, listed.by, place, _RETURNS, backwards=bool(before))
    refused = request.query_params.get("refused", "")
    total = return_lists.count(db, chosen)
    return show(
        request,
        "returns.html",
        q="",
        listed=listed,
        wanted=wanted,
        returns=found.returns,
        versions=return_lists.decision_versions(db, [each.item.id for each in found.returns]),
        total=return_words.counted(*total),
        is_truncated=len(chosen.ids or ()) >= return_search.MOST_FOUND,
        most_compared=return_search.MOST_COMPARED if wanted.q and return_search.is_partial(db) else None,
        is_empty=not found.returns and listed.is_everything and place is None,
        verdicts=VERDICTS,
        decisions=DECISIONS,
        may_decide=person.role.rank >= Role.REVIEWER.rank,
        most_note=MOST_NOTE,
        in_list=listed.address(),
        most_found=return_search.MOST_FOUND,
        export=f"/api/v1/returns/export{listed.address()}",
        decided=_number(request, "decided"),
        refused=[each for each in refused.split("\n") if each][:10],
        previous=_address(request, listed, "before", found.previous),
        next=_address(request, listed, "after", found.next),
        one_by_one=TO_CHECK.address(),
    )


def _address(request: Request, listed: ReturnList, name: str, place: ReturnPlace | None) -> str | None:
    """Return the address of the page of a list that is `before` or `after` a place; None without a place."""
    packed = pack(values_of(place))
    return f"{root_of(request)}/returns{listed.address(**{name: packed})}" if packed else None


@router.post("/returns", response_model=None)
async def decide_many(request: Request, context: Pipeline, person: Person, listed: ListOfPage) -> Response:
    """Store one decision for the marked returns; then show the list again."""
    form = await form_of(request, person, Role.REVIEWER, _RETURNS + 10)
    done = await run_in_threadpool(_decide_marked, context, person, form)
    return redirect(request, f"/returns{listed.address(**done)}")


def _decide_marked(context: Context, person: Principal, form: FormData) -> dict[str, str]:
    marked = [each for each in form.getlist("marked") if isinstance(each, str)][:_RETURNS]
    if not marked:
        raise RefusedError("No return is marked.", "Mark returns first.")
    done, refused = 0, []
    for each in marked:
        seen, _, number = each.partition(" ")
        try:
            _decide(context, person, _existing(context, number).number, form, seen)
            done += 1
        except (ConflictError, NotFoundError):
            refused.append(number)
    return {"decided": str(done), "refused": "\n".join(refused)[:1000]}


@router.get("/returns/{number:path}")
async def show_return(
    request: Request,
    web: Web,
    person: Person,
    number: str,
    listed: ListOfPage,
    products: Annotated[bool, Query()] = False,
) -> HTMLResponse:
    """Show one return; with `products` also which ones look like its photos."""
    context = web.context
    item = await run_in_threadpool(_existing, context, number)
    found = None
    if products:
        photos = await run_in_threadpool(return_photos.of_return, context.db, item.id)
        found = await likely.of_images(web.looks, [each.image for each in photos])
    return await run_in_threadpool(_show, request, web, person, item, listed, found)


@router.post("/returns/{number:path}", response_model=None)
async def decide(request: Request, web: Web, person: Person, number: str, listed: ListOfPage) -> Response:
    """Store a person's decision; then show the next return of the list, or this one if it has no list."""
    context = web.context
    form = await form_of(request, person, Role.REVIEWER)
    item = await run_in_threadpool(_existing, context, number)
    following = None
    if not listed.is_everything:
        around = await run_in_threadpool(return_lists.around, context.db, listed.filter, listed.by, item)
        following = around[1]
    try:
        await run_in_threadpool(_decide, context, person, item.number, form, text_of(form, "seen", 20))
    except ConflictError as fault:
        item = await run_in_threadpool(_existing, context, number)
        return await run_in_threadpool(_show, request, web, person, item, listed, None, fault.shown_message)
    if listed.is_everything:
        return redirect(request, f"{path_of(number)}?{urlencode({'decided': number})}")
    here = path_of(following) if following else "/returns"
    return redirect(request, f"{here}{listed.address(decided=number if following else '1')}")


def path_of(number: str) -> str:
    """Return the path of the page of a return."""
    return f"/returns/{quote(number, safe='')}"


def _show(
    request: Request,
    web: Resources,
    person: Principal,
    item: Return,
    listed: ReturnList,
    found: Likely | None = None,
    fault: str = "",
) -> HTMLResponse:
    context, db = web.context, web.context.db
    before, after = return_lists.around(db, listed.filter, listed.by, item)
    in_list = listed.address()
    verdict = return_words.verdict_of(item)
    decided = request.query_params.get("decided", "")[:100]
    photos = return_photos.of_return(db, item.id)
    can_compare = any(likely.can_be_compared(each.image) for each in photos) and not products.is_empty(db)
    return show(
        request,
        "return.html",
        409 if fault else 200,
        fault=fault,
        item=item,
        seen=decision_versions.version(db, item.id),
        verdict=verdict,
        why=return_words.sentences(item),
        days=return_photos.days_of(db, item.id, ZoneInfo(context.settings.timezone)),
        photos=photos,
        likely=found,
        can_compare=can_compare,
        products_address=f"{path_of(item.number)}{listed.address(products='1')}#products",
        compared=compared_products.of_return(db, verdict, photos),
        matches=match_lists.of_return(db, item.id),
        product=(product := products.find(db, item.product) if item.product else None),
        removed_product=removed_products.find(db, item.product) if item.product and not product else None,
        product_pictures=product_images.of_products(db, [product.id])[product.id] if product else [],
        history=returns.history(db, item.id),
        recommended=_recommended(web, item),
        may_decide=person.role.rank >= Role.REVIEWER.rank,
        most_note=MOST_NOTE,
        decisions=ReturnDecision.written(),
        decided=decided if decided and returns.find(db, decided) else "",
        in_list=in_list,
        action=f"{path_of(item.number)}{in_list}",
        previous=f"{path_of(before)}{in_list}" if before else None,
        next=f"{path_of(after)}{in_list}" if after else None,
    )


def _recommended(web: Resources, item: Return) -> RecommendedOnPage:
    db, kind = web.context.db, RecommendationKind.SUBSTITUTES
    return on_page(db, recommendations.for_return(web.looks.search, db, item, kind, RECOMMENDED))


def _existing(context: Context, number: str) -> Return:
    wanted = return_number(number)
    item = returns.find(context.db, wanted) if wanted else None
    if item is None:
        raise NotFoundError("There is no return {number}.", number=printable(number)[:100])
    return item


def _decide(context: Context, person: Principal, number: str, form: FormData, seen: str) -> None:
    """Store a decision. Raises ConflictError if another person has decided since `seen`, a version."""
    version = int(seen) if seen.isascii() and seen.isdigit() else 0
    note = text_of(form, "note", MOST_NOTE)
    return_decisions.decide(context.db, number, text_of(form, "decision", 20), note, person.name, version)


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
