"""Words for runs, models, notices and what the search box understands."""

from collections.abc import Mapping
from dataclasses import asdict

from returns_pipeline.languages import N_, Words, gettext, ngettext, number
from returns_pipeline.records.models import ModelAction, ModelStage
from returns_pipeline.records.notices import DeliveryCounts
from returns_pipeline.records.runs import LeftBehind, RunKind, RunState

RUN_KINDS = Words(
    {
        RunKind.NIGHTLY: N_("night"),
        RunKind.CATCH_UP: N_("night, caught up"),
        RunKind.SCAN: N_("asked for by hand"),
        RunKind.ADHOC: N_("single photos, asked for by hand"),
        RunKind.RETRY: N_("tried again"),
        RunKind.API: N_("sent by another program"),
        RunKind.UNKNOWN: N_("unknown"),
    }
)


#: `{done}` and `{total}` are numbers of photos. A page fills them in while it follows a run.
RUN_STATES = Words(
    {
        RunState.SCANNING: N_("taking in photos"),
        RunState.RUNNING: N_("working on it: {done} of {total} photos"),
        RunState.CLOSING: N_("writing the report"),
        RunState.CLOSED: N_("finished"),
        RunState.UNKNOWN: N_("unknown"),
    }
)


#: What the search box has understood: the kinds of `Search.meanings`.
SEARCHED = Words(
    {
        "name": N_("name contains"),
        "start": N_("name begins with"),
        "number": N_("name contains, or photo number"),
        "start_number": N_("name begins with, or photo number"),
        "photo": N_("photo number"),
        "run": N_("run"),
        "category": N_("category"),
        "reviewer": N_("reviewed by"),
        "state": N_("state"),
        "date": N_("came in"),
    }
)


MODEL_STAGES = Words(
    {
        ModelStage.CANDIDATE: N_("candidate"),
        ModelStage.ACTIVE: N_("active"),
        ModelStage.ARCHIVED: N_("used before"),
        ModelStage.UNKNOWN: N_("unknown"),
    }
)


MODEL_ACTIONS = Words(
    {
        ModelAction.REGISTER: N_("added"),
        ModelAction.PROMOTE: N_("promoted"),
        ModelAction.ROLLBACK: N_("rolled back"),
        ModelAction.FIRST_USE: N_("first used"),
        ModelAction.SHADOW: N_("compared at night"),
        ModelAction.UNKNOWN: N_("unknown"),
    }
)


def run_kind(code: str) -> str:
    """Return why a run was opened."""
    return RUN_KINDS.get(code, code)


def run_states(kind: str) -> Mapping[str, str]:
    """Return the states of runs of a kind. A run of single photos scans nothing: it waits for the next."""
    states = dict(RUN_STATES)
    if kind == RunKind.API:
        states[RunState.SCANNING] = gettext("open for today's photos: {done} of {total} done")
    return states


def run_state(code: str, done: int, total: int, kind: str = "") -> str:
    """Return how far a run of a kind is, with `done` of `total` photos."""
    return run_states(kind).get(code, code).format(done=number(done), total=number(total))


def left_there(name: str, count: int) -> str:
    """Return how many things of one kind, a field of LeftBehind, a scan left in its intake."""
    match name:
        case "still_changing":
            return ngettext("1 file was still changing.", "{count} files were still changing.", count)
        case "skipped":
            return ngettext(
                "1 other file or folder was skipped.", "{count} other files or folders were skipped.", count
            )
        case "unreadable_folders":
            return ngettext("1 folder could not be read.", "{count} folders could not be read.", count)
    raise KeyError(name)


def left_behind(left: LeftBehind) -> list[str]:
    """Return what a scan left in its intake, a sentence for each kind of thing; empty if nothing."""
    return [left_there(name, count) for name, count in asdict(left).items() if count]


def undelivered(counts: DeliveryCounts) -> str:
    """Return how many notices have not arrived, in a sentence for each case; empty if every one has."""
    sentences = []
    if counts.failing:
        sentences.append(
            ngettext(
                "{count} notice not delivered yet; they are tried again.",
                "{count} notices not delivered yet; they are tried again.",
                counts.failing,
            )
        )
    if counts.given_up:
        sentences.append(
            ngettext(
                "{count} notice could not be delivered.",
                "{count} notices could not be delivered.",
                counts.given_up,
            )
        )
    return " ".join(sentences)
