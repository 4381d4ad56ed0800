"""Decisions of people on matches: whether two photos are the same. No person overwrites another unseen."""

from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError
from returns_pipeline.languages import N_
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.likeness import MatchDecision
from returns_pipeline.records.returns import ReturnAction
from returns_pipeline.store import audit, returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.match_lists import no_match
from returns_pipeline.store.tables import image_matches, images

_ACTIONS = {
    MatchDecision.CONFIRMED: ReturnAction.CONFIRMED,
    MatchDecision.DISMISSED: ReturnAction.DISMISSED,
    None: ReturnAction.MATCH_REOPENED,
}
_ADVICE = N_("Look at the photos again; a new decision replaces the one that you see then.")


def decide(
    db: Database,
    image_id: int,
    decision: MatchDecision | None,
    who: str,
    seen: MatchDecision | None = None,
) -> None:
    """Store what a person decides about the match of a photo; None takes the decision back.

    `seen` is the decision that the person saw. The same decision of the same person again changes nothing.
    Both returns get it in their history, and that of the photo is queued for judging. Raises NotFoundError
    if the photo is like no earlier one, ConflictError if another person has decided since.
    """
    with db.write() as connection:
        query = sa.select(image_matches).where(image_matches.c.image_id == image_id).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            raise no_match(image_id)
        present = MatchDecision(row.decision) if row.decision else None
        if present == decision and row.decided_by in {who[:100], None}:
            return
        if present != seen:
            raise _decided_since(row, present)
        now = utc_now()
        connection.execute(
            sa.update(image_matches)
            .where(image_matches.c.image_id == image_id)
            # Who took a decision back is told to the next person too.
            .values(decision=decision, decided_by=who[:100], decided_at=now)
        )
        _tell(connection, row, decision, who, present)
        returns.queue_of_images(connection, images.c.id == image_id)


def _tell(
    connection: sa.Connection,
    row: Any,
    decision: MatchDecision | None,
    who: str,
    before: MatchDecision | None,
) -> None:
    """Write a decision to the history of both returns and to the audit log."""
    pair = (row.image_id, row.earlier_id)
    of_returns = sa.select(images.c.return_id).where(images.c.id.in_(pair), images.c.return_id.is_not(None))
    for return_id in sorted(connection.execute(of_returns.distinct()).scalars()):
        returns.add_event(
            connection, return_id, who, _ACTIONS[decision], image=row.image_id, earlier=row.earlier_id
        )
    audit.record(
        connection,
        who,
        AuditAction.MATCH_DECIDE,
        AuditSubject.IMAGE,
        row.image_id,
        earlier=row.earlier_id,
        decision=decision,
        before=before,
    )


def _decided_since(row: Any, present: MatchDecision | None) -> ConflictError:
    who, at, image, earlier = row.decided_by, row.decided_at, row.image_id, row.earlier_id
    if at is None:
        return ConflictError(
            "There was no decision on photo {image} that you could have seen.", _ADVICE, image=image
        )
    if present is None:
        return ConflictError(
            "{who} has taken back the decision on photo {image} and photo {earlier} meanwhile, on "
            "{at:%Y-%m-%d} at {at:%H:%M} UTC.",
            _ADVICE,
            who=who,
            at=at,
            image=image,
            earlier=earlier,
        )
    if present is MatchDecision.DISMISSED:
        return ConflictError(
            "{who} has decided meanwhile, on {at:%Y-%m-%d} at {at:%H:%M} UTC: photo {image} and photo "
            "{earlier} are different.",
            _ADVICE,
            who=who,
            at=at,
            image=image,
            earlier=earlier,
        )
    return ConflictError(
        "{who} has decided meanwhile, on {at:%Y-%m-%d} at {at:%H:%M} UTC: photo {image} and photo {earlier} "
        "are the same.",
        _ADVICE,
        who=who,
        at=at,
        image=image,
        earlier=earlier,
    )
