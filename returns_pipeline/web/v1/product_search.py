"""The products that look like a photo, an image or another product, or that words and filters find."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from returns_pipeline.errors import GoneError, NotFoundError, RefusedError
from returns_pipeline.records.catalogue import MOST_OF_ID, ProductFilter
from returns_pipeline.report import product_words
from returns_pipeline.usecases import catalogue, likely_products
from returns_pipeline.usecases.likely_products import LikelyProduct
from returns_pipeline.web.dependencies import ImageId, Images, Viewer, Web
from returns_pipeline.web.queries import likely
from returns_pipeline.web.queries.lookups import IMAGE_ID_END, image_by_id
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.v1.products import Product

router = APIRouter(tags=["products"])

_MOST = 100
_Limit = Annotated[int, Query(ge=1, le=_MOST)]


class _Search(BaseModel):
    """The fields of a search, but for the photo."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field("", max_length=200)
    category: str = Field("", max_length=300)
    brand: str = Field("", max_length=100)
    price_from: Decimal | None = Field(None, ge=0, le=10**12)
    price_to: Decimal | None = Field(None, ge=0, le=10**12)
    available: bool = False
    image: int | None = Field(None, ge=1, lt=IMAGE_ID_END)
    product: str | None = Field(None, min_length=1, max_length=MOST_OF_ID)
    limit: int = Field(10, ge=1, le=_MOST)

    def filter(self) -> ProductFilter:
        """Return what the products must be."""
        q, category, brand = (each.replace("\0", "").strip() for each in (self.q, self.category, self.brand))
        return ProductFilter(q, category, brand, "", self.price_from, self.price_to, available=self.available)


_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_PRICE = {"type": "number", "minimum": 0, "maximum": 10**12}
_BODY = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "A photo."},
                        "image": {"type": "integer", "minimum": 1, "description": "Or an image."},
                        "product": {"type": "string", "description": "Or the shop's id of a product."},
                        "q": {"type": "string", "maxLength": 200, "description": "Beginnings of words."},
                        "category": {"type": "string", "maxLength": 300, "description": "A path."},
                        "brand": {"type": "string", "maxLength": 100},
                        "price_from": _PRICE,
                        "price_to": _PRICE,
                        "available": {"type": "boolean", "description": "On sale, and not out of stock."},
                        "limit": {"type": "integer", "minimum": 1, "maximum": _MOST},
                    },
                }
            }
        }
    }
}


class FoundProduct(BaseModel):
    """A product that is found. `similarity` is the cosine of the looks, null if only words were compared.

    `picture` is the id of its most similar picture; `why` are sentences.
    """

    model_config = ConfigDict(frozen=True)

    product: Product
    picture: int | None
    similarity: float | None
    why: list[str]


class FoundProducts(BaseModel):
    """Products, the most likely one first."""

    model_config = ConfigDict(frozen=True)

    products: list[FoundProduct]

    @classmethod
    def of(cls, found: list[LikelyProduct]) -> "FoundProducts":
        """Return products as a caller sees them."""
        return cls(
            products=[
                FoundProduct(
                    product=Product.of(each.item, list(each.pictures)),
                    picture=each.picture.id if each.picture else None,
                    similarity=None if each.cosine is None else round(each.cosine, 4),
                    why=product_words.reasons(each.cosine, each.category),
                )
                for each in found
            ]
        )


@router.post("/products/search", summary="Products that look like a photo", openapi_extra=_BODY)
async def search_products(request: Request, web: Web, bodies: Images, _: Viewer) -> FoundProducts:
    """Find products by a photo (`file`), an `image` or a `product`, or by words and filters alone.

    The most similar come first; without a photo, the newest. A photo is not kept.
    """
    if not request.headers.get("content-type", "").startswith(_FORMS):
        raise RefusedError("Send the fields of the search as a form: multipart/form-data.")
    async with bodies.received(request) as whole, whole.form(max_files=1, max_fields=20) as form:
        wanted, photo = _sent(form), await _photo(form)
    if (photo is not None) + (wanted.image is not None) + (wanted.product is not None) > 1:
        raise RefusedError("Send one of `file`, `image` and `product`.")
    if photo is not None:
        look = await web.looks.of_photo(*photo)
        return FoundProducts.of(await likely.like_look(web.looks, look, wanted.limit, wanted.filter()))
    if wanted.image is not None:
        return FoundProducts.of(await _like_image(web, wanted.image, wanted.limit, wanted.filter()))
    return FoundProducts.of(await run_in_threadpool(_by_words, web, wanted))


@router.get("/images/{image_id}/products", summary="Products that look like an image")
async def products_like_image(web: Web, _: Viewer, image_id: ImageId, limit: _Limit = 10) -> FoundProducts:
    """Return the products that look like an image. A worker looks at it at the first request."""
    return FoundProducts.of(await _like_image(web, image_id, limit, ProductFilter()))


def _sent(form: FormData) -> _Search:
    values: dict[str, Any] = {name: value for name, value in form.multi_items() if name != "file"}
    try:
        return _Search.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from error


async def _photo(form: FormData) -> tuple[str, bytes] | None:
    file = form.get("file")
    if file is None:
        return None
    if not isinstance(file, UploadFile) or not file.filename:
        raise RefusedError(
            "There is no file.", "Send the photo as the multipart field `file`, with its name."
        )
    return file.filename, await file.read()


async def _like_image(
    web: Resources, image_id: int, count: int, wanted: ProductFilter
) -> list[LikelyProduct]:
    image = await run_in_threadpool(image_by_id, web.context.db, image_id)
    if not image.has_photo:
        raise GoneError("The photo of image {image} is not kept any more.", image=image_id)
    if not likely.can_be_compared(image):
        raise NotFoundError("Image {image} shows no item that can be compared.", image=image_id)
    return await likely.like_look(web.looks, await web.looks.of_image(image_id), count, wanted, [image])


def _by_words(web: Resources, wanted: _Search) -> list[LikelyProduct]:
    db = web.context.db
    if wanted.product is None:
        return likely_products.of_words(db, wanted.filter(), wanted.limit)
    item, _ = catalogue.existing(db, wanted.product)
    return likely_products.like_product(web.looks.search, db, item, wanted.limit, wanted.filter())
