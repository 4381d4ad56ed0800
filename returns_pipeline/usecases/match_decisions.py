"""Decides matches: two photos are the same, or they are different; a new decision replaces the one before."""

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.likeness import MatchDecision
from returns_pipeline.store import match_decisions
from returns_pipeline.store.database import Database

#: What takes a decision back, beside the members of MatchDecision.
OPEN = "open"
DECISIONS = (*(each.value for each in MatchDecision.written()), OPEN)


def decide(db: Database, image_id: int, decision: str, who: str, seen: str | None = None) -> None:
    """Store what a person decides about the match of a photo: one of DECISIONS.

    `seen` is the decision that the person saw, one of DECISIONS; None: none. Raises RefusedError for another
    decision, NotFoundError if the photo is like no earlier one, ConflictError if another person has decided
    since, with who and when.
    """
    for each in (decision, seen or OPEN):
        if each not in DECISIONS:
            raise RefusedError(
                "There is no decision {decision!r}.",
                "These decisions exist: {decisions}.",
                decision=each,
                decisions=", ".join(DECISIONS),
            )
    match_decisions.decide(db, image_id, _decision(decision), who, _decision(seen or OPEN))


def _decision(text: str) -> MatchDecision | None:
    return None if text == OPEN else MatchDecision(text)
