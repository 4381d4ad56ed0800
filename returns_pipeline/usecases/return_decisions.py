"""Decides returns: accept, reject, ask for another photo; a new decision replaces the one before."""

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.returns import Return, ReturnDecision, return_number
from returns_pipeline.store import return_decisions
from returns_pipeline.store.database import Database

#: What takes a decision back, beside the members of ReturnDecision.
OPEN = "open"
DECISIONS = (*(each.value for each in ReturnDecision.written()), OPEN)


def decide(
    db: Database, number: str, decision: str, note: str, who: str, seen_version: int | None = None
) -> Return:
    """Store a person's decision on a return, one of DECISIONS; return the return as it is then.

    `seen_version` is the version of the decision that the person saw, see `store.return_decisions.version`;
    None: the person saw none. Raises RefusedError for another decision or a note that is too long,
    NotFoundError for an unknown number, ConflictError if another person has decided since, with who and
    when.
    """
    if decision not in DECISIONS:
        raise RefusedError(
            "There is no decision {decision!r}.",
            "These decisions exist: {decisions}.",
            decision=decision,
            decisions=", ".join(DECISIONS),
        )
    if len(note) > return_decisions.MOST_NOTE:
        raise RefusedError("A note has at most {most:,} characters.", most=return_decisions.MOST_NOTE)
    chosen = None if decision == OPEN else ReturnDecision(decision)
    wanted = return_number(number) or number
    return return_decisions.decide(db, wanted, chosen, note.strip(), who, seen_version or 0)
