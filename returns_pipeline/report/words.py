"""Codes and numbers as words for people, in the language that is spoken: for pages, reports and notices.

A code that is missing here comes from a newer version of this program. It is shown as it is.
"""

from collections.abc import Mapping
from dataclasses import asdict

from returns_pipeline.errors import FaultCode
from returns_pipeline.languages import N_, Words, category, gettext, ngettext, number, percent
from returns_pipeline.records.access import Role
from returns_pipeline.records.audit import AuditAction, AuditEvent, AuditSubject
from returns_pipeline.records.images import FilePlace, ImageState, LabelSource
from returns_pipeline.records.models import ModelAction, ModelStage
from returns_pipeline.records.notices import DeliveryCounts
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.removal import RetentionPass
from returns_pipeline.records.reviews import Event, ReviewAction, ReviewKind, ReviewOutcome
from returns_pipeline.records.runs import LeftBehind, RunKind, RunState
from returns_pipeline.records.verdicts import Verdict, VerdictKind, VerdictReason

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

#: The verdicts on a return.
VERDICTS = Words(
    {
        VerdictKind.MATCH: N_("as expected"),
        VerdictKind.MISMATCH: N_("another category"),
        VerdictKind.UNSURE: N_("unsure"),
        VerdictKind.UNEXPECTED: N_("not announced"),
        VerdictKind.NO_PHOTO: N_("no photo"),
        VerdictKind.REUSED_PHOTO: N_("photo used before"),
        VerdictKind.UNREADABLE: N_("photo empty or unreadable"),
        VerdictKind.UNKNOWN: N_("unknown"),
    }
)

