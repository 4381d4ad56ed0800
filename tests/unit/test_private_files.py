"""What this program creates is closed to other users, and open to the group that its folder is open to."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.private_files import denied, make_folder, make_private_folders, open_private
from returns_pipeline.store.database import Database
from tests.support import write_stub_bundle


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set each umask in turn."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _write(path: Path) -> Path:
    with open(path, "w", opener=open_private) as stream:
        stream.write("x")
    return path


def test_below_an_open_folder_everything_is_the_owners(tmp_path: Path) -> None:
    """Folders are 0700 and files 0600, whatever the umask is."""
    tmp_path.chmod(0o755)
    make_private_folders([tmp_path / "archive"])
    make_folder(tmp_path / "archive" / "run-1" / "2")
    make_folder(tmp_path / "archive" / "run-1" / "2")
    assert {_mode(path) for path in (tmp_path / "archive", *(tmp_path / "archive").rglob("*"))} == {0o700}
    assert _mode(_write(tmp_path / "archive" / "run-1" / "results.csv")) == 0o600
    assert _mode(_write(tmp_path / "log")) == 0o600


def test_a_folder_that_is_open_to_a_group_stays_open_to_it(tmp_path: Path) -> None:
    """The group can read what is created below such a folder; others cannot."""
    reports = tmp_path / "reports"
    reports.mkdir()
    reports.chmod(0o2750)
    make_private_folders([reports])
    make_folder(reports / "run-1")
    assert (_mode(reports), _mode(reports / "run-1")) == (0o2750, 0o2750)
    assert _mode(_write(reports / "run-1" / "results.csv")) == 0o640


def test_a_new_database_is_closed(tmp_path: Path) -> None:
    """The SQLite file and the files beside it are 0600."""
    database = Database(f"sqlite:///{tmp_path}/home/returns.sqlite3")
    database.upgrade()
    with database.write():
        assert {_mode(path) for path in (tmp_path / "home").iterdir()} == {0o600}
        assert len(list((tmp_path / "home").iterdir())) == 3
    database.close()


def test_a_place_that_is_not_permitted_is_named_with_its_user(tmp_path: Path) -> None:
    """The fault names the place and says how to permit it."""
    fault = denied(PermissionError(13, "Permission denied", str(tmp_path / "logs")))
    assert str(tmp_path / "logs") in fault.message
    assert "chown" in fault.advice


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_models_that_may_not_be_read_are_not_called_broken(tmp_path: Path) -> None:
    """The fault says what to permit, and does not advise to train the model again."""
    write_stub_bundle(tmp_path / "models")
    (tmp_path / "models").chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigFault, match="may not read the model") as caught:
            find_bundle(tmp_path / "models", "stub")
    finally:
        os.seteuid(0)
    assert "chmod -R a+rX" in caught.value.advice
    assert "train" not in str(caught.value)
