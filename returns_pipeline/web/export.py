"""A run's images as CSV, JSON or Parquet, written while they are sent: memory stays flat."""

import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from returns_pipeline.records.images import ImageResult
from returns_pipeline.report.csv_table import printable, writer
from returns_pipeline.store import images
from returns_pipeline.store.database import Database

_ROWS = 1000
#: The same in every format: the CSV's first columns, without the server's folders.
_COLUMNS = ("filename", "prediction", "label", "probability", "decision", "state", "code", "detail")


def _batches(database: Database, run_id: int) -> Iterator[list[ImageResult]]:
    found = images.results(database, run_id)
    while batch := list(islice(found, _ROWS)):
        yield batch


def _csv(database: Database, run_id: int) -> Iterator[bytes]:
    stream = io.StringIO()
    write = writer(stream, _COLUMNS)
    yield stream.getvalue().encode()
    for batch in _batches(database, run_id):
        stream.seek(0)
        stream.truncate()
        for image in batch:
            write(image)
        yield stream.getvalue().encode()


def _json(database: Database, run_id: int) -> Iterator[bytes]:
    yield b"["
    comma = ""
    for batch in _batches(database, run_id):
        lines = ",\n".join(json.dumps(_row(image)) for image in batch)
        yield f"{comma}\n{lines}".encode()
        comma = ","
    yield b"\n]\n"


def _parquet(database: Database, run_id: int) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(
        [
            ("filename", pyarrow.string()),
            ("prediction", pyarrow.int32()),
            ("label", pyarrow.string()),
            ("probability", pyarrow.float64()),
            ("decision", pyarrow.string()),
            ("state", pyarrow.string()),
            ("code", pyarrow.string()),
            ("detail", pyarrow.string()),
        ]
    )
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema) as out:
        for batch in _batches(database, run_id):
            out.write_table(pyarrow.Table.from_pylist([_row(image) for image in batch], schema))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What was written since it was last asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _row(image: ImageResult) -> dict[str, Any]:
    values = (
        printable(image.name),
        image.label_index,
        image.label,
        image.probability,
        image.decision,
        image.state,
        image.code,
        image.detail and printable(image.detail),
    )
    return dict(zip(_COLUMNS, values, strict=True))


class Kind(NamedTuple):
    """A format: how it is written, and what it is called in HTTP."""

    write: Callable[[Database, int], Iterator[bytes]]
    media_type: str


KINDS = {
    "csv": Kind(_csv, "text/csv"),
    "json": Kind(_json, "application/json"),
    "parquet": Kind(_parquet, "application/vnd.apache.parquet"),
}
