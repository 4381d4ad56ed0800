"""What is worth a notice: sentences and data of what happened to runs, nights and intakes.

A sentence is in the language that is spoken when the notice is stored: call it inside of `Context.spoken`.
"""

from datetime import datetime, timedelta
from pathlib import Path

from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import gettext, ngettext, retold
from returns_pipeline.records.notices import Data, Notice, NoticeKind
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.records.text import iso, printable
from returns_pipeline.report.words import counted, run_kind
from returns_pipeline.store import images, nights, review_queue, run_closing, run_statistics, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import schedule, unusual_nights
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.notice_texts import unusual_text
from returns_pipeline.usecases.unusual_nights import Night, Unusual

#: Open work that is older is told.
_OLD = timedelta(hours=1)


def of_closing(context: Context, summary: RunSummary) -> tuple[int | None, list[Notice]]:
    """Return how many predictions of a run that closes are unsure, and what to tell.

    Ad hoc runs tell nothing. Call it after the run's labels are counted and its images are in the review
    queue.
    """
    if summary.kind is RunKind.ADHOC:
        return None, []
    unsure = review_queue.doubts(context.db, summary.id)
    told = [_finished(summary, unsure)]
    if summary.counts.failed:
        told.append(_failed_images(summary))
    if summary.kind.is_night and (unusual := judge_night(context.db, summary, unsure)):
        told.append(_unusual(summary, unusual))
    return unsure, told


def unusual_cause(run_id: int) -> str:
    """Return the cause of the notice that a night is unusual."""
    return f"{NoticeKind.NIGHT_UNUSUAL}:{run_id}"


def judge_night(db: Database, summary: RunSummary, unsure: int) -> Unusual | None:
    """Return what is unusual about a night that closes, compared with the last nights of its intake."""
    before = run_statistics.nights_before(db, summary.id, unusual_nights.MOST_NIGHTS)
    if len(before) < unusual_nights.LEAST_NIGHTS:
        return None
    labels = run_statistics.labels(db, [summary.id, *before])
    night = Night(labels[summary.id], summary.counts.classified, unsure)
    return unusual_nights.judge(night, [Night(labels[run], *counts) for run, counts in before.items()])


def _finished(summary: RunSummary, unsure: int) -> Notice:
    counts = summary.counts
    without = counts.quarantined + counts.failed
    about = {
        "run": summary.id,
        "why": run_kind(summary.kind),
        "photos": counted(counts.seen, "photo"),
        "unsure": unsure,
    }
    return Notice(
        f"{NoticeKind.RUN_FINISHED}:{summary.id}",
        NoticeKind.RUN_FINISHED,
        gettext(
            "Run {run} ({why}) is finished: {photos}, {without:,} without a prediction, "
            "{unsure:,} to review.",
            **about,
            without=without,
        )
        if without
        else gettext("Run {run} ({why}) is finished: {photos}, {unsure:,} to review.", **about),
        {
            "run": summary.id,
            "kind": summary.kind.value,
            "model": str(summary.model),
            "opened_at": iso(summary.opened_at),
            "closed_at": iso(summary.closed_at) if summary.closed_at else None,
            "seen": counts.seen,
            "classified": counts.classified,
            "quarantined": counts.quarantined,
            "failed": counts.failed,
            "unsure": unsure,
        },
    )


def _failed_images(summary: RunSummary) -> Notice:
    failed = summary.counts.failed
    return Notice(
        f"{NoticeKind.RUN_FAILED}:{summary.id}",
        NoticeKind.RUN_FAILED,
        ngettext(
            "Run {run} ({why}): {count} photo failed with an error of this system. An operator "
            "finds the cause in the log, repairs it and tries the photo again on the page of the run.",
            "Run {run} ({why}): {count} photos failed with an error of this system. An operator "
            "finds the cause in the log, repairs it and tries the photos again on the page of the run.",
            failed,
            run=summary.id,
            why=run_kind(summary.kind),
        ),
        {"run": summary.id, "kind": summary.kind.value, "failed": failed, "reason": None},
    )


