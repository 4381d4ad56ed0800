"""What is collected so far: the class folders, `provenance.csv` and `refused.csv`.

Both files are only added to, a line when its picture is decided. So a call that is killed loses at most the
picture that it was writing, and that one is fetched again under the same name.
"""

import csv
import fcntl
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from returns_pipeline.collecting.job import FINAL
from returns_pipeline.errors import FaultCode, RefusedError, TransientFault
from returns_pipeline.private_files import make_folder
from returns_pipeline.records.text import iso
from returns_pipeline.report.csv_table import as_text, from_text, lines_of
from returns_pipeline.report.whole_file import remove_partial_files, whole_file
from returns_pipeline.training.labelled.written_folders import Folders

#: The folder of Scrapy's queue, cache and log; hidden, so a training does not read it.
STATE = ".collect"
PROVENANCE, REFUSED = "provenance.csv", "refused.csv"
_PROVENANCE_COLUMNS = ("file", "address", "page", "time", "sha256", "licence", "category")
_REFUSED_COLUMNS = ("address", "page", "time", "reason", "category")
#: Reasons that are in the content of a picture.
_FINAL = {*FINAL, *(code.value for code in FaultCode)}


class Source(NamedTuple):
    """Where a picture was found: its address, the page, and what the page says about it."""

    address: str
    page: str
    category: str
    licence: str


class Collection:
    """The pictures of one folder. One process at a time."""

    def __init__(self, out: Path) -> None:
        """Open a folder, and create it if needed.

        Raises RefusedError if another process collects into it, or if it has files that no call collected.
        """
        self.out, self.state = out, out / STATE
        is_new = not self.state.is_dir()
        if is_new and out.is_dir() and any(out.iterdir()):
            raise RefusedError(
                "{out} has files that were not collected.", advice="Choose a new folder.", out=out
            )
        make_folder(self.state)
        self._lock = _locked(self.state / "lock", out)
        kept = list(_rows(out / PROVENANCE, len(_PROVENANCE_COLUMNS)))
        final = [row for row in _rows(out / REFUSED, len(_REFUSED_COLUMNS)) if row[3] in _FINAL]
        self._contents = {row[4] for row in kept}
        self._known = {row[1] for row in kept} | {row[0] for row in final}
        paths = [row[0].partition("/")[0] for row in kept]
        self._counts = Counter(paths)
        self._folders = Folders(dict.fromkeys(paths))
        for folder in (out, *(each for each in out.iterdir() if each.is_dir())):
            remove_partial_files(folder)
        self._provenance = _Table(out / PROVENANCE, _PROVENANCE_COLUMNS, kept)
        self._refused = _Table(out / REFUSED, _REFUSED_COLUMNS, final)

    def knows(self, address: str) -> bool:
        """Whether the picture of this address is collected, or was refused for its content."""
        return address in self._known

    def has(self, sha256: str) -> bool:
        """Whether a picture of this content is collected."""
        return sha256 in self._contents

    def folder_of(self, category: str) -> str:
        """Return the name of the class folder of a category; empty if it has no usable name."""
        return self._folders.of(category)

    def count(self, folder: str) -> int:
        """Return how many pictures a class folder has received, those included that a person removed."""
        return self._counts[folder]

    @property
    def counts(self) -> dict[str, int]:
        """The pictures of each class folder."""
        return dict(sorted(self._counts.items()))

    def keep(self, source: Source, folder: str, sha256: str, suffix: str, body: bytes) -> None:
        """Write a picture and its line. Raises TransientFault if the disk refuses."""
        name = f"{folder}/{sha256[:32]}{suffix}"
        with whole_file(self.out / name) as partial:
            partial.write_bytes(body)
        self._provenance.add(
            name, source.address, source.page, iso(datetime.now(UTC)), sha256, source.licence, source.category
        )
        self._contents.add(sha256)
        self._known.add(source.address)
        self._counts[folder] += 1

    def refuse(self, address: str, page: str, reason: str, category: str = "") -> None:
        """Write down why a page or a picture was not taken."""
        self._refused.add(address, page, iso(datetime.now(UTC)), reason, category)
        if reason in _FINAL:
            self._known.add(address)

    def close(self) -> None:
        """Close the files and let others collect into the folder."""
        for each in (self._provenance, self._refused, self._lock):
            each.close()


class _Table:
    """A CSV file that is rewritten when it is opened, without a line that was cut off, and then added to."""

    def __init__(self, path: Path, columns: tuple[str, ...], rows: list[list[str]]) -> None:
        with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
            out = csv.writer(stream, lineterminator="\n")
            out.writerow(columns)
            out.writerows([as_text(cell) for cell in row] for row in rows)
        self._path = path
        self._stream = path.open("a", encoding="utf-8", newline="")

    def add(self, *cells: str) -> None:
        try:
            csv.writer(self._stream, lineterminator="\n").writerow([as_text(cell) for cell in cells])
            self._stream.flush()
        except OSError as error:
            raise TransientFault(
                "{path} cannot be written: {reason}.",
                advice="Free some disk space and run the command again.",
                path=self._path,
                reason=error.strerror or error,
            ) from error

    def close(self) -> None:
        self._stream.close()


def _rows(path: Path, columns: int) -> Iterator[list[str]]:
    """Yield the whole lines of a table, or none if there is no table yet."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(line for line in lines_of(stream) if line.endswith("\n"))
        next(lines, None)
        for row in lines:
            if len(row) == columns:
                yield [from_text(cell) for cell in row]


def _locked(path: Path, out: Path) -> IO[str]:
    stream = path.open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise RefusedError(
            "Another process collects into {out}.",
            advice="Wait until it ends, or choose another folder.",
            out=out,
        ) from None
    return stream
