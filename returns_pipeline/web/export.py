"""A run's images as CSV, JSON or Parquet, sent while they are written: memory stays flat."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.text import iso
from returns_pipeline.report.columns import Output, columns_of, values
from returns_pipeline.report.csv_table import writer
from returns_pipeline.store import images
from returns_pipeline.store.database import Database

_ROWS = 1000
_COLUMNS = columns_of(Output.EXPORT)


def _batches(database: Database, run_id: int) -> Iterator[list[ImageResult]]:
    found = images.results(database, run_id)
    while batch := list(islice(found, _ROWS)):
        yield batch


def _csv(database: Database, run_id: int) -> Iterator[bytes]:
    stream = io.StringIO()
    write = writer(stream, Output.EXPORT)
    yield stream.getvalue().encode()
    for batch in _batches(database, run_id):
        stream.seek(0)
        stream.truncate()
        write(batch)
        yield stream.getvalue().encode()


def _json(database: Database, run_id: int) -> Iterator[bytes]:
    names = [column.name for column in _COLUMNS]
    yield b"["
    comma = ""
    for batch in _batches(database, run_id):
        rows = zip(*values(_COLUMNS, batch), strict=True)
        lines = ",\n".join(json.dumps(dict(zip(names, row, strict=True)), default=iso) for row in rows)
        yield f"{comma}\n{lines}".encode()
        comma = ","
    yield b"\n]\n"


def _parquet(database: Database, run_id: int) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    types = {
        int: pyarrow.int32(),
        float: pyarrow.float64(),
        datetime: pyarrow.timestamp("us", tz="UTC"),
    }
    schema = pyarrow.schema([(column.name, types.get(column.type, pyarrow.string())) for column in _COLUMNS])
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema) as out:
        for batch in _batches(database, run_id):
            found = values(_COLUMNS, batch)
            arrays = [pyarrow.array(each, field.type) for each, field in zip(found, schema, strict=True)]
            out.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that hands over the bytes written since the last call of `taken`."""

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


class Format(NamedTuple):
    """A file format: the function that writes it, and its media type."""

    write: Callable[[Database, int], Iterator[bytes]]
    media_type: str


FORMATS = {
    "csv": Format(_csv, "text/csv"),
    "json": Format(_json, "application/json"),
    "parquet": Format(_parquet, "application/vnd.apache.parquet"),
}
