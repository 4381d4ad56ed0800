"""Places that no setting names: this project's folder, the socket of the embedded Redis."""

import hashlib
import os
import tempfile
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def embedded_socket(home: Path) -> Path:
    """Return the unix socket of the Redis that belongs to `home`.

    A socket's path is limited to about 100 bytes and a URL takes no space, so it does not lie in `home`.
    """
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"returns-pipeline-{os.getuid()}" / f"{digest}.sock"


def sqlite_url(file: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file: `?`, `#` and `%` in its path are escaped."""
    # Imported here: a command that only prints its help reads no settings.
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file)).render_as_string()
