"""Copies of the whole database, and where its rows say that photos are."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault, ConflictError
from returns_pipeline.private_files import open_private
from returns_pipeline.records.images import ImageState
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import IDENTITY, images

_AT_ONCE = 5000


class Photo(NamedTuple):
    """Where an image's file is, or was: `source` in an intake or the spool, `archived` after its move.

    `is_left`: the file is not at its source any more.
    """

    id: int
    run_id: int
    source: str
    archived: str | None
    identity: str
    is_pending: bool
    is_left: bool


def file_name(db: Database) -> str:
    """Return the name of a copy of this kind of database."""
    return "database.sqlite3" if db.is_sqlite else "database.dump"


def save(db: Database, target: Path) -> None:
    """Write a copy of the database as it is at one moment; others go on writing.

    Raises ConfigFault if PostgreSQL's program pg_dump is missing or fails.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    if db.is_sqlite:
        with (
            closing(sqlite3.connect(db.url.database or "")) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    else:
        _run(db, "pg_dump", "--format=custom", "--no-owner", f"--file={target}")


def load(db: Database, source: Path) -> None:
    """Create the tables and rows of a copy, then migrate them to this version.

    Raises ConflictError if the database has tables, ConfigFault if pg_restore is missing or fails.
    """
    require_empty(db)
    if db.is_sqlite:
        target = db.url.database or ""
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(target, "wb", opener=open_private),  # closed to others before it has content
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as copy,
            closing(sqlite3.connect(target)) as new,
        ):
            copy.backup(new)
    else:
        database = db.url.database or ""
        _run(db, "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={database}", str(source))
    db.upgrade()


def require_empty(db: Database) -> None:
    """Raise ConflictError if the database has tables."""
    if db.is_sqlite and not os.path.lexists(db.url.database or ""):
        return
    if db.revision()[0] is not None:
        raise ConflictError(
            "The database has tables already. A backup is restored into an empty database; name one in "
            "RETURNS_DATABASE_URL, or move the present one away."
        )


def photos(db: Database) -> Iterator[Photo]:
    """Yield the photos of all images that were neither deleted nor removed because of their age."""
    last = 0
    while True:
        query = (
            sa.select(
                images.c.id,
                images.c.run_id,
                images.c.source_path,
                images.c.archived_path,
                IDENTITY,
                images.c.state == ImageState.PENDING,
                sa.not_(images.c.in_intake),
                images.c.deleted_at.is_(None) & images.c.photo_removed_at.is_(None),
            )
            .where(images.c.id > last)
            .order_by(images.c.id)
            .limit(_AT_ONCE)
        )
        with db.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        yield from (Photo(*row[:7]) for row in rows if row[7])


def set_identity(db: Database, image_id: int, identity: str) -> None:
    """Note the identity of the file of a pending image, which was written to its place again."""
    query = sa.update(images).where(images.c.id == image_id, images.c.state == ImageState.PENDING)
    with db.write() as connection:
        connection.execute(query.values(identity=identity))


def _run(db: Database, program: str, *words: str) -> None:
    """Run a program of PostgreSQL with the access to this database, which no other user can read."""
    query = {name: value for name, value in db.url.query.items() if isinstance(value, str)}
    access = {
        "PGHOST": query.get("host", db.url.host),
        "PGPORT": query.get("port", db.url.port),
        "PGUSER": db.url.username,
        "PGPASSWORD": db.url.password,
        "PGDATABASE": db.url.database,
        "PGSSLMODE": query.get("sslmode"),
        "PGSSLROOTCERT": query.get("sslrootcert"),
    }
    environment = os.environ | {name: str(value) for name, value in access.items() if value}
    try:
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        raise ConfigFault(
            "PostgreSQL's program {program} cannot be started: {reason}.",
            "Install the client programs of the server's version, or copy the database otherwise and use "
            "--without-database.",
            program=program,
            reason=error.strerror,
        ) from error
    if done.returncode:
        raise ConfigFault("{program} failed: {reason}", program=program, reason=done.stderr.strip()[-500:])
