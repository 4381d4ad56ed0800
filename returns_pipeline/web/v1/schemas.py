"""What the REST interface answers with."""

import base64
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.images import Shown
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.models import ModelStage
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.reviews import ReviewKind
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.report.csv_table import printable
from returns_pipeline.usecases.models import MOST_REASON, Version
from returns_pipeline.web.render.text import pathless


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Fault(_Answer):
    """What is wrong, and what to do about it."""

    error: str
    advice: str = ""


#: What any endpoint may answer with instead.
FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Fault, "description": "The request cannot be understood."},
    401: {"model": Fault, "description": "Nobody known asks."},
    403: {"model": Fault, "description": "Somebody asks for what they may not do."},
    404: {"model": Fault, "description": "There is no such thing."},
    409: {"model": Fault, "description": "What is asked does not fit what is there now."},
    413: {"model": Fault, "description": "The request is too large."},
    422: {"model": Fault, "description": "A value is missing or has a wrong form."},
    500: {"model": Fault, "description": "A fault of ours; its id is in the log."},
    503: {"model": Fault, "description": "The database or the broker does not answer."},
}


class Run(_Answer):
    """One run in numbers."""

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

    @classmethod
    def of(cls, run: RunSummary) -> "Run":
        """Return a run as it is shown."""
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
        )


class Runs(_Answer):
    """A page of runs; `next` asks for the page after it."""

    runs: list[Run]
    next: str | None


class Image(_Answer):
    """One image and the answer of its run's model; null in a field means none."""

    id: int
    run: int
    name: str
    state: str
    code: str | None
    reason: str | None
    label: str | None
    probability: float | None
    main_category: str | None
    main_category_probability: float | None
    decision: Decision | None
    reviewed_label: str | None
    reviewer: str | None

    @classmethod
    def of(cls, image: Shown) -> "Image":
        """Return an image as it is shown: by its name, without the server's folders."""
        return cls(
            id=image.id,
            run=image.run_id,
            name=printable(image.path.rpartition("/")[2]),
            state=image.state,
            code=image.code,
            reason=printable(pathless(image.detail)) if image.detail else None,
            label=image.label,
            probability=image.probability,
            main_category=image.main_label,
            main_category_probability=image.main_probability,
            decision=Decision(image.decision) if image.decision else None,
            reviewed_label=image.reviewed_label,
            reviewer=image.reviewer,
        )


class Images(_Answer):
    """A page of images; `next` asks for the page after it."""

    images: list[Image]
    next: str | None


class Prediction(_Answer):
    """What one version of a model said of an image; `top` holds label indices and probabilities."""

    model: str
    label: str
    probability: float
    main_category: str
    main_category_probability: float
    decision: Decision
    top: list[tuple[int, float]]


class ImageWithAnswers(Image):
    """One image with the answers of all versions of models."""

    predictions: list[Prediction]


class Similar(Image):
    """An earlier return and how much like another image it is: the cosine of what the model sees in both."""

    similarity: float


class Explanation(_Answer):
    """What the model looked at, rows of numbers from 0 to 255 over the whole image, and what is similar."""

    image: int
    heat: list[list[int]]
    similar: list[Similar]


class Model(_Answer):
    """One version of a model; `fault` says why what lies on disk is no bundle."""

    name: str
    version: int
    stage: ModelStage
    labels: list[str]
    metrics: dict[str, float]
    shadow_share: float | None
    fault: str

    @classmethod
    def of(cls, version: Version) -> "Model":
        """Return a version as it is shown."""
        return cls(
            name=version.ref.name,
            version=version.ref.version,
            stage=version.stage,
            labels=list(version.bundle.labels) if version.bundle else [],
            metrics=version.metrics,
            shadow_share=version.row.shadow_share if version.row else None,
            fault=pathless(version.fault),
        )


class Models(_Answer):
    """Every version of every model."""

    models: list[Model]


class Promotion(_Answer):
    """A version in place of another: `remark` says how their accuracies compare."""

    active: str
    before: int | None
    remark: str


class Job(_Answer):
    """Something that was asked for, how far it is, and its run once there is one."""

    id: str
    kind: JobKind
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    run: int | None
    who: str
    created_at: datetime
    error: str | None


class ReviewItem(_Answer):
    """An image to look at: the five best labels, and all that can be chosen."""

    image: int
    run: int
    name: str
    kind: ReviewKind
    model: str
    label: str
    probability: float
    main_category: str
    top: list[tuple[str, float]]
    labels: list[str]


class Next(_Answer):
    """The next image to look at; none when nothing waits for this person."""

    item: ReviewItem | None


class Reviewed(_Answer):
    """What was stored, and the next image."""

    action: Literal["accept", "correct", "skip", "undo"]
    item: ReviewItem | None


class ReviewCounts(_Answer):
    """How much waits, and how often the model was right where a person has looked."""

    waiting: int
    doubts: int
    doubts_right: int
    audits: int
    audits_right: int


class Verdict(BaseModel):
    """What somebody says an image is."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(max_length=100)


class Reason(BaseModel):
    """Why a version is promoted; `force` promotes also one that is measurably worse."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=MOST_REASON, pattern=r"^[^\x00]*$")
    force: bool = False


def pack(cursor: object) -> str | None:
    """Return a cursor as it can stand in an address."""
    return (
        None if cursor is None else base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")
    )


def unpack(text: str | None) -> Any:
    """Return the cursor that `pack` wrote. Raises RefusedError for anything else."""
    if text is None:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise RefusedError("This is no cursor.", "Send the `next` of the page before.") from None
