"""Words for photos: states, places, steps, reviews, and why one has no prediction."""

from collections.abc import Mapping

from returns_pipeline.errors import FaultCode
from returns_pipeline.languages import N_, Words, category, gettext, ngettext, number
from returns_pipeline.records.feeds import FeedCounts
from returns_pipeline.records.images import FilePlace, ImageState, LabelSource
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.removal import RetentionPass
from returns_pipeline.records.reviews import Event, ReviewAction, ReviewKind, ReviewOutcome
from returns_pipeline.report.words.counting import counted

IMAGE_STATES = Words(
    {
        ImageState.PENDING: N_("waiting"),
        ImageState.CLASSIFIED: N_("classified"),
        ImageState.QUARANTINED: N_("unusable"),
        ImageState.FAILED: N_("failed"),
        ImageState.UNKNOWN: N_("unknown"),
    }
)


DECISIONS = Words(
    {
        Decision.AUTO: N_("sure"),
        Decision.REVIEW: N_("unsure"),
        Decision.UNKNOWN: N_("unknown"),
    }
)


LABEL_SOURCES = Words(
    {
        LabelSource.MODEL: N_("the model"),
        LabelSource.PERSON: N_("a person"),
        LabelSource.SLIP: N_("none: the slip of a return"),
        LabelSource.UNKNOWN: N_("unknown"),
    }
)


#: An outcome that the shop adds in its settings is shown as it is.
REVIEW_OUTCOMES = Words(
    {
        ReviewOutcome.LABEL: N_("a category"),
        ReviewOutcome.NONE_OF_THESE: N_("none of these"),
        ReviewOutcome.UNREADABLE: N_("not recognizable"),
        ReviewOutcome.RETAKE: N_("photograph again"),
    }
)


#: Why a photo waits for a review.
REVIEW_KINDS = Words(
    {
        ReviewKind.DOUBT: N_("the model was unsure"),
        ReviewKind.AUDIT: N_("a sample of the sure ones"),
        ReviewKind.MARKED: N_("marked as wrong"),
        ReviewKind.UNKNOWN: N_("unknown"),
    }
)


#: The steps of an image's history. `{detail}` is a label, an outcome, a state or a place, in words.
STEPS = Words(
    {
        "received": N_("The photo came in."),
        "predicted": N_("Classified as {detail}."),
        "finished": N_("The result was stored: {detail}."),
        "photo_removed": N_(
            "The photo was removed, because it was older than photos are kept. Its result stays."
        ),
        "moved": N_("The file was moved to {detail}."),
        ReviewAction.ACCEPT: N_("Confirmed as {detail}."),
        ReviewAction.CORRECT: N_("Corrected to {detail}."),
        ReviewAction.SKIP: N_("Skipped."),
        ReviewAction.UNDO: N_("The last action was taken back."),
    }
)


#: Where a file is moved to.
_DESTINATIONS = Words(
    {
        FilePlace.ARCHIVE: N_("the archive"),
        FilePlace.QUARANTINE: N_("quarantine, the folder of photos without a prediction"),
    }
)


#: Where the file of an image is.
FILE_PLACES = Words(
    {
        FilePlace.WAITING: N_("where it came in, waiting to be classified"),
        FilePlace.LEAVING: N_("where it came in, about to be moved to the archive or to quarantine"),
        FilePlace.STAYING: N_("still in the folder it came from, because it cannot be moved away from there"),
        FilePlace.NAMED: N_("in the folder it came from: a photo that is named by hand stays there"),
        FilePlace.ARCHIVE: N_("in the archive"),
        FilePlace.QUARANTINE: N_("in quarantine, the folder of photos without a prediction"),
        FilePlace.REMOVED: N_("removed, because photos are kept for a limited time; its result is kept"),
        FilePlace.DELETED: N_("deleted"),
        FilePlace.GONE: N_("gone: it was no longer in its folder when the program wanted to read or move it"),
    }
)


#: What retention keeps back: the fields of RetentionCounts.
RETENTION_KEPT = Words(
    {
        "waiting": N_("Kept because they wait for a review: {count}."),
        "open_runs": N_("Kept because their run is not finished: {count}."),
        "different": N_("Kept because another file lies in their place: {count}."),
        "failed": N_("Kept because they could not be removed: {count}."),
        "gone": N_("Not there any more: {count}."),
    }
)


#: Where the file of an image was when it disappeared.
_FILE_MISSING = Words(
    {
        FilePlace.ARCHIVE: N_("gone: it was in the archive, and is not there any more"),
        FilePlace.QUARANTINE: N_("gone: it was in quarantine, and is not there any more"),
    }
)


_MISSING_ELSEWHERE = N_("gone: it was in the folder it came from, and is not there any more")