#: Why a return has its verdict, by kind and reason: the sentences for one photo and for several. `{expected}`
#: and `{found}` are categories, `{sure}` is a percentage, `{count}` a number of photos.
VERDICT_SENTENCES: Mapping[tuple[str, str], tuple[str, str]] = {
    (VerdictKind.MATCH, VerdictReason.PROBABLE): (
        N_("Expected: {expected}. The photo shows that, with a probability of {sure}."),
        N_("Expected: {expected}. The {count} photos show that, with a probability of {sure}."),
    ),
    (VerdictKind.MATCH, VerdictReason.REVIEWED): (
        N_("Expected: {expected}. A reviewer saw that in the photo."),
        N_("Expected: {expected}. Reviewers saw that in {count} photos."),
    ),
    (VerdictKind.MISMATCH, VerdictReason.PROBABLE): (
        N_(
            "Expected: {expected}. The photo shows: {found}. The category is another one with a "
            "probability of {sure}."
        ),
        N_(
            "Expected: {expected}. The {count} photos show: {found}. The category is another one with a "
            "probability of {sure}."
        ),
    ),
    (VerdictKind.MISMATCH, VerdictReason.REVIEWED): (
        N_("Expected: {expected}. A reviewer saw in the photo: {found}."),
        N_("Expected: {expected}. Reviewers saw in {count} photos: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.PROBABLE): (
        N_(
            "Expected: {expected}. The photo shows that with a probability of {sure}; most probable is: "
            "{found}. A person must decide."
        ),
        N_(
            "Expected: {expected}. The {count} photos show that with a probability of {sure}; most probable "
            "is: {found}. A person must decide."
        ),
    ),
    (VerdictKind.UNSURE, VerdictReason.REVIEWS_DIFFER): (
        N_("Expected: {expected}. Reviewers saw that and also: {found}."),
        N_("Expected: {expected}. In {count} photos, reviewers saw that and also: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.NO_CATEGORY): (
        N_("No category was announced. The photo shows: {found}."),
        N_("No category was announced. The {count} photos show: {found}."),
    ),
    (VerdictKind.UNSURE, VerdictReason.UNKNOWN_CATEGORY): (
        N_("Expected: {expected}. The model does not know this category. The photo shows: {found}."),
        N_("Expected: {expected}. The model does not know this category. The {count} photos show: {found}."),
    ),
    (VerdictKind.UNEXPECTED, VerdictReason.NOT_ANNOUNCED): (
        N_("No return with this number was announced."),
        N_("No return with this number was announced."),
    ),
    (VerdictKind.NO_PHOTO, VerdictReason.NOTHING_CAME): (
        N_("The return was announced, but no photo of it came in time."),
        N_("The return was announced, but no photo of it came in time."),
    ),
    (VerdictKind.REUSED_PHOTO, VerdictReason.SEEN_BEFORE): (
        N_("A photo of this return came in before, with another return."),
        N_("{count} photos of this return came in before, with other returns."),
    ),
    (VerdictKind.UNREADABLE, VerdictReason.NOTHING_READABLE): (
        N_("The photo is empty or cannot be read."),
        N_("All {count} photos are empty or cannot be read."),
    ),
}

#: Follows the sentence of a verdict whose thresholds were not measured.
VERDICT_ASSUMED = N_("How sure the model must be was assumed, because it was not measured for this model.")

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

ROLES = Words(
    {
        Role.VIEWER: N_("viewer"),
        Role.REVIEWER: N_("reviewer"),
        Role.OPERATOR: N_("operator"),
        Role.ADMIN: N_("administrator"),
    }
)

#: What each role may do, the rights of the roles before it included.
RIGHTS = Words(
    {
        Role.VIEWER: N_("sees runs, photos and models"),
        Role.REVIEWER: N_("also sends and reviews photos, and downloads originals"),
        Role.OPERATOR: N_("also starts scans, tries photos again and chooses the model"),
        Role.ADMIN: N_("also manages users and tokens, sees the audit log and deletes photos"),
    }
)

#: The actions of the audit log.
AUDIT_ACTIONS = Words(
    {
        AuditAction.LOG_IN: N_("logged in"),
        AuditAction.LOG_OUT: N_("logged out"),
        AuditAction.LOG_IN_REFUSED: N_("log-in refused after wrong passwords"),
        AuditAction.USER_ADD: N_("user added"),
        AuditAction.USER_ROLE: N_("role changed"),
        AuditAction.USER_PASSWORD: N_("password changed"),
        AuditAction.USER_DISABLE: N_("user disabled"),
        AuditAction.USER_ENABLE: N_("user enabled"),
        AuditAction.TOKEN_ADD: N_("token added"),
        AuditAction.TOKEN_REVOKE: N_("token revoked"),
        AuditAction.SCAN: N_("scan asked for"),
        AuditAction.RETRY: N_("photos tried again"),
        AuditAction.CANCEL: N_("job cancelled"),
        AuditAction.UPLOAD: N_("photo uploaded"),
        AuditAction.MODEL_ADD: N_("model added"),
        AuditAction.PROMOTE: N_("model promoted"),
        AuditAction.ROLL_BACK: N_("model rolled back"),
        AuditAction.SHADOW: N_("comparison at night changed"),
        AuditAction.DOWNLOAD: N_("original downloaded"),
        AuditAction.VIEW: N_("original looked at"),
        AuditAction.EXPORT: N_("list downloaded"),
        AuditAction.NOTICE_RETRY: N_("notices sent again"),
        AuditAction.IMAGE_DELETE: N_("photo deleted"),
        AuditAction.RETURN_DECIDE: N_("return decided"),
        AuditAction.RETURN_CHANGE: N_("return announced or changed"),
        AuditAction.RETURNS_IMPORT: N_("returns imported"),
        AuditAction.CUSTOMER_DELETE: N_("customer's data deleted"),
        AuditAction.REVIEW: N_("reviewed"),
    }
)

#: What an action was done to. `{id}` is a number or a name.
AUDIT_SUBJECTS = Words(
    {
        AuditSubject.USER: N_("user {id}"),
        AuditSubject.TOKEN: N_("token {id}"),
        AuditSubject.RUN: N_("run {id}"),
        AuditSubject.IMAGE: N_("photo {id}"),
        AuditSubject.MODEL: N_("model {id}"),
        AuditSubject.LIST: N_("list {id}"),
        AuditSubject.NOTICE: N_("notices: {id}"),
        AuditSubject.INTAKE: N_("intake {id}"),
        AuditSubject.JOB: N_("job {id}"),
        AuditSubject.RETURN: N_("return {id}"),
        AuditSubject.IMPORT: N_("import {id}"),
        AuditSubject.CUSTOMER: N_("customer {id}"),
    }
)

#: What the detail of an event says; another detail is shown as `name: value`.
AUDIT_DETAILS = Words(
    {
        "role": N_("role: {value}"),
        "before": N_("before: {value}"),
        "address": N_("from the address {value}"),
        "reason": N_("reason: {value}"),
        "name": N_("file: {value}"),
        "format": N_("as {value}"),
        "lines": N_("lines: {value}"),
        "returns": N_("returns: {value}"),
        "photos": N_("photos: {value}"),
    }
)


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 photo`, `1,200 photos`. `many` is needed if it is not `one` + s.

    The extraction finds the nouns of calls with literals. A sentence around it needs no other form in German
    unless it uses another case than the nominative: such a sentence takes `ngettext` as a whole.
    """
    return ngettext(f"{{count}} {one}", f"{{count}} {many or one + 's'}", count)


#: What `with_article` returns for the roles, so that a refusal can be told in another language.
_WITH_ARTICLE = (N_("a viewer"), N_("a reviewer"), N_("an operator"), N_("an admin"))


def with_article(noun: str) -> str:
    """Return an English noun after `a` or `an`, which its first letter decides: `an operator`."""
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


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


def verdict(found: Verdict) -> list[str]:
    """Return why a return has its verdict, and how sure that is, in sentences."""
    one, several = VERDICT_SENTENCES.get((found.kind, found.reason), (found.kind.value, found.kind.value))
    sentence = gettext(several if found.photos > 1 else one).format(
        expected=_category_or_outcome(found.expected),
        found=_category_or_outcome(found.found),
        sure="" if found.sureness is None else percentage(found.sureness),
        count=number(found.photos),
    )
    return [sentence] if found.measured else [sentence, gettext(VERDICT_ASSUMED)]


def percentage(share: float) -> str:
    """Return a share, 0 to 1, as a percentage. One that is neither 0 nor 1 is not rounded to 0 % or 100 %."""
    if 0 < share < 0.01:
        return gettext("less than 1 %")
    if 0.99 < share < 1:
        return gettext("more than 99 %")
    return percent(share, 0)


def _category_or_outcome(code: str) -> str:
    return REVIEW_OUTCOMES.get(code) or category(code)


def outcome(code: str | None) -> str:
    """Return the outcome of a review for people."""
    return REVIEW_OUTCOMES.get(code, code) if code else ""


def role(code: str) -> str:
    """Return a role for people."""
    return ROLES.get(code, code)


def audit_subject(event: AuditEvent) -> str:
    """Return what an action was done to."""
    words = AUDIT_SUBJECTS.get(event.subject)
    return words.format(id=event.subject_id) if words else f"{event.subject} {event.subject_id}".strip()


def audit_details(event: AuditEvent) -> list[str]:
    """Return what is known about an action beside its subject; empty values are left out."""
    if event.action == AuditAction.REVIEW:
        detail = event.detail
        said = detail["label"] or detail["outcome"] or ""
        return [step(Event(event.at, detail["action"], event.who, said))]
    return [
        AUDIT_DETAILS.get(name, "{name}: {value}").format(
            name=name, value=role(str(value)) if name == "role" else value
        )
        for name, value in event.detail.items()
        if value not in (None, "", False)
    ]
