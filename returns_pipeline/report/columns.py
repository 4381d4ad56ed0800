"""The columns of an image, in one table: what each output shows of it, in which order, under which name.

A new column is a field of ImageResult, a line in `returns_pipeline.store.images.RESULT_COLUMNS` and a row of
COLUMNS. Report, export, REST interface, page and command line follow from the row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from returns_pipeline.languages import N_, category, gettext, moment_text, percent, retold
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.text import file_name, pathless, printable
from returns_pipeline.report import words


class Output(StrEnum):
    """Where images are shown."""

    REPORT = "a run's results.csv"
    EXPORT = "the CSV, Excel, JSON and Parquet files of the web"
    REST = "the REST interface"
    PAGE = "the page of an image"
    JSON = "the command line's JSON"
    TABLE = "the command line's table"


class Column(NamedTuple):
    """One column: its `name` for programs, its `heading` for people, and the outputs that have it.

    `field` is the field of ImageResult that it is read from. `convert` is applied to every value that is not
    None. `type` is the type of the values: Parquet and the REST interface declare it. `words` says what codes
    mean to people. Without `is_optional` the value is never None.
    """

    name: str
    field: str
    type: type[int] | type[float] | type[str] | type[datetime]
    heading: str
    outputs: frozenset[Output]
    convert: Callable[[Any], object] | None = None
    words: Mapping[str, str] | None = None
    is_optional: bool = True

    def text(self, value: object) -> str:
        """Return a value for people: a probability in percent, a moment in UTC, a code in words."""
        if value is None:
            return ""
        if isinstance(value, float):
            return percent(value)
        if isinstance(value, datetime):
            return f"{moment_text(value, UTC)} UTC"
        if self.words:
            return self.words.get(str(value), str(value))
        told = _TOLD.get(self.field)
        return told(str(value)) if told else str(value)

    @property
    def is_told(self) -> bool:
        """Whether its values are codes, labels or sentences, which are shown in words."""
        return self.words is not None or self.field in _TOLD

    @property
    def shown_heading(self) -> str:
        """The heading in the reader's language."""
        return gettext(self.heading)


def _reason(detail: str) -> str:
    """Return why an image has no prediction, without this server's folders."""
    return printable(pathless(detail))


#: Fields with texts that have names or translations: labels, and the reason why there is no prediction.
_TOLD: Mapping[str, Callable[[str], str]] = {
    "label": category,
    "main_label": category,
    "final_label": category,
    "reviewed_label": category,
    "detail": retold,
}

_FILES = frozenset({Output.REPORT, Output.EXPORT})
_REST_PAGE = frozenset({Output.REST, Output.PAGE})
_REST_PAGE_JSON = _REST_PAGE | {Output.JSON}
_EVERYWHERE = frozenset(Output)
_NOT_TABLE = _EVERYWHERE - {Output.TABLE}

