"""Converts lines of numbers, `label,pixel1,…`, to PNG files. Kaggle publishes Fashion-MNIST in this form."""

import csv
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from returns_pipeline.errors import RefusedError
from returns_pipeline.report.csv_table import lines_of
from returns_pipeline.report.whole_file import whole_file

_ADVICE = (
    "The file needs a header `label,pixel1,…` and lines of whole numbers: the label, then the pixels of a "
    "square image row by row, 0 to 255 (784 pixels are 28 x 28)."
)


def write_png(source: Path, out: Path, *, limit: int | None = None, flat: bool = False) -> Iterator[Path]:
    """Write each line as the grey PNG file `out`/LABEL/image_{i}_label_{label}.png and yield its path.

    With `flat`, write all files directly to `out`. At most `limit` lines are read, as a stream. A file with
    the same name is replaced. Raises RefusedError with the file and the line.
    """
    try:
        with source.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            rows = csv.reader(lines_of(stream))
            header = next(rows, [])
            side = math.isqrt(max(len(header) - 1, 0))
            if side == 0 or side * side != len(header) - 1 or header[0].strip().lower() != "label":
                raise _fault(
                    source,
                    1,
                    f"it is not a header with a label and the pixels of a square ({len(header)} columns)",
                )
            for index, row in enumerate(islice((row for row in rows if row), limit)):
                label, pixels = _values(source, rows.line_num, row, len(header))
                folder = out if flat else out / str(label)
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"image_{index}_label_{label}.png"
                with whole_file(path) as partial:
                    Image.fromarray(pixels.reshape(side, side)).save(partial, optimize=True)
                yield path
    except csv.Error as error:
        raise _fault(source, rows.line_num + 1, str(error)) from error
    except OSError as error:
        raise RefusedError(
            "{filename}: {reason}.",
            advice="Choose a file that can be read, and a folder that can be written.",
            filename=error.filename or source,
            reason=error.strerror,
        ) from error


def _values(source: Path, line: int, row: list[str], columns: int) -> tuple[int, np.ndarray]:
    if len(row) != columns:
        raise _fault(source, line, f"it has {len(row)} values, the header {columns}")
    try:
        values = np.array(row, np.int64)
    except (ValueError, OverflowError):
        raise _fault(source, line, "it has a value that is not a whole number") from None
    pixels = values[1:]
    if values[0] < 0 or pixels.min() < 0 or pixels.max() > 255:
        raise _fault(source, line, "a pixel is outside 0 to 255, or the label is negative")
    return int(values[0]), pixels.astype(np.uint8)


def _fault(source: Path, line: int, detail: str) -> RefusedError:
    return RefusedError(
        "{source}, line {line}: {detail_text}.", advice=_ADVICE, source=source, line=line, detail_text=detail
    )
