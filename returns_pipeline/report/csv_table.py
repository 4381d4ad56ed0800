"""The CSV of a run: one row for every image that was seen."""

import csv
from collections.abc import Callable
from typing import TextIO

from returns_pipeline.records.images import ImageResult

#: `prediction` is the class index; empty, with a `code`, where an image has no prediction.
COLUMNS = (
    "filename",
    "prediction",
    "label",
    "probability",
    "decision",
    "state",
    "code",
    "detail",
    "path",
    "archived_path",
)


def writer(stream: TextIO, columns: tuple[str, ...] = COLUMNS) -> Callable[[ImageResult], None]:
    """Write the header to `stream` and return the function that writes one image's row.

    `columns` are the first ones of COLUMNS.
    """
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(columns)
    count = len(columns)

    def write(result: ImageResult) -> None:
        _, path, state, code, detail, archived, index, label, probability, _, decision = result
        path, chance = printable(path), None if probability is None else f"{probability:.6f}"
        name = path.rpartition("/")[2]
        row = (name, index, label, chance, decision, state, code, detail, path, printable(archived or ""))
        out.writerow(row[:count])

    return write


def printable(value: str) -> str:
    """Return text with control characters as escapes: a name with one must not become two rows anywhere."""
    return value if value.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
