"""Watches the nights: whether the photos of the last one are like those of the nights before it."""

import structlog

from returns_pipeline.quality import drift
from returns_pipeline.quality.drift import Night
from returns_pipeline.records.mixes import OF_MODEL, ORDERED, Change
from returns_pipeline.records.notices import Data, Notice, NoticeKind
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import outbox, run_mixes
from returns_pipeline.store.run_mixes import NightMix
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.notice_texts import changed_text

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Photos that show a change.
_EXAMPLES = 12
#: Nights that one sweep has counted, of those that are not: of releases before 0030, or of a lost message.
_MISSING_LIMIT = 5
#: Earlier nights that are read: some may be of another model, or were different.
_MOST_READ = 2 * drift.MOST_NIGHTS


def compare_night(context: Context, run_id: int) -> None:
    """Count what the photos of a closed night are like, and tell what is unlike the nights before it.

    May run twice. Only the last night of an intake is compared: changes of earlier ones are history.
    """
    run_mixes.count(context.db, run_id)
    nights = run_mixes.newest(context.db, run_id, 1 + _MOST_READ)
    if not nights or nights[0].run_id != run_id:
        return
    last, *before = nights
    judged = drift.changes(
        Night(last.mixes), [_comparable(each, last.model_version_id) for each in before], ORDERED
    )
    if not judged:
        return
    found = [_with_examples(context, run_id, each) for each in judged]
    with context.spoken():
        notices = [_notice(run_id, found)] if any(each.is_new for each in found) else []
    with context.db.write() as connection:
        run_mixes.add_changes(context.db, connection, run_id, found)
        outbox.add(connection, notices)
    log.info("night_changed", run=run_id, properties=[each.property for each in found])
    if notices:
        context.send(Task.DELIVER_NOTICES)


def _with_examples(context: Context, run_id: int, change: Change) -> Change:
    """Return a change with images that show it: a page cannot look for them among all of the night."""
    return change._replace(examples=run_mixes.examples(context.db, run_id, change, _EXAMPLES))


def send_if_missing(context: Context) -> None:
    """Have some nights counted that are not."""
    for run_id in run_mixes.missing(context.db, _MISSING_LIMIT):
        context.send(Task.COMPARE_NIGHT, run_id)


def _comparable(night: NightMix, model_version_id: int) -> Night:
    """Return a night without what depends on its model, if that is another one."""
    if night.model_version_id == model_version_id:
        return Night(night.mixes, night.different)
    return Night({name: mix for name, mix in night.mixes.items() if name not in OF_MODEL}, night.different)


def changed_cause(run_id: int) -> str:
    """Return the cause of the notice that a night is unlike the nights before it."""
    return f"{NoticeKind.NIGHT_CHANGED}:{run_id}"


def _notice(run_id: int, found: list[Change]) -> Notice:
    data: Data = {
        "run": run_id,
        "properties": [each.property for each in found],
        "bins": [each.bin for each in found],
        "shares": [round(each.share, 6) for each in found],
        "usual_shares": [round(each.usual, 6) for each in found],
    }
    return Notice(changed_cause(run_id), NoticeKind.NIGHT_CHANGED, changed_text(data), data)
