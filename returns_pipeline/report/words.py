"""Codes as words for people: the one place where pages and reports get them, and where a translation goes.

A code that is missing here comes from a newer version of this program. It is shown as it is.
"""

from collections.abc import Mapping
from dataclasses import asdict

from returns_pipeline.errors import FaultCode
from returns_pipeline.records.images import ImageState, LabelSource
from returns_pipeline.records.models import ModelAction, ModelStage
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviews import ReviewAction, ReviewOutcome
from returns_pipeline.records.runs import LeftBehind, RunKind, RunState

RUN_KINDS: Mapping[str, str] = {
    RunKind.NIGHTLY: "night",
    RunKind.CATCH_UP: "night, caught up",
    RunKind.SCAN: "asked for by hand",
    RunKind.ADHOC: "single photos, asked for by hand",
    RunKind.RETRY: "tried again",
    RunKind.API: "sent over HTTP",
    RunKind.UNKNOWN: "unknown",
}

#: `{done}` and `{total}` are numbers of photos. A page fills them in while it follows a run.
RUN_STATES: Mapping[str, str] = {
    RunState.SCANNING: "taking in photos",
    RunState.RUNNING: "working on it: {done} of {total} photos",
    RunState.CLOSING: "writing the report",
    RunState.CLOSED: "finished",
    RunState.UNKNOWN: "unknown",
}

IMAGE_STATES: Mapping[str, str] = {
    ImageState.PENDING: "waiting",
    ImageState.CLASSIFIED: "classified",
    ImageState.QUARANTINED: "unusable",
    ImageState.FAILED: "failed",
    ImageState.UNKNOWN: "unknown",
}

DECISIONS: Mapping[str, str] = {
    Decision.AUTO: "sure",
    Decision.REVIEW: "unsure",
    Decision.UNKNOWN: "unknown",
}

LABEL_SOURCES: Mapping[str, str] = {
    LabelSource.MODEL: "the model",
    LabelSource.PERSON: "a person",
    LabelSource.UNKNOWN: "unknown",
}

#: An outcome that the shop adds in its settings is shown as it is.
REVIEW_OUTCOMES: Mapping[str, str] = {
    ReviewOutcome.LABEL: "a category",
    ReviewOutcome.NONE_OF_THESE: "none of these",
    ReviewOutcome.UNREADABLE: "not recognizable",
    ReviewOutcome.RETAKE: "photograph again",
}

#: The steps of an image's history.
EVENTS: Mapping[str, str] = {
    "received": "came in",
    "predicted": "classified",
    "finished": "stored",
    ReviewAction.ACCEPT: "confirmed",
    ReviewAction.CORRECT: "corrected",
    ReviewAction.SKIP: "skipped",
    ReviewAction.UNDO: "taken back",
}

#: What a scan leaves in its intake: the sentences for one and for several.
LEFT_BEHIND: Mapping[str, tuple[str, str]] = {
    "still_changing": ("1 file was still changing.", "{count} files were still changing."),
    "skipped": ("1 other file or folder was skipped.", "{count} other files or folders were skipped."),
    "unreadable_folders": ("1 folder could not be read.", "{count} folders could not be read."),
}

MODEL_STAGES: Mapping[str, str] = {
    ModelStage.CANDIDATE: "candidate",
    ModelStage.ACTIVE: "active",
    ModelStage.ARCHIVED: "used before",
    ModelStage.UNKNOWN: "unknown",
}

MODEL_ACTIONS: Mapping[str, str] = {
    ModelAction.REGISTER: "added",
    ModelAction.PROMOTE: "promoted",
    ModelAction.ROLLBACK: "rolled back",
    ModelAction.FIRST_USE: "first used",
    ModelAction.SHADOW: "compared at night",
    ModelAction.UNKNOWN: "unknown",
}


def run_kind(code: str) -> str:
    """Return why a run was opened."""
    return RUN_KINDS.get(code, code)


def run_states(kind: str) -> Mapping[str, str]:
    """Return the states of runs of a kind. A run of single photos scans nothing: it waits for the next."""
    if kind != RunKind.API:
        return RUN_STATES
    return {**RUN_STATES, RunState.SCANNING: "open for today's photos: {done} of {total} done"}


def run_state(code: str, done: int, total: int, kind: str = "") -> str:
    """Return how far a run of a kind is, with `done` of `total` photos."""
    return run_states(kind).get(code, code).format(done=f"{done:,}", total=f"{total:,}")


def left_there(name: str, count: int) -> str:
    """Return how many things of one kind, a field of LeftBehind, a scan left in its intake."""
    one, several = LEFT_BEHIND[name]
    return one if count == 1 else several.format(count=f"{count:,}")


def left_behind(left: LeftBehind) -> list[str]:
    """Return what a scan left in its intake, a sentence for each kind of thing; empty if nothing."""
    return [left_there(name, count) for name, count in asdict(left).items() if count]


def coloured(count: int, total: int, model: object, knows: str = "grey pictures only") -> str:
    """Return the warning that a model for grey pictures was given colour photos; `knows` says for which."""
    which = "The photo has" if count == total == 1 else f"{count:,} of {total:,} photos have"
    return (
        f"{which} colours, but the model {model} knows {knows}. Predictions for colour photos are unsure, "
        "so a person must review each. For colour photos choose another model, for example clothing: "
        "RETURNS_MODEL=clothing."
    )


def fault(code: str) -> str:
    """Return the sentence of a fault code."""
    return FaultCode(code).sentence if code in set(FaultCode) else code


def outcome(code: str | None) -> str:
    """Return the outcome of a review for people."""
    return REVIEW_OUTCOMES.get(code, code) if code else ""
