"""A file that changes while it is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import PendingImage


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))


def _shrink(path: Path) -> None:
    os.truncate(path, 3)


@pytest.mark.parametrize("change", [_grow, _rewrite, _shrink])
def test_a_file_that_changes_while_it_is_read_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    """A file whose size or time changes between the first and the last byte read is `changed`."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 100)
    source = FolderSource()
    found = source.describe(str(path))
    image = PendingImage(1, found.path, found.size, found.identity)
    assert source.read(image, 1000) == b"x" * 100
    read = os.read

    def read_then_change(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        monkeypatch.setattr(os, "read", read)
        change(path)
        return data

    monkeypatch.setattr(os, "read", read_then_change)
    with pytest.raises(ImageFault) as caught:
        source.read(image, 1000)
    assert caught.value.code == FaultCode.CHANGED
