"""Codes and numbers as words for people: the one place for pages and reports, and for a translation.

A code that is missing here comes from a newer version of this program. It is shown as it is.
"""

from collections.abc import Mapping
from dataclasses import asdict

from returns_pipeline.errors import FaultCode
from returns_pipeline.records.images import FilePlace, ImageState, LabelSource
from returns_pipeline.records.models import ModelAction, ModelStage
from returns_pipeline.records.notices import DeliveryCounts
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviews import Event, ReviewAction, ReviewKind, ReviewOutcome
from returns_pipeline.records.runs import LeftBehind, RunKind, RunState
from returns_pipeline.records.verdicts import Verdict, VerdictKind, VerdictReason

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

#: Why a photo waits for a review.
REVIEW_KINDS: Mapping[str, str] = {
    ReviewKind.DOUBT: "the model was unsure",
    ReviewKind.AUDIT: "a sample of the sure ones",
    ReviewKind.MARKED: "marked as wrong",
    ReviewKind.UNKNOWN: "unknown",
}

#: The steps of an image's history. `{detail}` is a label, an outcome, a state or a place, in words.
STEPS: Mapping[str, str] = {
    "received": "The photo came in.",
    "predicted": "Classified as {detail}.",
    "finished": "The result was stored: {detail}.",
    "moved": "The file was moved to {detail}.",
    ReviewAction.ACCEPT: "Confirmed as {detail}.",
    ReviewAction.CORRECT: "Corrected to {detail}.",
    ReviewAction.SKIP: "Skipped.",
    ReviewAction.UNDO: "The last action was taken back.",
}

#: Where a file is moved to.
_DESTINATIONS: Mapping[str, str] = {
    FilePlace.ARCHIVE: "the archive",
    FilePlace.QUARANTINE: "quarantine, the folder of photos without a prediction",
}

#: Where the file of an image is.
FILE_PLACES: Mapping[str, str] = {
    FilePlace.WAITING: "where it came in, waiting to be classified",
    FilePlace.LEAVING: "where it came in, about to be moved to the archive or to quarantine",
    FilePlace.STAYING: "still in the folder it came from, because it cannot be moved away from there",
    FilePlace.NAMED: "in the folder it came from: a photo that is named by hand stays there",
    FilePlace.ARCHIVE: "in the archive",
    FilePlace.QUARANTINE: "in quarantine, the folder of photos without a prediction",
    FilePlace.GONE: "gone: it was no longer in its folder when the program wanted to read or move it",
}

#: Where the file of an image was when it disappeared.
FILE_MISSING = "gone: it was {place}, and is not there any more"

#: Why a photo has no prediction, and what to do next, for people without access to the server.
UNUSABLE: Mapping[str, tuple[str, str]] = {
    FaultCode.EMPTY_FILE: (
        "The file is empty: its copy was broken off, or the camera did not write it.",
        "Take the photo again, or copy it again from the camera.",
    ),
    FaultCode.NOT_AN_IMAGE: (
        "The file is not a photo, whatever its name says.",
        "If it should be a photo, send the photo again. A reviewer can download the file to see what it is.",
    ),
    FaultCode.UNSUPPORTED_FORMAT: (
        "The photo has a format that this program does not read.",
        "Save it as JPEG or PNG and send it again; set the camera to JPEG.",
    ),
    FaultCode.TRUNCATED: (
        "The photo is damaged or its end is missing. That happens if copying is broken off.",
        "Copy the photo again from the camera. If it looks the same there, take it again.",
    ),
    FaultCode.TOO_LARGE: (
        "The file is larger than this program accepts.",
        "Save the photo smaller and send it again, or ask an operator to raise the limit.",
    ),
    FaultCode.TOO_MANY_PIXELS: (
        "The photo has more pixels than this program accepts.",
        "Save the photo smaller and send it again, or ask an operator to raise the limit.",
    ),
    FaultCode.UNREADABLE: (
        "The program may not open the file, or the disk could not read it.",
        "Ask an operator to check the file's permissions and the disk, then to try the photo again.",
    ),
    FaultCode.VANISHED: (
        "The file was taken away before the program could read it.",
        "Put the photo into the intake again and leave it there: the program moves it.",
    ),
    FaultCode.CHANGED: (
        "The file was replaced or changed while the program worked on it.",
        "Nothing, if the newer photo is in the list. Else put the photo into the intake again.",
    ),
    FaultCode.TIMED_OUT: (
        "Opening the photo took too long.",
        "Take the photo again, or ask an operator to try it again when the server has less to do.",
    ),
    FaultCode.KILLED_WORKER: (
        "The program broke down at this photo each time it tried.",
        "Take the photo again. Tell an operator: the original helps to repair the program.",
    ),
    FaultCode.GAVE_UP: (
        "The program failed each time it tried. The photo itself may be in order.",
        "Ask an operator to repair the cause, which is in the reason below, and to try the photo again.",
    ),
}

VERDICTS: Mapping[str, str] = {
    VerdictKind.MATCH: "as expected",
    VerdictKind.MISMATCH: "another category",
    VerdictKind.UNSURE: "unsure",
    VerdictKind.UNEXPECTED: "not announced",
    VerdictKind.NO_PHOTO: "no photo",
    VerdictKind.REUSED_PHOTO: "photo used before",
    VerdictKind.UNREADABLE: "photo empty or unreadable",
    VerdictKind.UNKNOWN: "unknown",
}

