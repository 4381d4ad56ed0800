"""The REST interface, version 1."""

from fastapi import APIRouter

from returns_pipeline.web.errors import FAULTS
from returns_pipeline.web.v1 import (
    audit,
    exports,
    images,
    jobs,
    matches,
    models,
    notices,
    originals,
    product_search,
    products,
    recommendations,
    return_decisions,
    return_lists,
    returns,
    reviews,
    runs,
    uploads,
    users,
    views,
)

router = APIRouter(prefix="/api/v1", responses=FAULTS)
for part in (
    runs,
    exports,
    images,
    originals,
    return_lists,
    return_decisions,
    returns,
    matches,
    product_search,
    products,
    reviews,
    models,
    jobs,
    uploads,
    notices,
    users,
    audit,
    views,
    recommendations,
):
    router.include_router(part.router)
