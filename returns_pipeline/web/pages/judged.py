"""Forms that label many images together, and the notice about what they did."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import FormData

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.reviews import BatchCounts, ReviewOutcome
from returns_pipeline.store import reviews
from returns_pipeline.usecases.review_grid import MOST_TOGETHER, Sent, decide_many
from returns_pipeline.web.pages.page import form_of, text_of
from returns_pipeline.web.queries.lookups import IMAGE_ID_END
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

#: Fields of a form beside those of its images.
_OTHER_FIELDS = 10


class Judged(NamedTuple):
    """What a form did: the batch, None if nothing was stored, and how many images were refused."""

    batch: str | None
    refused: int

    def parameters(self) -> dict[str, object]:
        """Return what the address of the next page carries for `notice_of`."""
        return {"done": self.batch, "refused": self.refused or None}


class Notice(NamedTuple):
    """What a person did last, if it can be taken back; how many images were refused, or taken back, then."""

    counts: BatchCounts | None
    refused: int
    undone: int = 0


async def form_of_many(request: Request, person: Principal) -> FormData:
    """Return a form with a field for each image. Raises ForbiddenError as `form_of` does."""
    return await form_of(request, person, Role.REVIEWER, 2 * MOST_TOGETHER + _OTHER_FIELDS)


def ids_of(form: FormData, name: str) -> dict[int, int | None]:
    """Return the images that the fields `name` list, each with the review that the person saw.

    They are separated by commas: `ID` or `ID-REVIEW`. Wrong ones are left out.
    """
    listed = ",".join(each for each in form.getlist(name) if isinstance(each, str)).split(",")
    pairs = ((_id(first), _id(second)) for first, _, second in (each.partition("-") for each in listed))
    found = {image_id: review_id for image_id, review_id in pairs if image_id is not None}
    return dict(itertools.islice(found.items(), MOST_TOGETHER))


def _id(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    return number if 0 < number < IMAGE_ID_END else None


def chosen_of(form: FormData) -> tuple[str | None, str]:
    """Return the label and the outcome of the field `choice`: `label:NAME` or `outcome:NAME`.

    Raises RefusedError if nothing is chosen.
    """
    kind, _, value = text_of(form, "choice", 120).partition(":")
    if not value or kind not in {"label", "outcome"}:
        raise RefusedError("Choose a category first.")
    return (value, ReviewOutcome.LABEL) if kind == "label" else (None, value)


def judge(web: Resources, person: Principal, sent: Iterable[Sent]) -> Judged:
    """Store what a person says of images. Raises RefusedError if there are none."""
    listed = list(sent)
    if not listed:
        raise RefusedError("No photo is marked.", "Mark photos first.")
    outcomes = web.context.settings.review_outcomes
    batch, results = decide_many(web.context.db, web.bundle_of, person.name, listed, outcomes)
    web.judge_returns()
    return Judged(batch, sum(isinstance(each, RefusedError) for each in results))


def notice_of(request: Request, web: Resources, person: Principal) -> Notice:
    """Return the notice that the address of a page asks for."""
    batch = request.query_params.get("done", "")[:32]
    counts = reviews.last_batch(web.context.db, person.name, batch) if batch.isalnum() else None
    return Notice(counts, _number(request, "refused"), _number(request, "undone"))


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
