"""The bodies of REST requests and responses."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.models import ModelStage
from returns_pipeline.records.predictions import Decision, StoredPrediction
from returns_pipeline.records.reviews import ReviewAction, ReviewKind, ReviewOutcome, ReviewTask
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.records.text import pathless
from returns_pipeline.report.columns import Output, as_dict, columns_of
from returns_pipeline.usecases.models import MOST_REASON, Version
from returns_pipeline.usecases.review_grid import MOST_TOGETHER
from returns_pipeline.web.v1.matches import Match


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True)


class Run(_Body):
    """One run with its counts of images."""

    id: int
    kind: RunKind
    state: RunState
    model: str
    opened_at: datetime
    closed_at: datetime | None
    seconds: float | None
    seen: int
    classified: int
    quarantined: int
    failed: int
    pending: int
    still_changing: int = Field(description="Files that were still being written; a later scan takes them.")
    skipped: int = Field(description="Files and folders whose names scans skip.")
    unreadable_folders: int = Field(description="Subfolders of the intake that could not be read.")
    coloured: int | None = Field(
        description="Colour photos that were given to a model for grey pictures. Lists of runs have null."
    )
    requests: int | None = Field(
        description="Requests to object stores for the photos of the run. Lists of runs have null."
    )

    @classmethod
    def of(cls, run: RunSummary) -> "Run":
        """Return a run."""
        counts = run.counts
        return cls(
            id=run.id,
            kind=run.kind,
            state=run.state,
            model=str(run.model),
            opened_at=run.opened_at,
            closed_at=run.closed_at,
            seconds=run.seconds,
            seen=counts.seen,
            classified=counts.classified,
            quarantined=counts.quarantined,
            failed=counts.failed,
            pending=counts.pending,
            **asdict(run.left),
            coloured=run.coloured,
            requests=run.requests,
        )


class Runs(_Body):
    """A page of runs; `next` is the cursor of the next page."""

    runs: list[Run]
    next: str | None


class RunsVersion(_Body):
    """A text that changes when a run begins or ends."""

    version: str


def _image_fields() -> dict[str, Any]:
    """Return the fields of an image from the table of columns, as `create_model` takes them."""
    return {
        column.name: (column.type | None if column.is_optional else column.type, ...)
        for column in columns_of(Output.REST)
    }


if TYPE_CHECKING:
    _ImageFields = _Body
else:
    _ImageFields = create_model("_ImageFields", __base__=_Body, **_image_fields())


class Image(_ImageFields):
    """One image with the prediction of its run's model; null in a field means that there is no value."""

    @classmethod
    def of(cls, image: ImageResult) -> "Image":
        """Return an image without the server's folders."""
        return cls(**as_dict(Output.REST, image))


class ImageTotal(_Body):
    """A number of images: exact, or at least this many."""

    total: int
    total_is_exact: bool


class Images(_Body):
    """A page of images; `next` is the cursor of the next page."""

    images: list[Image]
    next: str | None
    total: int | None = Field(None, description="Images that `q` finds; null without `q`.")
    total_is_exact: bool | None = Field(
        None, description="False: there are more than `total`. They are counted up to 10,000."
    )


class DeletedImages(_Body):
    """What a deletion did."""

    images: list[int] = Field(description="The deleted images: all that were made of the same file.")
    files_left: int = Field(description="Files that could not be removed yet; the program tries again.")


class ModelPrediction(_Body):
    """The prediction of one version of a model; `top` holds label indices and probabilities."""

    model: str
    label: str
    probability: float
    main_category: str
    main_category_probability: float
    decision: Decision
    familiarity: float | None = Field(
        description="Share of the model's validation photos that are stranger; null for unknown."
    )
    top: list[tuple[int, float]]

    @classmethod
    def of(cls, found: StoredPrediction) -> "ModelPrediction":
        """Return a prediction."""
        return cls(
            model=str(found.model),
            label=found.label,
            probability=found.probability,
            main_category=found.main_label,
            main_category_probability=found.main_probability,
            decision=Decision(found.decision),
            familiarity=found.familiarity,
            top=list(found.top),
        )


class ImageWithPredictions(Image):
    """One image with the predictions of all versions of models."""

    predictions: list[ModelPrediction]
    matches: list[Match] = Field(description="Photos of other returns that are the same.")


class SimilarImage(Image):
    """An earlier return, and the cosine of its features and those of another image."""

    similarity: float

    @classmethod
    def of_pair(cls, image: ImageResult, similarity: float) -> "SimilarImage":
        """Return an earlier return with its similarity."""
        return cls(**as_dict(Output.REST, image), similarity=similarity)


class ImageExplanation(_Body):
    """What the model looked at, as rows of numbers from 0 to 255 over the whole image; similar returns."""

    image: int
    heat: list[list[int]]
    similar: list[SimilarImage]


class Model(_Body):
    """One version of a model; `fault` says why its bundle cannot be read."""

    name: str
    version: int
    stage: ModelStage
    labels: list[str]
    metrics: dict[str, float]
    shadow_share: float | None
    fault: str

    @classmethod
    def of(cls, version: Version) -> "Model":
        """Return a version without the server's folders."""
        return cls(
            name=version.ref.name,
            version=version.ref.version,
            stage=version.stage,
            labels=list(version.bundle.labels) if version.bundle else [],
            metrics=version.metrics,
            shadow_share=version.row.shadow_share if version.row else None,
            fault=pathless(version.fault),
        )


