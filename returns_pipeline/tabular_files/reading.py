"""Tells the form of a file by its content: the name of a file says little."""

from collections.abc import Callable
from pathlib import Path

from returns_pipeline.errors import RefusedError
from returns_pipeline.tabular_files.csv_lines import open_csv
from returns_pipeline.tabular_files.lines import Schema, Table
from returns_pipeline.tabular_files.other_lines import open_parquet, open_workbook

#: Endings of the names of files that can be read; folders are searched for these.
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".jsonl", ".ndjson", ".json", ".parquet")


def open_table(path: Path, schema: Schema, open_json: Callable[[Path], Table]) -> Table:
    """Return the lines of a CSV file, a workbook, a Parquet file or, by `open_json`, of a JSON file.

    Raises RefusedError if the file cannot be opened, is none of these, or its columns are not known.
    """
    try:
        if not path.is_file():
            raise RefusedError("{path} is not a file.", path=path)
        with path.open("rb") as stream:
            head = stream.read(64)
        if not head:
            raise RefusedError("The file has no content.")
        if head.startswith(b"PK\x03\x04"):
            return open_workbook(path, schema)
        if head.startswith(b"PAR1"):
            return open_parquet(path, schema)
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            raise RefusedError(
                "The file is a workbook of Excel 2003 or before.", "Save it as .xlsx or as CSV."
            )
        if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
            return open_json(path)
        if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise RefusedError(
                "The file has no lines that can be read.",
                "Send CSV, an Excel workbook, JSON lines or Parquet.",
            )
        return open_csv(path, schema)
    except OSError as error:
        raise RefusedError(
            "The file {path} cannot be read: {reason}.", path=path, reason=error.strerror or "unknown"
        ) from error
