"""Which model predicts, what is reviewed, and what is learnt from reviews."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainValidator
from pydantic_settings import NoDecode

from returns_pipeline.records.models import ReviewThreshold
from returns_pipeline.settings.values import parse_outcomes, parse_threshold


class ModelSettings(BaseModel):
    """Which model predicts, what is reviewed, and what is learnt from reviews."""

    model: str = Field(
        "fashion-mnist",
        description="Model of new runs: NAME (its active version, see `models promote`) or NAME/VERSION.",
    )
    runtime: Literal["auto", "openvino", "keras", "stub"] = Field(
        "auto",
        description="Library that runs the model. auto: OpenVINO if the bundle has an export for it, else "
        "Keras. stub: a replacement for tests, whose label is the image's brightness.",
    )
    mixed_precision: bool = Field(
        False,
        description="Let the Keras runtime compute in float16, which is faster on a GPU. It first compares "
        "the labels of 4,096 images with those of float32; at most 0.1 % may differ.",
    )
    review_threshold: Annotated[ReviewThreshold, NoDecode, PlainValidator(parse_threshold)] = Field(
        0.8,
        description="A prediction with a lower probability is marked for review. `precision:0.98` sets a "
        "threshold for each label: the lowest probability above which 98 % of the model's predictions for "
        "its validation images were right.",
        json_schema_extra={
            "allowed": "number, at least 0, at most 1; or `precision:` and a number above 0, at most 1"
        },
    )
    familiarity: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="A photo is unlike anything the model was trained on if a smaller share of its "
        "validation photos is stranger. Such a photo is reviewed whatever its probability. 0: none is. A "
        "model without the file `familiarity.bin` cannot tell.",
    )
    audit_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the predictions above REVIEW_THRESHOLD that are offered for review as a "
        "sample.",
    )
    review_outcomes: Annotated[tuple[str, ...], NoDecode, PlainValidator(parse_outcomes)] = Field(
        (),
        description="Further outcomes of a review without a category, like `wrong_item,damaged`, beside "
        "none_of_these, unreadable and retake. Default: none.",
    )
    learn_events: int = Field(
        1000,
        ge=0,
        le=1_000_000_000,
        description="Events of customers from which on each night learns which products are kept together. "
        "Fewer say little. 0: only the command `recommendations learn` does.",
    )
    retrain: Literal[
        "off", "daily", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
    ] = Field(
        "off",
        description="When the models of the intakes are retrained with the photos that people reviewed: "
        "after every night (daily), or after the night of a weekday. A worker with `-Q train` must run; `up`"
        " then starts one. off: only the command `models retrain` does.",
    )
    retrain_reviews: int = Field(
        100,
        ge=1,
        le=1_000_000_000,
        description="Photos with a label by a person that a model does not know yet, from which on RETRAIN "
        "retrains it.",
    )
    retrain_shadow: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of each night's images that a proposed version predicts too, as a shadow. 0: "
        "none.",
    )
    retrain_promote: float = Field(
        0.0,
        ge=0,
        le=0.05,
        description="Promote a proposed version without a person if its p-value is below this, for example "
        "0.01. 0: a person decides.",
    )
    retrain_promote_photos: int = Field(
        500,
        ge=1,
        le=1_000_000_000,
        description="Photos on which the versions must have been compared, at least, for RETRAIN_PROMOTE.",
    )