def cannot_close(run_id: int, error: Exception) -> Notice:
    """Return the notice of a run that could not be closed because of an error of this system."""
    reason = printable(error)[:500]
    return Notice(
        f"{NoticeKind.RUN_FAILED}:{run_id}:closing",
        NoticeKind.RUN_FAILED,
        gettext("Run {run} cannot be closed: {reason}", run=run_id, reason=retold(reason)),
        {"run": run_id, "kind": None, "failed": None, "reason": reason},
    )


def _unusual(summary: RunSummary, found: Unusual) -> Notice:
    share, usual_share = found.unsure or (None, None)
    data: Data = {
        "run": summary.id,
        "distance": found.distance,
        "categories": [label for label, _, _ in found.changed],
        "shares": [round(share, 6) for _, share, _ in found.changed],
        "usual_shares": [round(usual, 6) for _, _, usual in found.changed],
        "unsure_share": share,
        "usual_unsure_share": usual_share,
    }
    return Notice(unusual_cause(summary.id), NoticeKind.NIGHT_UNUSUAL, unusual_text(data), data)


def empty_intake(run_id: int, folder: Path, fault: ConfigFault) -> Notice:
    """Return the notice of an intake that may be empty by mistake."""
    return Notice(
        f"{NoticeKind.INTAKE_EMPTY}:{run_id}",
        NoticeKind.INTAKE_EMPTY,
        printable(fault.shown),
        {"run": run_id, "folder": printable(folder)},
    )


def late_nights(context: Context, now: datetime) -> list[Notice]:
    """Return a notice for each intake whose newest night is not finished, although it counts as late."""
    settings, db = context.settings, context.db
    due = schedule.last_due(settings, now)
    late = schedule.late_at(settings, due)
    if now < late:
        return []
    night, found = schedule.night_request(due), []
    for intake in settings.every_intake:
        request = schedule.request_of_intake(night, settings, intake.model)
        about: dict[str, object] = {"due": due, "folder": printable(intake.folder)}
        run_id = runs.find_request(db, request)
        if run_id is None:
            is_late = nights.night_is_missing(db, request, due)
            text = gettext(
                "The night of {due:%Y-%m-%d %H:%M} UTC is late: the scan of {folder} has not begun.", **about
            )
        else:
            progress = runs.progress(db, run_id)
            is_late = progress.state is not RunState.CLOSED
            text = ngettext(
                "The night of {due:%Y-%m-%d %H:%M} UTC is late: the scan of {folder} has done {done:,} of "
                "{count} photo.",
                "The night of {due:%Y-%m-%d %H:%M} UTC is late: the scan of {folder} has done {done:,} of "
                "{count} photos.",
                progress.total,
                done=progress.done,
                **about,
            )
        if is_late:
            found.append(
                Notice(
                    f"{NoticeKind.NIGHT_LATE}:{request}",
                    NoticeKind.NIGHT_LATE,
                    text,
                    {"run": run_id, "due": iso(due), "late": iso(late), "folder": printable(intake.folder)},
                )
            )
    return found


def old_work(context: Context, now: datetime) -> list[Notice]:
    """Return a notice for each run with work that is open for over an hour."""
    found = []
    for run_id in run_closing.open_since(context.db, now - _OLD):
        work = images.open_work(context.db, run_id)
        fault = printable(work.fault) if work.fault else None
        text = ngettext(
            "Run {run} is open for over an hour, with {count} photo to do.",
            "Run {run} is open for over an hour, with {count} photos to do.",
            work.images,
            run=run_id,
        )
        if fault:
            text = f"{text} {gettext('The last error: {reason}', reason=retold(fault))}"
        found.append(
            Notice(
                f"{NoticeKind.WORK_OLD}:{run_id}",
                NoticeKind.WORK_OLD,
                text,
                {"run": run_id, "open_images": work.images, "open_chunks": work.chunks, "fault": fault},
            )
        )
    return found