class Models(_Body):
    """Every version of every model."""

    models: list[Model]


class Promotion(_Body):
    """The active version and the one before; `remark` compares their accuracies."""

    active: str
    before: int | None
    remark: str


class JobStatus(_Body):
    """A scan or a retry that was requested, its state, and its run once there is one."""

    id: str
    kind: JobKind
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    run: int | None
    who: str
    created_at: datetime
    error: str | None


class HistoryEvent(_Body):
    """One step of an image: received, predicted, finished, moved, accept, correct, skip or undo.

    `who` is a person or a model; `detail` is a label, an outcome, a state, `archive` or `quarantine`.
    """

    at: datetime
    what: str
    who: str
    detail: str


class History(_Body):
    """What happened to an image, oldest first."""

    events: list[HistoryEvent]


class ReviewImage(_Body):
    """An image to review, with the five best labels and all labels that can be chosen.

    `kind` is null for an image that is not in the queue, `review` before the first review. `label`,
    `probability` and `main_category` are null without a prediction.
    """

    image: int
    run: int
    name: str
    kind: ReviewKind | None
    model: str
    label: str | None
    probability: float | None
    main_category: str | None
    review: int | None
    top: list[tuple[str, float]]
    labels: list[str]

    @classmethod
    def of(cls, task: ReviewTask) -> "ReviewImage":
        """Return an image to review."""
        return cls.model_validate(
            {
                "image": task.image_id,
                "run": task.run_id,
                "name": task.name,
                "kind": task.kind,
                "model": task.model,
                "label": task.label,
                "probability": task.probability,
                "main_category": task.main_label,
                "review": task.review_id,
                "top": task.top,
                "labels": task.labels,
            }
        )


class Next(_Body):
    """The next image to review; null if none waits for this reviewer."""

    item: ReviewImage | None


class Reviewed(_Body):
    """What was stored, and the next image of the queue."""

    action: ReviewAction
    item: ReviewImage | None


class TakenBack(_Body):
    """What an undo took back: the images, and the image that the caller holds again, if it was queued."""

    action: ReviewAction
    images: list[int]
    item: ReviewImage | None


class ReviewTotals(_Body):
    """How many images wait, and how often the model was right in the newest that were reviewed.

    Up to 10,000 waiting images are counted, and the newest 5,000 reviews of each kind.
    """

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int


class Verdict(BaseModel):
    """What a reviewer says of an image: a label, or an outcome without a label.

    `outcome` is `none_of_these`, `unreadable`, `retake` or one of RETURNS_REVIEW_OUTCOMES. `replaces` is the
    id of another person's review that this one replaces; without it, such a review is refused.
    """

    model_config = ConfigDict(extra="forbid")

    label: str | None = Field(None, max_length=100)
    outcome: str = Field(ReviewOutcome.LABEL, max_length=40)
    replaces: int | None = Field(None, ge=1, lt=2**63)


class FileDigests(BaseModel):
    """The SHA-256 of each of some files."""

    model_config = ConfigDict(extra="forbid")

    sha256: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(max_length=500)


class KnownFile(_Body):
    """A file that came in before: its newest image, and when that came in."""

    sha256: str
    image: int
    received_at: datetime


class KnownFiles(_Body):
    """Files that came in before."""

    known: list[KnownFile]


class UploadProgress(_Body):
    """How many bytes of a file have arrived; `done`: the file is complete and in the intake."""

    offset: int
    done: bool


class ImageVerdict(Verdict):
    """What a reviewer says of one image of several."""

    image: int = Field(ge=1, lt=2**63)


class Verdicts(BaseModel):
    """What a reviewer says of several images, each named once."""

    model_config = ConfigDict(extra="forbid")

    reviews: list[ImageVerdict] = Field(min_length=1, max_length=MOST_TOGETHER)


class VerdictResult(_Body):
    """What became of one image: `error` and `advice` say why it was refused, and are empty otherwise."""

    image: int
    result: Literal["accepted", "corrected", "refused"]
    error: str
    advice: str

    @classmethod
    def of(cls, image_id: int, done: ReviewAction | RefusedError) -> "VerdictResult":
        """Return what became of an image."""
        if isinstance(done, RefusedError):
            return cls(image=image_id, result="refused", error=done.shown_message, advice=done.shown_advice)
        result: Literal["accepted", "corrected"] = "accepted" if done is ReviewAction.ACCEPT else "corrected"
        return cls(image=image_id, result=result, error="", advice="")


class ReviewedMany(_Body):
    """The result of each image, in the order of the request.

    `batch` is the same for the actions that were stored, which one undo takes back; null if none was.
    """

    batch: str | None
    results: list[VerdictResult]


class Reason(BaseModel):
    """Why a version is promoted; `force` also promotes a measurably worse one."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=MOST_REASON, pattern=r"^[^\x00]*$")
    force: bool = False
