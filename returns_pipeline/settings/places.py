"""Places that are not settings: the project's folder, the shipped files, the embedded Redis' socket."""

import hashlib
import os
import tempfile
from pathlib import Path

#: The folder that holds the package: the repository, or site-packages if a wheel is installed.
PROJECT_ROOT = Path(__file__).resolve().parents[2]


def _shipped() -> Path:
    """Return the folder of the shipped models and samples: in a wheel inside the package, else beside it."""
    inside = PROJECT_ROOT / "returns_pipeline" / "shipped"
    return inside if inside.is_dir() else PROJECT_ROOT


SHIPPED = _shipped()


def embedded_socket(home: Path) -> Path:
    """Return the unix socket of the Redis that belongs to `home`.

    It is not in `home`: the path of a socket is limited to about 100 bytes, and a URL takes no space.
    """
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"returns-pipeline-{os.getuid()}" / f"{digest}.sock"


def sqlite_url(file: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file: `?`, `#` and `%` in its path are escaped."""
    # Imported here, because `--help` must stay fast and needs no URL.
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file)).render_as_string()


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLAlchemy URL of SQLite; None for another database, or one in memory."""
    # Imported here, for the same reason.
    from sqlalchemy import make_url

    parsed = make_url(url)
    name = (parsed.database or "").removeprefix("file:")
    if parsed.get_backend_name() != "sqlite" or name in {"", ":memory:"}:
        return None
    return Path(name)
