"""Recommendations, and the events of customers that they learn from."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import RefusedError
from returns_pipeline.records import recommendations as records
from returns_pipeline.records.recommendations import RECOMMENDED, Part, RecommendationKind
from returns_pipeline.report import recommendation_words
from returns_pipeline.usecases import events, recommendations
from returns_pipeline.web.dependencies import Db, Reviewer, Viewer, Web
from returns_pipeline.web.queries.lookups import IMAGE_ID_END
from returns_pipeline.web.queries.recommendations import of_image, of_return
from returns_pipeline.web.resources import Resources

router = APIRouter(tags=["recommendations"])

#: Most products of one answer, and most events of one request.
MOST_RECOMMENDED = 50
MOST_EVENTS = 10_000
_Reference = Annotated[str | None, Query(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class Reason(BaseModel):
    """A part of the score: it adds `value` times `weight`. `text` is empty if there is nothing to say."""

    model_config = ConfigDict(frozen=True)

    part: Part
    value: float = Field(description="Between 0 and 1.")
    weight: float = Field(description="The weights of an answer have the sum 1.")
    text: str = Field(description="In the language of `Accept-Language`.")


class RecommendedProduct(BaseModel):
    """A product that is recommended; the score is the sum of its reasons."""

    model_config = ConfigDict(frozen=True)

    product_id: str
    title: str | None
    brand: str | None
    category: str | None
    price: Decimal | None
    currency: str | None
    rating: float | None
    ratings: int | None
    stock: int | None = Field(description="Null: not known.")
    score: float
    reasons: list[Reason]

    @classmethod
    def of(cls, item: records.Recommended) -> "RecommendedProduct":
        """Return a product as a caller sees it."""
        return cls(
            score=round(item.score, 6),
            reasons=[
                Reason(
                    part=each.part,
                    value=round(each.value, 6),
                    weight=round(each.weight, 6),
                    text=recommendation_words.reason(item, each.part),
                )
                for each in item.parts
            ],
            **{name: value for name, value in item.product._asdict().items() if name in cls.model_fields},
        )


class RecommendedProducts(BaseModel):
    """Products in the order of their marginal relevance; `missing` are parts that no score has."""

    model_config = ConfigDict(frozen=True)

    kind: RecommendationKind
    products: list[RecommendedProduct]
    missing: list[Part]


class SentEvent(BaseModel):
    """What a customer did with a product. A wrong one is refused alone."""

    model_config = ConfigDict(extra="forbid")

    customer: str = Field(description="The shop's reference, not a name.")
    product: str
    kind: str = Field(examples=["kept", "returned", "viewed"])
    at: str = Field(examples=["2026-11-30T08:15:00Z"])


class SentEvents(BaseModel):
    """Events to add."""

    model_config = ConfigDict(extra="forbid")

    events: list[SentEvent] = Field(min_length=1, max_length=MOST_EVENTS)


class RefusedEvent(BaseModel):
    """An event that was not taken. `place` counts from 1."""

    model_config = ConfigDict(frozen=True)

    place: int
    reason: str


class TakenEvents(BaseModel):
    """What became of the events. `unchanged` were known before, or are of a forgotten customer."""

    model_config = ConfigDict(frozen=True)

    added: int
    unchanged: int
    refused: list[RefusedEvent]


@router.get("/recommendations", summary="Products to recommend")
async def recommend(
    web: Web,
    _: Viewer,
    product: Annotated[_Reference, Query(description="The shop's id of a product.")] = None,
    image: Annotated[int | None, Query(ge=1, lt=IMAGE_ID_END, description="The id of a photo.")] = None,
    return_number: Annotated[_Reference, Query(alias="return", description="The number of a return.")] = None,
    customer: Annotated[
        _Reference, Query(description="The shop's reference; alone, or with a product: the taste counts.")
    ] = None,
    kind: RecommendationKind = RecommendationKind.SUBSTITUTES,
    limit: Annotated[int, Query(ge=1, le=MOST_RECOMMENDED)] = RECOMMENDED,
) -> RecommendedProducts:
    """Recommend for exactly one of product, photo, return and customer.

    Never the product itself, what is out of stock, or what the customer returned. The same request has the
    same answer until data change.
    """
    given = [each is not None for each in (product, image, return_number)]
    if sum(given) > 1 or (customer is not None and (image is not None or return_number is not None)):
        raise RefusedError(
            "Ask for one of product, image, return and customer. A product may have a customer."
        )
    if not any(given) and customer is None:
        raise RefusedError("Say what to recommend for: product, image, return or customer.")
    if image is not None:
        found = await of_image(web.looks, image, kind, limit)
    else:
        found = await run_in_threadpool(_found, web, product, return_number, customer, kind, limit)
    return RecommendedProducts(
        kind=kind,
        products=[RecommendedProduct.of(each) for each in found.products],
        missing=list(found.missing),
    )


def _found(
    web: Resources,
    product: str | None,
    return_number: str | None,
    customer: str | None,
    kind: RecommendationKind,
    limit: int,
) -> records.Recommendations:
    db = web.context.db
    if product is not None:
        return recommendations.for_product(web.looks.search, db, product, kind, limit, customer)
    if return_number is not None:
        return of_return(web.looks, return_number, kind, limit)
    return recommendations.for_customer(db, customer or "", kind, limit)


@router.post("/events", summary="Add what customers did with products")
def add_events(db: Db, _: Reviewer, body: SentEvents) -> TakenEvents:
    """Add up to 10,000 events; a wrong one is refused alone. The same request changes nothing."""
    found = events.take(db, [each.model_dump() for each in body.events])
    return TakenEvents(
        added=found.counts.added,
        unchanged=found.counts.unchanged,
        refused=[RefusedEvent(place=each.line, reason=each.reason) for each in found.refused],
    )
