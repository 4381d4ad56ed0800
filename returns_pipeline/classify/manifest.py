"""The schema of bundle.json: every field with its type and its bounds."""

import math
import re
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from returns_pipeline.records.text import printable

#: Most characters of a label and of a model's name, as the database stores them.
LABEL_LENGTH = 100
_NAME_LENGTH = 100
#: Versions are 1 to this, as the database stores them.
HIGHEST_VERSION = 2**31 - 1
#: Most bytes of bundle.json. One label has about 2,000.
MANIFEST_BYTES = 16 * 1024 * 1024
_MOST_LABELS = 10_000
_MOST_STEPS = 10_000
_MOST_LANGUAGES = 100
_MOST_ENTRIES = 1_000
_LONGEST_KEY = 200
_LARGEST_METRIC = 1e18
_NAME = re.compile(r"\w+([.-]\w+)*")
#: How much of a wrong key a message quotes.
_QUOTED = 60


def is_model_name(text: str) -> bool:
    """Whether a text can name a model: at most 100 letters and digits, in words joined by `.` or `-`."""
    return len(text) <= _NAME_LENGTH and _NAME.fullmatch(text) is not None


def _model_name(text: str) -> str:
    if not is_model_name(text):
        raise ValueError("it must be words of letters and digits, joined by `.` or `-`")
    return text


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be a text of characters that can be printed")
    return text


def _printed(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be empty")
    return _line(text)


def _inner_path(text: str) -> str:
    place = PurePosixPath(text)
    if place.is_absolute() or not place.parts or ".." in place.parts:
        raise ValueError("it is not a file inside of the bundle")
    return text


def _number(value: Any) -> Any:
    # A union of types would name each of its members in the message.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("it must be a number")  # noqa: TRY004 - pydantic expects ValueError
    if abs(value) > _LARGEST_METRIC:
        raise ValueError("it is too large")
    return value


def _finite(content: Any) -> Any:
    """Refuse NaN and Infinity at any depth: neither JSON nor PostgreSQL can store them."""
    waiting = [content]
    while waiting:
        node = waiting.pop()
        if isinstance(node, float) and not math.isfinite(node):
            raise ValueError(f"it has a number that is not finite: {node}")
        if isinstance(node, dict | list):
            waiting += node.values() if isinstance(node, dict) else node
    return content


def _ascending(steps: list[list[float]]) -> list[list[float]]:
    for before, after in pairwise(steps):
        if after[0] < before[0] or after[1] < before[1]:
            raise ValueError("both numbers of its pairs must ascend")
    return steps


_Key = Annotated[str, Field(max_length=_LONGEST_KEY), AfterValidator(_printed)]
_Path = Annotated[str, Field(max_length=_LONGEST_KEY), AfterValidator(_inner_path), AfterValidator(_printed)]
_Side = Annotated[int, Field(ge=1, le=4096)]
_Label = Annotated[str, Field(max_length=LABEL_LENGTH), AfterValidator(_printed)]
_Labels = Annotated[list[_Label], Field(min_length=1, max_length=_MOST_LABELS)]
_Pair = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, max_length=2)]
_Steps = Annotated[list[_Pair], Field(max_length=_MOST_STEPS), AfterValidator(_ascending)]
_Language = Annotated[str, Field(pattern="^[a-z]{2,3}$")]
_Names = Annotated[dict[_Language, dict[_Label, _Label]], Field(max_length=_MOST_LANGUAGES)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
#: A dimension of familiarity.bin, whose number of bytes bounds them all.
_Size = Annotated[int, Field(ge=1, le=2**18)]
_Metric = Annotated[Any, AfterValidator(_finite), AfterValidator(_number)]


class ManifestInput(BaseModel):
    """The pixels that the model takes. An unknown key is refused: it may change which pixels these are."""

    model_config = ConfigDict(extra="forbid", strict=True)

    height: _Side
    width: _Side
    channels: Literal[1, 3]


class ManifestRates(BaseModel):
    """How probable right and wrong expected categories are. Unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    images: Annotated[int, Field(ge=1, le=2**53)]
    right: _Steps
    wrong: _Steps


class ManifestFamiliarity(BaseModel):
    """The shape and the sha256 of familiarity.bin. Unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    features: _Size
    rank: _Size
    photos: _Size
    sha256: _Digest


class Manifest(BaseModel):
    """The content of bundle.json. Unknown keys are kept in `model_extra`."""

    model_config = ConfigDict(extra="allow", strict=True)

    name: Annotated[str, AfterValidator(_model_name)]
    version: Annotated[int, Field(ge=0, le=HIGHEST_VERSION)]  # a draft has 0
    labels: _Labels
    main_categories: _Labels
    input: ManifestInput
    sha256: Annotated[dict[_Path, _Digest], Field(max_length=_MOST_ENTRIES)]
    recipe: Annotated[str, Field(max_length=200), AfterValidator(_line)]
    precision: Literal["float32", "int8"] = "float32"
    command: Annotated[str, Field(max_length=100_000), AfterValidator(_line)]
    data: Annotated[dict[_Key, Any], Field(max_length=_MOST_ENTRIES), AfterValidator(_finite)] = {}
    metrics: Annotated[dict[_Key, _Metric], Field(max_length=_MOST_ENTRIES)] = {}
    temperature: Annotated[float, Field(gt=0, ge=1e-3, le=1e3)] = 1.0
    reliability: list[_Steps] = []
    names: _Names = {}
    label_rates: ManifestRates | None = None
    main_rates: ManifestRates | None = None
    familiarity: ManifestFamiliarity | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> "Manifest":
        if len(self.labels) != len(self.main_categories):
            raise ValueError("it must name one main category for each of its labels")
        if len(set(self.labels)) < len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise ValueError(f"`labels` has {twice!r} twice")
        known = {*self.labels, *self.main_categories}
        for language, names in self.names.items():
            if unknown := names.keys() - known:
                raise ValueError(f"`names.{language}` names {min(unknown)!r}, which is no label")
        if len(self.reliability) not in {0, len(self.labels)}:
            raise ValueError(_CALIBRATION)
        _finite(self.model_extra)
        return self


_NO_OBJECT = "it is not a JSON object"
_CALIBRATION = "it must have a temperature above 0, and reliability for each label or for none"


def read_manifest(content: Any) -> Manifest:
    """Return the checked content of bundle.json, as JSON is read in Python.

    Raises ValueError that names the first wrong field and its fault.
    """
    if not isinstance(content, dict):
        raise ValueError(_NO_OBJECT)  # noqa: TRY004 - as every other fault
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from None


def read_category_names(content: Any) -> dict[str, dict[str, str]]:
    """Return checked names of categories, `{"de": {"Bag": "Tasche"}}`, as JSON is read in Python.

    Raises ValueError that names the first wrong field and its fault.
    """
    if not isinstance(content, dict):
        raise ValueError(_NO_OBJECT)  # noqa: TRY004 - as every other fault
    try:
        names: dict[str, dict[str, str]] = TypeAdapter(_Names).validate_python(content, strict=True)
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from None
    return names


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    place = ".".join(map(str, first["loc"])).removesuffix(".[key]")
    if first["loc"][:1] in {("temperature",), ("reliability",)}:
        message = f"{_CALIBRATION}. {message}"
    message = message[0].lower() + message[1:]
    return f"the field `{_short(place)}`: {message}" if place else message


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "…"