COLUMNS = (
    Column("id", "id", int, N_("Number"), frozenset({Output.REST, Output.JSON}), is_optional=False),
    Column("run", "run_id", int, N_("Run"), frozenset({Output.REST}), is_optional=False),
    Column("filename", "path", str, N_("File"), _FILES, file_name, is_optional=False),
    Column(
        "name", "path", str, N_("File"), frozenset({Output.REST, Output.TABLE}), file_name, is_optional=False
    ),
    Column("prediction", "label_index", int, N_("Class"), _FILES | {Output.JSON}),
    Column("label", "label", str, N_("Category"), _EVERYWHERE),
    Column("probability", "probability", float, N_("Probability"), _EVERYWHERE),
    Column("main_category", "main_label", str, N_("Main category"), _REST_PAGE_JSON),
    Column("main_category_probability", "main_probability", float, N_("Its probability"), _REST_PAGE),
    Column(
        "decision", "decision", Decision, N_("The model is"), _FILES | _REST_PAGE_JSON, words=words.DECISIONS
    ),
    Column("state", "state", str, N_("State"), _NOT_TABLE, words=words.IMAGE_STATES, is_optional=False),
    # A terminal shows the codes that its options take.
    Column("state", "state", str, N_("State"), frozenset({Output.TABLE}), is_optional=False),
    Column("code", "code", str, N_("Code"), _FILES | {Output.REST, Output.JSON}),
    Column("detail", "detail", str, N_("Reason"), _FILES | {Output.JSON, Output.TABLE}, printable),
    Column("reason", "detail", str, N_("Reason"), _REST_PAGE, _reason),
    # For people, a name's control characters are escapes. For programs it is the very path.
    Column("path", "path", str, N_("Came from"), frozenset({Output.REPORT}), printable, is_optional=False),
    Column("archived_path", "archived_path", str, N_("Now in"), frozenset({Output.REPORT}), printable),
    Column("path", "path", str, N_("Came from"), frozenset({Output.JSON}), is_optional=False),
    Column("archived_path", "archived_path", str, N_("Now in"), frozenset({Output.JSON})),
    Column("final_label", "final_label", str, N_("Final category"), _NOT_TABLE),
    Column("final_source", "final_source", str, N_("Decided by"), _NOT_TABLE, words=words.LABEL_SOURCES),
    Column(
        "review_outcome", "review_outcome", str, N_("Reviewed as"), _NOT_TABLE, words=words.REVIEW_OUTCOMES
    ),
    Column("reviewed_label", "reviewed_label", str, N_("Reviewed as"), frozenset({Output.REST})),
    Column("reviewer", "reviewer", str, N_("Reviewed by"), frozenset({Output.REST})),
    Column("reviewed_by", "reviewer", str, N_("Reviewed by"), _NOT_TABLE, printable),
    Column("reviewed_at", "reviewed_at", datetime, N_("Reviewed at"), _NOT_TABLE),
    Column("received_at", "received_at", datetime, N_("Came in"), _NOT_TABLE, is_optional=False),
    Column("photo_removed_at", "photo_removed_at", datetime, N_("Photo removed"), _REST_PAGE),
    Column("deleted_at", "deleted_at", datetime, N_("Deleted"), frozenset({Output.REST})),
    Column("deleted_by", "deleted_by", str, N_("Deleted by"), frozenset({Output.REST})),
    # The last column, because clients read the earlier ones by their places.
    Column("run", "run_id", int, N_("Run"), frozenset({Output.EXPORT}), is_optional=False),
    Column("familiarity", "familiarity", float, N_("Familiarity"), _NOT_TABLE),
)


def columns_of(output: Output) -> tuple[Column, ...]:
    """Return the columns of an output in its order."""
    return tuple(column for column in COLUMNS if output in column.outputs)


class Record(Protocol):
    """A NamedTuple, whose fields columns are read from: an image, or a row of another list."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Iterator[Any]: ...  # noqa: D105


def values(columns: Iterable[Column], records: Sequence[Record]) -> list[Sequence[Any]]:
    """Return the values of each column for some records, one sequence for each column.

    Converting a whole column costs less than converting each image: a run's report may have millions of rows.
    """
    fields = dict(zip(records[0]._fields, zip(*records, strict=True), strict=True)) if records else {}
    return [_converted(column, fields.get(column.field, ())) for column in columns]


def _converted(column: Column, found: Sequence[Any]) -> Sequence[Any]:
    convert = column.convert
    if convert is None:
        return found
    if not column.is_optional:
        return list(map(convert, found))
    return [None if value is None else convert(value) for value in found]


def as_dict(output: Output, image: ImageResult) -> dict[str, Any]:
    """Return one image as an output has it, by the names of the columns."""
    columns = columns_of(output)
    found = values(columns, [image])
    return {column.name: value for column, (value,) in zip(columns, found, strict=True)}


def shown(output: Output, image: ImageResult) -> list[tuple[str, str | datetime]]:
    """Return one image for a page: each column's heading and text; moments stay as they are."""
    columns = columns_of(output)
    found = values(columns, [image])
    return [
        (column.shown_heading, value if isinstance(value, datetime) else column.text(value))
        for column, (value,) in zip(columns, found, strict=True)
    ]


def texts(output: Output, image: ImageResult) -> list[tuple[str, str]]:
    """Return one image for people: each column's heading and text."""
    columns = columns_of(output)
    found = values(columns, [image])
    return [
        (column.shown_heading, column.text(value)) for column, (value,) in zip(columns, found, strict=True)
    ]