#: Why a return has its verdict, by kind and reason: the sentences for one photo and for several. `{expected}`
#: and `{found}` are categories, `{sure}` is a percentage, `{count}` a number of photos.
VERDICT_SENTENCES: Mapping[tuple[str, str], tuple[str, str]] = {
    (VerdictKind.MATCH, VerdictReason.PROBABLE): (
        "Expected: {expected}. The photo shows that, with a probability of {sure}.",
        "Expected: {expected}. The {count} photos show that, with a probability of {sure}.",
    ),
    (VerdictKind.MATCH, VerdictReason.REVIEWED): (
        "Expected: {expected}. A reviewer saw that in the photo.",
        "Expected: {expected}. Reviewers saw that in {count} photos.",
    ),
    (VerdictKind.MISMATCH, VerdictReason.PROBABLE): (
        "Expected: {expected}. The photo shows: {found}. The category is another one with a probability of "
        "{sure}.",
        "Expected: {expected}. The {count} photos show: {found}. The category is another one with a "
        "probability of {sure}.",
    ),
    (VerdictKind.MISMATCH, VerdictReason.REVIEWED): (
        "Expected: {expected}. A reviewer saw in the photo: {found}.",
        "Expected: {expected}. Reviewers saw in {count} photos: {found}.",
    ),
    (VerdictKind.UNSURE, VerdictReason.PROBABLE): (
        "Expected: {expected}. The photo shows that with a probability of {sure}; most probable is: {found}. "
        "A person must decide.",
        "Expected: {expected}. The {count} photos show that with a probability of {sure}; most probable is: "
        "{found}. A person must decide.",
    ),
    (VerdictKind.UNSURE, VerdictReason.REVIEWS_DIFFER): (
        "Expected: {expected}. Reviewers saw that and also: {found}.",
        "Expected: {expected}. In {count} photos, reviewers saw that and also: {found}.",
    ),
    (VerdictKind.UNSURE, VerdictReason.NO_CATEGORY): (
        "No category was announced. The photo shows: {found}.",
        "No category was announced. The {count} photos show: {found}.",
    ),
    (VerdictKind.UNSURE, VerdictReason.UNKNOWN_CATEGORY): (
        "Expected: {expected}. The model does not know this category. The photo shows: {found}.",
        "Expected: {expected}. The model does not know this category. The {count} photos show: {found}.",
    ),
    (VerdictKind.UNEXPECTED, VerdictReason.NOT_ANNOUNCED): (
        "No return with this number was announced.",
        "No return with this number was announced.",
    ),
    (VerdictKind.NO_PHOTO, VerdictReason.NOTHING_CAME): (
        "The return was announced, but no photo of it came in time.",
        "The return was announced, but no photo of it came in time.",
    ),
    (VerdictKind.REUSED_PHOTO, VerdictReason.SEEN_BEFORE): (
        "A photo of this return came in before, with another return.",
        "{count} photos of this return came in before, with other returns.",
    ),
    (VerdictKind.UNREADABLE, VerdictReason.NOTHING_READABLE): (
        "The photo is empty or cannot be read.",
        "All {count} photos are empty or cannot be read.",
    ),
}

#: Follows the sentence of a verdict whose thresholds were not measured.
VERDICT_ASSUMED = "How sure the model must be was assumed, because it was not measured for this model."

#: What the search box has understood: the kinds of `Search.meanings`.
SEARCHED: Mapping[str, str] = {
    "name": "name contains",
    "start": "name begins with",
    "number": "name contains, or photo number",
    "start_number": "name begins with, or photo number",
    "photo": "photo number",
    "run": "run",
    "category": "category",
    "reviewer": "reviewed by",
    "state": "state",
    "date": "came in",
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


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 photo`, `1,200 photos`. `many` is needed if it is not `one` + s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def with_article(noun: str) -> str:
    """Return a noun after `a` or `an`, which its first letter decides: `an operator`."""
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


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


def undelivered(counts: DeliveryCounts) -> str:
    """Return how many notices have not arrived, in a sentence for each case; empty if every one has."""
    sentences = []
    if counts.failing:
        sentences.append(f"{counted(counts.failing, 'notice')} not delivered yet; they are tried again.")
    if counts.given_up:
        sentences.append(f"{counted(counts.given_up, 'notice')} could not be delivered.")
    return " ".join(sentences)


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


def unusable(code: str) -> tuple[str, str]:
    """Return why a photo has no prediction, and what to do next; both for people."""
    return UNUSABLE.get(code, (code, "Ask an operator."))


def step(event: Event) -> str:
    """Return a step of an image's history as a sentence."""
    if event.what == "finished":
        detail = IMAGE_STATES.get(event.detail, event.detail)
    elif event.what == "moved":
        detail = _DESTINATIONS.get(event.detail, event.detail)
    else:
        detail = outcome(event.detail)
    return STEPS.get(event.what, event.what).format(detail=detail)


def verdict(found: Verdict) -> list[str]:
    """Return why a return has its verdict, and how sure that is, in sentences."""
    one, several = VERDICT_SENTENCES.get((found.kind, found.reason), (found.kind.value, found.kind.value))
    sentence = (several if found.photos > 1 else one).format(
        expected=outcome(found.expected),
        found=outcome(found.found),
        sure="" if found.sureness is None else percentage(found.sureness),
        count=f"{found.photos:,}",
    )
    return [sentence] if found.measured else [sentence, VERDICT_ASSUMED]


def percentage(share: float) -> str:
    """Return a share, 0 to 1, as a percentage. One that is neither 0 nor 1 is not rounded to 0 % or 100 %."""
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "more than 99 %"
    return f"{share:.0%}".replace("%", " %")


def outcome(code: str | None) -> str:
    """Return the outcome of a review for people."""
    return REVIEW_OUTCOMES.get(code, code) if code else ""
