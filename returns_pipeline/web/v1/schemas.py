"""The bodies of REST requests and responses."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.models import ModelStage
from returns_pipeline.records.predictions import Decision, StoredPrediction
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.records.text import pathless
from returns_pipeline.report.columns import Output, as_dict, columns_of
from returns_pipeline.usecases.models import MOST_REASON, Version
from returns_pipeline.web.v1.matches import Match


class Body(BaseModel):
    """A body that nothing changes."""

    model_config = ConfigDict(frozen=True)


class Run(Body):
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


class Runs(Body):
    """A page of runs; `next` is the cursor of the next page."""

    runs: list[Run]
    next: str | None


class RunsVersion(Body):
    """A text that changes when a run begins or ends."""

    version: str


def _image_fields() -> dict[str, Any]:
    """Return the fields of an image from the table of columns, as `create_model` takes them."""
    return {
        column.name: (column.type | None if column.is_optional else column.type, ...)
        for column in columns_of(Output.REST)
    }


if TYPE_CHECKING:
    _ImageFields = Body
else:
    _ImageFields = create_model("_ImageFields", __base__=Body, **_image_fields())


class Image(_ImageFields):
    """One image with the prediction of its run's model; null in a field means that there is no value."""

    @classmethod
    def of(cls, image: ImageResult) -> "Image":
        """Return an image without the server's folders."""
        return cls(**as_dict(Output.REST, image))


class ImageTotal(Body):
    """A number of images: exact, or at least this many."""

    total: int
    total_is_exact: bool


class Images(Body):
    """A page of images; `next` is the cursor of the next page."""

    images: list[Image]
    next: str | None
    total: int | None = Field(None, description="Images that `q` finds; null without `q`.")
    total_is_exact: bool | None = Field(
        None, description="False: there are more than `total`. They are counted up to 10,000."
    )


class DeletedImages(Body):
    """What a deletion did."""

    images: list[int] = Field(description="The deleted images: all that were made of the same file.")
    files_left: int = Field(description="Files that could not be removed yet; the program tries again.")


class ModelPrediction(Body):
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


class ImageExplanation(Body):
    """What the model looked at, as rows of numbers from 0 to 255 over the whole image; similar returns."""

    image: int
    heat: list[list[int]]
    similar: list[SimilarImage]


class Model(Body):
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


class Models(Body):
    """Every version of every model."""

    models: list[Model]


class Promotion(Body):
    """The active version and the one before; `remark` compares their accuracies."""

    active: str
    before: int | None
    remark: str


class JobStatus(Body):
    """A scan or a retry that was requested, its state, and its run once there is one."""

    id: str
    kind: JobKind
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    run: int | None
    who: str
    created_at: datetime
    error: str | None


class HistoryEvent(Body):
    """One step of an image: received, predicted, finished, moved, accept, correct, skip or undo.

    `who` is a person or a model; `detail` is a label, an outcome, a state, `archive` or `quarantine`.
    """

    at: datetime
    what: str
    who: str
    detail: str


class History(Body):
    """What happened to an image, oldest first."""

    events: list[HistoryEvent]


class FileDigests(BaseModel):
    """The SHA-256 of each of some files."""

    model_config = ConfigDict(extra="forbid")

    sha256: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(max_length=500)


class KnownFile(Body):
    """A file that came in before: its newest image, and when that came in."""

    sha256: str
    image: int
    received_at: datetime


class KnownFiles(Body):
    """Files that came in before."""

    known: list[KnownFile]


class UploadProgress(Body):
    """How many bytes of a file have arrived; `done`: the file is complete and in the intake."""

    offset: int
    done: bool


class StoreAddress(Body):
    """Where a file is sent by PUT: `url` works for so many seconds. None: it is sent to the web in parts."""

    url: str | None
    headers: dict[str, str]
    seconds: int


class Reason(BaseModel):
    """Why a version is promoted; `force` also promotes a measurably worse one."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=MOST_REASON, pattern=r"^[^\x00]*$")
    force: bool = False
