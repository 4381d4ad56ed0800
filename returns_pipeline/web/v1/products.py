"""Products: sent by a program, read one by one and in lists, and their pictures."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import NotFoundError
from returns_pipeline.records import catalogue as records
from returns_pipeline.records.catalogue import MOST_OF_ID, ProductFilter
from returns_pipeline.store import product_images, products
from returns_pipeline.usecases import catalogue, embedding, product_removal
from returns_pipeline.web.dependencies import Admin, Db, ImageId, Operator, Pipeline, Viewer, Web
from returns_pipeline.web.queries.cursors import pack, product_cursor
from returns_pipeline.web.render.pictures import Wanted
from returns_pipeline.web.v1.thumbnails import WEBP, Size, picture_reply

router = APIRouter(tags=["products"])

#: Most products of one request.
MOST_TOGETHER = 10_000

_Id = Annotated[str, Path(min_length=1, max_length=MOST_OF_ID, pattern=r"^[^\x00]*$")]
_Scalar = str | int | float | bool
_Attributes = dict[str, _Scalar | list[_Scalar] | None]


class SentProduct(BaseModel):
    """What is known of a product. A field that is not sent stays as it is; null empties it."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = None
    brand: str | None = None
    category: str | list[str] | None = Field(None, description="A path like `Apparel/Topwear`.")
    price: float | str | None = Field(None, description="12.99, or a text like `1.299,00 €`.")
    currency: str | None = Field(None, description="ISO 4217, like `EUR`.")
    rating: float | str | None = Field(None, description="From 0 to 5.")
    ratings: int | None = Field(None, description="How many ratings there are.")
    stock: int | str | None = Field(None, description="Null: not known.")
    description: str | None = None
    images: list[str] | None = Field(
        None, description="Addresses of the web, or paths below RETURNS_CATALOGUE_DIR."
    )
    attributes: _Attributes = Field({}, description="Each other attribute; null removes it.")

    def fields(self) -> dict[str, Any]:
        """Return the fields that were sent."""
        return self.model_dump(exclude_unset=True)


class SentProductWithId(SentProduct):
    """One of several products. A wrong one is refused by its result, not the request."""

    id: str

    def fields(self) -> dict[str, Any]:
        """Return the fields that were sent, the id among them."""
        return self.model_dump(exclude_unset=True)


class SentProducts(BaseModel):
    """Products to add or change."""

    model_config = ConfigDict(extra="forbid")

    products: list[SentProductWithId] = Field(min_length=1, max_length=MOST_TOGETHER)


class ProductResult(BaseModel):
    """What became of a product; `reason` says why it was refused."""

    model_config = ConfigDict(frozen=True)

    id: str
    result: Literal["added", "changed", "unchanged", "refused"]
    reason: str


class ProductResults(BaseModel):
    """What became of each product, in the order of the request."""

    model_config = ConfigDict(frozen=True)

    results: list[ProductResult]


class ProductPicture(BaseModel):
    """A picture of a product; a local one has a thumbnail under its id."""

    model_config = ConfigDict(frozen=True)

    id: int
    address: str
    state: str
    reason: str | None


class Product(BaseModel):
    """One product. `stock` is null if it is not known; `price` is a text, so that no digit is lost."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: Literal["listed", "discontinued"]
    title: str | None
    brand: str | None
    category: str | None
    price: str | None
    currency: str | None
    rating: float | None
    ratings: int | None
    stock: int | None
    description: str | None
    attributes: dict[str, Any]
    discontinued_at: datetime | None
    created_at: datetime
    changed_at: datetime
    images: list[ProductPicture]

    @classmethod
    def of(cls, item: records.Product, pictures: list[records.ProductImage]) -> "Product":
        """Return a product as a caller sees it."""
        return cls(**catalogue.facts(item, pictures))


class RemovedProduct(BaseModel):
    """The id of the product that was removed."""

    model_config = ConfigDict(frozen=True)

    id: str


class Products(BaseModel):
    """A page of products; `next` is the cursor of the next page. `total` is counted up to 10,000."""

    model_config = ConfigDict(frozen=True)

    products: list[Product]
    next: str | None
    total: int
    total_is_exact: bool


@router.get("/products", summary="Products, filtered")
def list_products(
    db: Db,
    _: Viewer,
    q: Annotated[str, Query(max_length=200, description="Beginnings of words, or an id.")] = "",
    category: Annotated[str, Query(max_length=300, description="A path, with those below it.")] = "",
    brand: Annotated[str, Query(max_length=100, description="The whole brand.")] = "",
    state: Literal["", "listed", "discontinued"] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Products:
    """Return a page of products, the newest first."""
    q, category, brand = (each.replace("\0", "").strip() for each in (q, category, brand))
    wanted = ProductFilter(q, category, brand, state)
    found = products.page(db, wanted, product_cursor(cursor), limit)
    total, has_more = products.count(db, wanted)
    pictures = product_images.of_products(db, [item.id for item in found.products])
    return Products(
        products=[Product.of(item, pictures[item.id]) for item in found.products],
        next=pack(found.next),
        total=total,
        total_is_exact=not has_more,
    )


@router.post("/products", summary="Add or change products")
def put_products(context: Pipeline, person: Operator, body: SentProducts) -> ProductResults:
    """Add or change up to 10,000 products; a wrong one is refused alone. The same request changes nothing."""
    sent = [each.fields() for each in body.products]
    found = catalogue.put(context.settings, context.db, person.name, sent, is_import=True)
    embedding.begin(context)
    return ProductResults(
        results=[ProductResult(id=each.product_id, result=each.result, reason=each.reason) for each in found]
    )


@router.put("/products/{product_id}", summary="Add or change a product")
def put_product(context: Pipeline, person: Operator, product_id: _Id, body: SentProduct) -> Product:
    """Add or change one product. The same request changes nothing. A discontinued one is sold again."""
    sent = {"id": product_id, **body.fields()}
    outcome = catalogue.put_one(context.settings, context.db, person.name, sent)
    embedding.begin(context)
    return Product.of(*catalogue.existing(context.db, outcome.product_id))


@router.get("/products/{product_id:path}", summary="One product")
def show_product(db: Db, _: Viewer, product_id: _Id) -> Product:
    """Return one product."""
    return Product.of(*catalogue.existing(db, product_id))


@router.delete("/products/{product_id:path}", summary="Remove a product for good")
def remove_product(context: Pipeline, admin: Admin, product_id: _Id) -> RemovedProduct:
    """Remove a product with the vectors of its pictures. Returns and events that name it stay.

    It is 410 from then on, until the product is added again.
    """
    return RemovedProduct(id=product_removal.remove_one(context, product_id, admin.name))


@router.get(
    "/product-images/{image_id}/thumbnail",
    summary="A small picture of a product",
    response_class=Response,
    responses=WEBP,
)
async def show_product_picture(
    request: Request, web: Web, _: Viewer, image_id: ImageId, size: Size = 160
) -> Response:
    """Return a picture of at most `size` pixels on its longer side.

    An address of the web, or a file that cannot be shown, has a grey picture in its place, with the header
    `X-Placeholder: 1`.
    """

    def find() -> Wanted:
        found = product_images.find(web.context.db, image_id)
        if found is None:
            raise NotFoundError("There is no picture {image} of a product.", image=image_id)
        return web.pictures.wanted_of_product(found, size)

    return await picture_reply(request, web.pictures, await run_in_threadpool(find), size)
