"""Photos that came in before: what a person decides about them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.store import match_lists
from returns_pipeline.store.match_lists import ShownMatch
from returns_pipeline.usecases import match_decisions
from returns_pipeline.web.dependencies import Db, ImageId, Reviewer, Viewer, Web

router = APIRouter(tags=["returns"])


class Match(BaseModel):
    """Two photos that are the same, unless a person has decided that they are different."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    image: int = Field(description="The later photo. A match is named by it.")
    earlier_image: int
    kind: str = Field(description="exact: equal files; near: the same picture.")
    changes: list[str] = Field(description="How the later photo differs: mirrored, turned, cropped, …")
    matched_at: datetime
    number: str | None = Field(alias="return", description="The return of the later photo.")
    earlier_return: str | None
    decision: str | None = Field(description="confirmed: the same photo; dismissed: different photos.")
    decided_by: str | None
    decided_at: datetime | None

    @classmethod
    def of(cls, found: ShownMatch) -> "Match":
        """Return a match as a caller sees it."""
        stored = found.stored
        return cls(
            image=stored.match.image_id,
            earlier_image=stored.match.earlier_id,
            kind=stored.match.kind,
            changes=[each.value for each in stored.match.changes],
            matched_at=stored.matched_at,
            number=found.photo.number,
            earlier_return=found.earlier.number,
            decision=stored.decision,
            decided_by=stored.decided_by if stored.decision else None,
            decided_at=stored.decided_at if stored.decision else None,
        )


class Matches(BaseModel):
    """Matches that no person has decided, the newest first."""

    model_config = ConfigDict(frozen=True)

    matches: list[Match]


class SentMatchDecision(BaseModel):
    """What a person decides: `open` takes the decision back.

    `replaces` is the decision that the person saw; without it, the decision of another person is not
    replaced.
    """

    model_config = ConfigDict(extra="forbid")

    decision: Literal["confirmed", "dismissed", "open"]
    replaces: Literal["confirmed", "dismissed"] | None = None


def matches_of(found: Iterable[ShownMatch]) -> list[Match]:
    """Return matches as a caller sees them."""
    return [Match.of(each) for each in found]


@router.get("/matches", summary="Photos that came in before, and that no person has decided")
def list_matches(db: Db, _: Viewer) -> Matches:
    """Return the newest 20 pairs of photos whose returns differ."""
    return Matches(matches=matches_of(match_lists.undecided(db)))


@router.post("/matches/{image_id}", summary="Say whether a photo is the same as an earlier one")
def decide(web: Web, person: Reviewer, image_id: ImageId, sent: SentMatchDecision) -> Match:
    """Store a decision; 409 if another person has decided since. The return of the photo is judged again."""
    db = web.context.db
    match_decisions.decide(db, image_id, sent.decision, person.name, sent.replaces)
    web.judge_returns()
    return Match.of(match_lists.existing(db, image_id))
