"""The secrets of this installation, each in a file that only its user can read."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from returns_pipeline.settings import Settings


def secret_file(settings: Settings, name: str) -> Path:
    """Return the file of a secret."""
    return settings.home / name


def secret_of(settings: Settings, name: str) -> str:
    """Return a secret, which is created once."""
    path = secret_file(settings, name)
    settings.home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=settings.home, prefix=f".{name}-") as draft:
            draft.write(new_token())
            draft.flush()
            # A link appears whole, and never replaces the file of another process.
            with contextlib.suppress(FileExistsError):
                os.link(draft.name, path)
    return path.read_text(encoding="ascii").strip()


def new_token() -> str:
    """Return a token of 256 random bits."""
    return secrets.token_urlsafe(32)
