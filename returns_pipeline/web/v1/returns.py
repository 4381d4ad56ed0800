"""Returns: announced, read one by one, and a customer's data deleted. Lists are in `return_lists`."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.errors import NotFoundError
from returns_pipeline.records import returns as records
from returns_pipeline.store import match_lists, returns
from returns_pipeline.usecases import announcing, customers
from returns_pipeline.usecases.announcing import Sent
from returns_pipeline.web.dependencies import Admin, Db, Pipeline, Reviewer, Viewer
from returns_pipeline.web.v1.matches import Match, matches_of

router = APIRouter(tags=["returns"])

#: A field is called `date` too.
_Day = date
#: Most returns of one request.
MOST_TOGETHER = 10_000

_Number = Annotated[str, Path(min_length=1, max_length=records.MOST_OF_NUMBER, pattern=r"^[^\x00]*$")]
_Reference = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
#: The fields of a body, by the names of `manifests.columns.FIELDS`.
_FIELDS = {"main_category": "main"}


class Announced(BaseModel):
    """What is announced. A field that is not sent stays as it is; null empties it, but not the date."""

    model_config = ConfigDict(extra="forbid")

    order: str | None = Field(None, max_length=100)
    expected: str | None = Field(
        None, max_length=100, description="A category or main category of the model."
    )
    main_category: str | None = Field(None, max_length=100)
    product: str | None = Field(None, max_length=100)
    title: str | None = Field(None, max_length=300)
    customer: str | None = Field(None, max_length=100, description="The shop's reference, not a name.")
    date: _Day | None = Field(None, description="Default: the day on which it is announced first.")
    note: str | None = Field(None, max_length=2000)

    def fields(self) -> Sent:
        """Return the fields that were sent."""
        sent = self.model_dump(mode="json", exclude_unset=True)
        return {_FIELDS.get(name, name): value for name, value in sent.items()}


class AnnouncedReturn(BaseModel):
    """One of several returns. Longer or other values are refused by the return's result, not the request."""

    model_config = ConfigDict(extra="forbid")

    number: str
    order: str | None = None
    expected: str | None = None
    main_category: str | None = None
    product: str | None = None
    title: str | None = None
    customer: str | None = None
    date: str | None = Field(None, examples=["2026-11-30"])
    note: str | None = None

    def fields(self) -> Sent:
        """Return the fields that were sent."""
        sent = self.model_dump(exclude_unset=True)
        return {_FIELDS.get(name, name): value for name, value in sent.items()}


class AnnouncedReturns(BaseModel):
    """Returns to announce."""

    model_config = ConfigDict(extra="forbid")

    returns: list[AnnouncedReturn] = Field(min_length=1, max_length=MOST_TOGETHER)


class ReturnResult(BaseModel):
    """What became of a return; `reason` says why it was refused."""

    model_config = ConfigDict(frozen=True)

    number: str
    result: Literal["added", "changed", "unchanged", "refused"]
    reason: str


class ReturnResults(BaseModel):
    """What became of each return, in the order of the request."""

    model_config = ConfigDict(frozen=True)

    results: list[ReturnResult]


class Return(BaseModel):
    """One return: what was announced, the verdict, the decision.

    `announced_on` is null for one that a photo alone has opened. `verdict` is null while photos may still
    come.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    number: str
    order: str | None
    expected: str | None
    expected_main_category: str | None
    product: str | None
    title: str | None
    customer: str | None
    announced_on: date | None
    note: str | None
    source: str
    created_at: datetime
    changed_at: datetime
    verdict: str | None
    verdict_reason: str | None
    sureness: float | None
    verdict_detail: dict[str, Any] | None
    verdict_at: datetime | None
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    matches: list[Match] = Field(description="Its photos that came in with other returns too.")

    @classmethod
    def of(cls, found: records.Return, matches: list[Match]) -> "Return":
        """Return a return as a caller sees it."""
        return cls(
            matches=matches,
            order=found.order_number,
            expected=found.expected_label,
            expected_main_category=found.expected_main_label,
            **{name: value for name, value in found._asdict().items() if name in cls.model_fields},
        )


class DeletedCustomer(BaseModel):
    """What a deletion of a customer's data did."""

    model_config = ConfigDict(frozen=True)

    returns: int
    photos: int
    files_left: int = Field(description="Files that could not be removed yet; the program tries again.")


@router.post("/returns", summary="Announce returns")
def announce(context: Pipeline, person: Reviewer, body: AnnouncedReturns) -> ReturnResults:
    """Add or change up to 10,000 returns; a wrong one is refused alone. The same request changes nothing."""
    sent = [each.fields() for each in body.returns]
    found = announcing.announce(context, person.name, sent, is_import=True)
    return ReturnResults(results=[ReturnResult(**each._asdict()) for each in found])


@router.put("/returns/{number}", summary="Announce a return, or correct it")
def put_return(context: Pipeline, person: Reviewer, number: _Number, body: Announced) -> Return:
    """Add or change one return. The same request changes nothing. A change gives it a new verdict."""
    outcome = announcing.announce_one(context, person.name, {**body.fields(), "number": number})
    return _existing(context.db, outcome.number)


@router.get("/returns/{number}", summary="One return")
def show_return(db: Db, _: Viewer, number: _Number) -> Return:
    """Return what was announced, the verdict and the decision."""
    return _existing(db, number)


@router.delete("/customers/{reference}", summary="Delete a customer's data")
def delete_customer(context: Pipeline, admin: Admin, reference: _Reference) -> DeletedCustomer:
    """Delete the reference, orders, notes, photos and what came from them, for ever.

    The returns stay with their verdicts, so that counts stand.
    """
    done = customers.delete(context.settings, context.db, reference, admin.name, context.photos)
    return DeletedCustomer(**done._asdict())


def _existing(db: Db, number: str) -> Return:
    known = records.return_number(number)
    found = returns.find(db, known) if known else None
    if found is None:
        raise NotFoundError("There is no return {number}.", number=number)
    return Return.of(found, matches_of(match_lists.of_return(db, found.id)))