#: Why a photo has no prediction, and what to do next, for people without access to the server.
UNUSABLE: Mapping[str, tuple[str, str]] = {
    FaultCode.EMPTY_FILE: (
        N_("The file is empty: its copy was broken off, or the camera did not write it."),
        N_("Take the photo again, or copy it again from the camera."),
    ),
    FaultCode.NOT_AN_IMAGE: (
        N_("The file is not a photo, whatever its name says."),
        N_(
            "If it should be a photo, send the photo again. A reviewer can download the file to "
            "see what it is."
        ),
    ),
    FaultCode.UNSUPPORTED_FORMAT: (
        N_("The photo has a format that this program does not read."),
        N_("Save it as JPEG or PNG and send it again; set the camera to JPEG."),
    ),
    FaultCode.TRUNCATED: (
        N_("The photo is damaged or its end is missing. That happens if copying is broken off."),
        N_("Copy the photo again from the camera. If it looks the same there, take it again."),
    ),
    FaultCode.TOO_LARGE: (
        N_("The file is larger than this program accepts."),
        N_("Save the photo smaller and send it again, or ask an operator to raise the limit."),
    ),
    FaultCode.TOO_MANY_PIXELS: (
        N_("The photo has more pixels than this program accepts."),
        N_("Save the photo smaller and send it again, or ask an operator to raise the limit."),
    ),
    FaultCode.UNREADABLE: (
        N_("The program may not open the file, or the disk could not read it."),
        N_("Ask an operator to check the file's permissions and the disk, then to try the photo again."),
    ),
    FaultCode.VANISHED: (
        N_("The file was taken away before the program could read it."),
        N_("Put the photo into the intake again and leave it there: the program moves it."),
    ),
    FaultCode.CHANGED: (
        N_("The file was replaced or changed while the program worked on it."),
        N_("Nothing, if the newer photo is in the list. Else put the photo into the intake again."),
    ),
    FaultCode.TIMED_OUT: (
        N_("Opening the photo took too long."),
        N_("Take the photo again, or ask an operator to try it again when the server has less to do."),
    ),
    FaultCode.KILLED_WORKER: (
        N_("The program broke down at this photo each time it tried."),
        N_("Take the photo again. Tell an operator: the original helps to repair the program."),
    ),
    FaultCode.GAVE_UP: (
        N_("The program failed each time it tried. The photo itself may be in order."),
        N_("Ask an operator to repair the cause, which is in the reason below, and to try the photo again."),
    ),
}


def feed_line(feed: str, counts: FeedCounts) -> str:
    """Return what became of the addresses of a feed, a sentence."""
    return gettext(
        "Addresses of the feed {feed}: {waiting} waiting, {fetched} fetched, {refused} refused.",
        feed=feed,
        waiting=number(counts.waiting),
        fetched=number(counts.fetched),
        refused=number(counts.refused),
    )


def retention(last: RetentionPass) -> list[str]:
    """Return what a pass over old photos did, a sentence for each count."""
    sentences = [
        ngettext(
            "{count} photo older than {days} days removed.",
            "{count} photos older than {days} days removed.",
            last.counts.removed,
            days=last.keep_days,
        )
    ]
    for name, sentence in RETENTION_KEPT.items():
        if count := getattr(last.counts, name):
            sentences.append(sentence.format(count=number(count)))
    if last.finished_at is None:
        sentences.append(gettext("This goes on while no night runs."))
    return sentences


#: What the shipped models know, as their bundles say it.
_KNOWN = (
    N_("grey pictures of clothes, 28 x 28 pixels (Fashion-MNIST)"),
    N_("colour photos of clothes that people took at home"),
)


def object_requests(count: int, photos: int) -> str:
    """Return how many requests object stores got, in all and for each photo."""
    return gettext(
        "{requests} to the object store, {each:.1f} for each photo.",
        requests=counted(count, "request"),
        each=count / max(1, photos),
    )


def coloured(
    count: int,
    total: int,
    model: object,
    knows: str = N_("grey pictures only"),
    *,
    may_choose: bool = True,
) -> str:
    """Return the warning that a model for grey pictures was given colour photos; `knows` says for which.

    `may_choose`: whether the reader chooses the model of this installation.
    """
    known = gettext(knows)
    if count == total == 1:
        which = gettext(
            "The photo has colours, but the model {model} knows {knows}.", model=model, knows=known
        )
    else:
        which = gettext(
            "{count:,} of {total:,} photos have colours, but the model {model} knows {knows}.",
            count=count,
            total=total,
            model=model,
            knows=known,
        )
    review = gettext("Predictions for colour photos are unsure, so a person must review each.")
    advice = (
        gettext(
            "For colour photos choose another model, for example clothing: set RETURNS_MODEL to clothing."
        )
        if may_choose
        else gettext("Tell the operator of this system: another model may know them.")
    )
    return f"{which} {review} {advice}"


def fault(code: str) -> str:
    """Return the sentence of a fault code."""
    return FaultCode(code).shown if code in set(FaultCode) else code


def unusable(code: str) -> tuple[str, str]:
    """Return why a photo has no prediction, and what to do next; both for people."""
    why, what_to_do = UNUSABLE.get(code, (code, N_("Ask an operator.")))
    return gettext(why), gettext(what_to_do)


def file_missing(place: str) -> str:
    """Return where the file of an image was when it disappeared."""
    return _FILE_MISSING.get(place) or gettext(_MISSING_ELSEWHERE)


def step(event: Event) -> str:
    """Return a step of an image's history as a sentence."""
    if event.what == "finished":
        detail = IMAGE_STATES.get(event.detail, event.detail)
    elif event.what == "moved":
        detail = _DESTINATIONS.get(event.detail, event.detail)
    else:
        detail = REVIEW_OUTCOMES.get(event.detail) or category(event.detail)
    return STEPS.get(event.what, event.what).format(detail=detail)


def outcome(code: str | None) -> str:
    """Return the outcome of a review for people."""
    return REVIEW_OUTCOMES.get(code, code) if code else ""
