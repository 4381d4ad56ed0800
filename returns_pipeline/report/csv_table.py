"""Images as CSV: one row for each image that was seen."""

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TextIO

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.text import iso
from returns_pipeline.report.columns import Output, columns_of, values


def writer(stream: TextIO, output: Output) -> Callable[[Sequence[ImageResult]], None]:
    """Write the header of an output to `stream`; return the function that writes the rows of some images.

    The column `prediction` is the class index. Without a prediction it is empty and `code` says why.
    """
    columns = columns_of(output)
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(column.name for column in columns)
    probabilities = [place for place, column in enumerate(columns) if column.type is float]
    moments = [place for place, column in enumerate(columns) if column.type is datetime]

    def write(images: Sequence[ImageResult]) -> None:
        found = values(columns, images)
        for place in probabilities:
            found[place] = ["" if value is None else f"{value:.6f}" for value in found[place]]
        for place in moments:
            found[place] = ["" if value is None else iso(value) for value in found[place]]
        out.writerows(zip(*found, strict=True))

    return write
