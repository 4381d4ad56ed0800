"""Kinds and states of runs in words for people. JSON and the database keep the codes."""

from returns_pipeline.records.runs import RunKind, RunState

_KINDS = {
    RunKind.NIGHTLY: "night",
    RunKind.CATCH_UP: "late night",
    RunKind.SCAN: "scan",
    RunKind.ADHOC: "single photos",
    RunKind.RETRY: "retry",
    RunKind.API: "HTTP",
    RunKind.UNKNOWN: "unknown",
}
_STATES = {
    RunState.SCANNING: "looking for photos",
    RunState.RUNNING: "working on it",
    RunState.CLOSING: "writing the report",
    RunState.CLOSED: "finished",
}


def kind_words(kind: RunKind) -> str:
    """Return why a run was opened, in one to three words."""
    return _KINDS[kind]


def state_words(state: RunState, done: int | None = None, total: int | None = None) -> str:
    """Return how far a run is, with its photos `done` and in `total` while they are classified, if given."""
    if state is RunState.RUNNING and done is not None and total is not None:
        return f"{_STATES[state]}: {done:,} of {total:,} photos"
    return _STATES[state]
