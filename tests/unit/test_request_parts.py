"""A large request is accepted in parts, and is one request for its client."""

import asyncio

import pytest

from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.uploads import AcceptedUpload
from returns_pipeline.web.queries.worker_client import together

OLD, NEW = ModelRef("shoes", 1), ModelRef("shoes", 2)
FIRST = AcceptedUpload(7, OLD, (3,), (30, 31), 2)


def joined(*parts: AcceptedUpload | Exception) -> AcceptedUpload:
    """Return the parts as one request; an exception is the fault of its part."""

    async def accepted(part: AcceptedUpload | Exception) -> AcceptedUpload:
        if isinstance(part, Exception):
            raise part
        return part

    async def all_of_them() -> AcceptedUpload:
        return await together([asyncio.create_task(accepted(part)) for part in parts])

    return asyncio.run(all_of_them())


def test_parts_are_one_request_in_the_order_of_its_images() -> None:
    """Images stay in order, whichever chunks they are in; chunks that parts share count once."""
    found = joined(FIRST, AcceptedUpload(7, OLD, (2, 3), (20,), 2))
    assert found == AcceptedUpload(7, OLD, (2, 3), (30, 31, 20), 2)
    assert joined(FIRST) == FIRST


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (TransientFault("full"), TransientFault),
        (PipelineError("broken"), PipelineError),
        (AcceptedUpload(8, NEW, (4,), (40,)), TransientFault),
    ],
)
def test_a_part_that_fails_or_has_another_model_fails_the_request(
    part: AcceptedUpload | Exception, kind: type[PipelineError]
) -> None:
    """A client never gets class indices of two models, nor the images of some parts alone."""
    with pytest.raises(kind):
        joined(FIRST, part, FIRST)
