"""Images as CSV, Excel, JSON or Parquet, sent while they are written: memory stays flat."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.text import iso
from returns_pipeline.report.columns import Output, columns_of, values
from returns_pipeline.report.csv_table import writer
from returns_pipeline.settings import Settings
from returns_pipeline.store import images
from returns_pipeline.store.database import Database
from returns_pipeline.web import excel

_ROWS = 1000
_BYTE_ORDER_MARK = "\ufeff"
_COLUMNS = columns_of(Output.EXPORT)


#: The images of an export, some at a time.
Batches = Iterator[Sequence[ImageResult]]


def batches(database: Database, run_ids: Sequence[int]) -> Batches:
    """Yield the images of runs in their order, 1,000 at a time."""
    found = chain.from_iterable(images.results(database, run_id) for run_id in run_ids)
    while batch := list(islice(found, _ROWS)):
        yield batch


def _csv(found: Batches, _: Settings) -> Iterator[bytes]:
    return _lines(found, None)


def csv_for_excel(found: Batches, settings: Settings) -> Iterator[bytes]:
    """Yield CSV that Excel opens with a double click: a byte order mark, and moments that it takes for dates.

    Moments are wall times of the settings' time zone, because a sheet's dates have no zone.
    """
    return chain([_BYTE_ORDER_MARK.encode()], _lines(found, ZoneInfo(settings.timezone)))


def _lines(found: Batches, zone: ZoneInfo | None) -> Iterator[bytes]:
    stream = io.StringIO()
    write = writer(stream, Output.EXPORT, zone)
    yield stream.getvalue().encode()
    for batch in found:
        stream.seek(0)
        stream.truncate()
        write(batch)
        yield stream.getvalue().encode()


def excel_with_notes(found: Batches, settings: Settings, notes: Sequence[str] = ()) -> Iterator[bytes]:
    """Yield a workbook of images, with a sheet of sentences about what is not in it, if there are any."""
    # Not in the temporary folder, which may lie in memory.
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    return excel.workbook(_COLUMNS, found, ZoneInfo(settings.timezone), settings.scratch_dir, notes=notes)


def _json(found: Batches, _: Settings) -> Iterator[bytes]:
    names = [column.name for column in _COLUMNS]
    yield b"["
    comma = ""
    for batch in found:
        rows = zip(*values(_COLUMNS, batch), strict=True)
        lines = ",\n".join(json.dumps(dict(zip(names, row, strict=True)), default=iso) for row in rows)
        yield f"{comma}\n{lines}".encode()
        comma = ","
    yield b"\n]\n"


def _parquet(each_batch: Batches, _: Settings) -> Iterator[bytes]:
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
        for batch in each_batch:
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


def _json_lines(found: Batches, _: Settings) -> Iterator[bytes]:
    names = [column.name for column in _COLUMNS]
    for batch in found:
        rows = zip(*values(_COLUMNS, batch), strict=True)
        yield "".join(
            json.dumps(dict(zip(names, row, strict=True)), default=iso) + "\n" for row in rows
        ).encode()


class Format(NamedTuple):
    """A file format: the function that writes it, and its media type."""

    write: Callable[[Batches, Settings], Iterator[bytes]]
    media_type: str


FORMATS = {
    "csv": Format(_csv, "text/csv"),
    "xlsx": Format(excel_with_notes, excel.MEDIA_TYPE),
    "json": Format(_json, "application/json"),
    "jsonl": Format(_json_lines, "application/x-ndjson"),
    "parquet": Format(_parquet, "application/vnd.apache.parquet"),
}
