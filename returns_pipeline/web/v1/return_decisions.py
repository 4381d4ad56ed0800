"""Decisions on returns."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records.returns import MOST_OF_NUMBER
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import return_decisions as versions
from returns_pipeline.usecases import return_decisions
from returns_pipeline.web.dependencies import Pipeline, Reviewer

router = APIRouter(tags=["returns"])

_Number = Annotated[str, Path(min_length=1, max_length=MOST_OF_NUMBER, description="The return's number.")]


class SentDecision(BaseModel):
    """What a person decides: `open` takes the decision back. `note` says why.

    `replaces` is the `version` of the decision that the person saw; without it, the decision of another
    person is not replaced.
    """

    model_config = ConfigDict(extra="forbid")

    decision: Literal["accept", "reject", "another_photo", "open"]
    note: str = Field("", max_length=versions.MOST_NOTE, pattern=r"^[^\x00]*$")
    replaces: int | None = Field(None, ge=0, lt=2**63)


class Decided(BaseModel):
    """The decision on a return that counts now; null in `decision` without one."""

    model_config = ConfigDict(frozen=True)

    number: str
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    verdict: str | None
    version: int = Field(description="What the next decision names in `replaces`.")


@router.post("/returns/{number}/decision", summary="Accept or reject a return, or ask for another photo")
def decide(context: Pipeline, person: Reviewer, number: _Number, sent: SentDecision) -> Decided:
    """Store a decision; 409 if another person has decided since. The same decision again changes nothing."""
    found = return_decisions.decide(
        context.db, number, sent.decision, sent.note, person.name, seen_version=sent.replaces
    )
    context.send(Task.DELIVER_NOTICES)
    return Decided(
        number=found.number,
        decision=found.decision,
        decided_by=found.decided_by,
        decided_at=found.decided_at,
        note=found.decision_note,
        verdict=found.verdict,
        version=versions.version(context.db, found.id),
    )
