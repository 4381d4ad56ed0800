"""A scan refuses every folder that holds files of the installation itself."""

from pathlib import Path

import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.intake_rules import refuse_own_folders
from returns_pipeline.settings import PROJECT_ROOT, Settings, settings_of_home, sqlite_file


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a home; its intake and the places of this file's tests are beside it."""
    (tmp_path / "home" / "incoming").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    return settings_of_home(tmp_path / "home")


def _refused(root: Path, settings: Settings) -> str:
    with pytest.raises(RefusedError) as caught:
        refuse_own_folders(root.resolve(), settings)
    return str(caught.value)


def test_the_intake_and_a_folder_of_photos_are_not_refused(settings: Settings, tmp_path: Path) -> None:
    """The default intake lies in the home and is scanned; so is a folder beside the home."""
    refuse_own_folders(settings.incoming_dir, settings)
    refuse_own_folders(tmp_path / "photos", settings)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("logs", "the logs"),
        ("redis", "Redis"),
        ("redis/appendonlydir", "Redis"),
        ("archive/run-1", "the archive"),
        ("quarantine", "the quarantine"),
        ("reports", "the reports"),
        ("spool", "the spool"),
        (".", "home"),
        ("..", "home"),
    ],
)
def test_every_folder_of_the_home_is_refused(settings: Settings, name: str, what: str) -> None:
    """Whether the scanned folder is one of them, lies in one, or contains one."""
    assert what in _refused(settings.home / name, settings)


def test_a_folder_with_the_program_is_refused(settings: Settings) -> None:
    """Also if neither models nor home lie there."""
    settings = settings.model_copy(update={"models_dir": settings.home / "models"})
    assert "the program" in _refused(PROJECT_ROOT, settings)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///{folder}/returns.sqlite3", "returns.sqlite3"),
        ("sqlite:///{folder}/deep/returns.sqlite3?timeout=5", "deep/returns.sqlite3"),
        ("sqlite:///file:{folder}/a%20b.sqlite3?uri=true", "a b.sqlite3"),
    ],
)
def test_a_folder_with_the_live_database_is_refused(
    settings: Settings, tmp_path: Path, url: str, file: str
) -> None:
    """The database, its journal and its shared memory would be moved to quarantine while they are in use."""
    folder = tmp_path / "photos"
    settings = settings.model_copy(update={"database_url": url.format(folder=folder)})
    assert sqlite_file(settings.database_url) == folder / file
    assert "the database" in _refused(folder, settings)
    refuse_own_folders(settings.incoming_dir, settings)


def test_a_database_behind_a_link_is_found(settings: Settings, tmp_path: Path) -> None:
    """The database's real place counts, whichever of folder and file is a link."""
    (tmp_path / "photos" / "real.sqlite3").write_bytes(b"")
    (tmp_path / "linked").symlink_to(tmp_path / "photos")
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "photos" / "real.sqlite3")
    for url in (f"sqlite:///{tmp_path}/linked/real.sqlite3", f"sqlite:///{tmp_path}/link.sqlite3"):
        linked = settings.model_copy(update={"database_url": url})
        assert "the database" in _refused(tmp_path / "photos", linked)
        assert "the database" in _refused(tmp_path / "linked", linked)


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite://", "postgresql://u:p@host/name"])
def test_a_database_without_a_file_refuses_nothing(settings: Settings, tmp_path: Path, url: str) -> None:
    """PostgreSQL and a database in memory have no file that a scan could meet."""
    assert sqlite_file(url) is None
    refuse_own_folders(tmp_path / "photos", settings.model_copy(update={"database_url": url}))
