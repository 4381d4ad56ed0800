"""Announces returns that a program sends, without a file."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from returns_pipeline.errors import RefusedError
from returns_pipeline.manifests.checking import Checker
from returns_pipeline.manifests.columns import FIELDS
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.store import audit, return_imports
from returns_pipeline.store.return_imports import Announced, Origin
from returns_pipeline.tabular_files.lines import Line
from returns_pipeline.usecases import judging
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.manifests import TWICE, labels_of

#: Where a return came from that a program sent.
SOURCE = "REST"
UNCHANGED, REFUSED = "unchanged", "refused"


class Outcome(NamedTuple):
    """What became of a return: `added`, `changed`, `unchanged` or `refused`, and why it was refused."""

    number: str
    result: str
    reason: str = ""


#: Seconds in which a request judges the returns that it changed; a task judges the others.
_JUDGING_SECONDS = 2.0
#: The fields of a return that a program sends, by the names of `manifests.columns.FIELDS`. A missing one
#: stays as it is, an empty one is emptied.
Sent = Mapping[str, str | None]


def announce(context: Context, who: str, sent: Sequence[Sent], *, is_import: bool) -> list[Outcome]:
    """Add or change returns in one transaction; return what became of each, in their order.

    Of returns with the same number, the first counts. An `is_import` is listed among the imports. Raises
    ConfigFault without a model.
    """
    checker = Checker(labels_of(context.settings, context.db))
    outcomes: list[Outcome | None] = []
    taken: dict[str, tuple[int, Announced]] = {}
    refused: list[RefusedLine] = []
    for place, fields in enumerate(sent):
        values = tuple((fields[name] or "") if name in fields else None for name in FIELDS)
        found = checker.check(Line(place + 1, values))
        if isinstance(found, RefusedLine):
            refused.append(found)
        elif (first := taken.get(found[0].number)) is None:
            taken[found[0].number] = place, Announced(place + 1, *found)
            outcomes.append(None)
            continue
        elif first[1].announcement == found[0]:
            outcomes.append(Outcome(found[0].number, UNCHANGED))
            continue
        else:
            refused.append(RefusedLine(place + 1, found[0].number, TWICE))
        outcomes.append(Outcome(refused[-1].number, REFUSED, refused[-1].reason))
    _store(context, who, outcomes, taken, refused, is_import=is_import)
    judging.judge_queued(context, _JUDGING_SECONDS)
    return [each for each in outcomes if each is not None]


def _store(
    context: Context,
    who: str,
    outcomes: list[Outcome | None],
    taken: Mapping[str, tuple[int, Announced]],
    refused: Sequence[RefusedLine],
    *,
    is_import: bool,
) -> None:
    db = context.db
    import_id = return_imports.begin(db, who, SOURCE) if is_import else None
    origin = Origin(import_id, who, SOURCE, context.settings.missing_days)
    repeated = len(outcomes) - len(taken) - len(refused)
    lines = [each for _, each in taken.values()]
    _, results = return_imports.take(db, origin, lines, refused, repeated)
    for (number, (place, _)), result in zip(taken.items(), results, strict=True):
        outcomes[place] = Outcome(number, result)
    if import_id is not None:
        return_imports.finish(db, import_id)
        audit.note(
            db,
            who,
            AuditAction.RETURNS_IMPORT,
            AuditSubject.IMPORT,
            import_id,
            name=SOURCE,
            lines=len(outcomes),
        )
    elif lines and results[0] != UNCHANGED:
        number = lines[0].announcement.number
        audit.note(db, who, AuditAction.RETURN_CHANGE, AuditSubject.RETURN, number)


def announce_one(context: Context, who: str, fields: Sent) -> Outcome:
    """Add or change one return. Raises RefusedError if a field is wrong, ConfigFault without a model."""
    (outcome,) = announce(context, who, [fields], is_import=False)
    if outcome.result == REFUSED:
        raise RefusedError(outcome.reason)
    return outcome
