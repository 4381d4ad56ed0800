"""The tables. `migrations/` makes them; a test asserts that both agree."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

#: SQLite numbers rows by itself in INTEGER columns only; PostgreSQL needs BIGINT for a billion images.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite, which has no time zones, keeps it without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a naive datetime is a defect."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class PathText(sa.types.TypeDecorator[str]):
    """A path as text, its bytes that are no UTF-8 escaped."""

    impl = sa.Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Escape what the database would refuse."""
        return None if value is None else escape_path(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Undo the escapes."""
        return _unescape(value) if value is not None and "\\" in value else value


def escape_path(path: str) -> str:
    r"""Return a path as a database takes it: a byte that is no UTF-8 becomes `\xNN`, a backslash `\\`."""
    if path.isascii() and "\\" not in path:
        return path
    escaped = path.replace("\\", "\\\\")
    return "".join(f"\\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in escaped)


def _unescape(text: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(text):
        if text.startswith("\\\\", position):
            parts.append("\\")
            position += 2
        elif text.startswith("\\x", position):
            parts.append(chr(0xDC00 + int(text[position + 2 : position + 4], 16)))
            position += 4
        else:
            parts.append(text[position])
            position += 1
    return "".join(parts)


#: Terms of partial indexes. A query that should use one must hold its very words: no database infers them
#: from a parameter.
UNFINISHED = sa.text("chunks.state <> 'done'")
NOT_CLOSED = sa.text("runs.state <> 'closed'")
_ACTIVE = sa.text("stage = 'active'")
_SHADOW = sa.text("shadow_share IS NOT NULL")


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """Return the constraint that a column has one of some values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _text(length: int) -> Any:
    return sa.String(length)


model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", _text(100), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sha256", _text(64), nullable=False),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("stage", _text(16), nullable=False, server_default="candidate"),
    # The part of each night's images that it answers beside the active version; usually none.
    sa.Column("shadow_share", sa.Float),
    sa.UniqueConstraint("name", "version"),
    one_of("stage", "candidate", "active", "archived"),
    sa.CheckConstraint(
        "shadow_share IS NULL OR (shadow_share > 0 AND shadow_share <= 1 AND stage <> 'active')",
        name="shadow_share",
    ),
)
# One version of a name works at night, whatever two people do at once.
sa.Index(
    "uq_model_versions_active",
    model_versions.c.name,
    unique=True,
    postgresql_where=_ACTIVE,
    sqlite_where=_ACTIVE,
)
sa.Index(
    "uq_model_versions_shadow",
    model_versions.c.name,
    unique=True,
    postgresql_where=_SHADOW,
    sqlite_where=_SHADOW,
)

#: What was done to the models, oldest first; a row is never changed.
model_changes = sa.Table(
    "model_changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("action", _text(16), nullable=False),
    sa.Column("who", _text(255), nullable=False),
    sa.Column("name", _text(100), nullable=False),
    sa.Column("from_version", sa.Integer),
    sa.Column("to_version", sa.Integer),
    sa.Column("forced", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    one_of("action", "register", "promote", "rollback", "first use", "shadow"),
)
sa.Index("ix_model_changes_name", model_changes.c.name, model_changes.c.id)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # The request that opened the run: a message that is delivered twice opens one run.
    sa.Column("request_id", _text(64), nullable=False, unique=True),
    sa.Column("kind", _text(16), nullable=False),
    sa.Column("state", _text(16), nullable=False),
    sa.Column("directory", PathText),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    # When the scan or the closing last showed that it is alive; the sweep starts it again after a lease.
    sa.Column("touched_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("seen", sa.Integer, nullable=False, server_default="0"),
    sa.Column("classified", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quarantined", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("csv_path", PathText),
    sa.Column("report_path", PathText),
    one_of("kind", "nightly", "catch-up", "adhoc", "retry", "api"),
    one_of("state", "scanning", "running", "closing", "closed"),
    sa.CheckConstraint("state <> 'closed' OR seen = classified + quarantined + failed", name="sums"),
)
sa.Index(
    "ix_runs_open",
    runs.c.state,
    postgresql_where=NOT_CLOSED,
    sqlite_where=NOT_CLOSED,
)

chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("state", _text(16), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # The message that holds the lease: delivered again, its first process is dead, so it may claim again.
    sa.Column("lease_owner", _text(64)),
    sa.Column("lease_token", _text(32)),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("sent_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("worker", _text(255)),
    # What the last attempt met that could say so; empty when its process just died.
    sa.Column("error", sa.Text),
    # Milliseconds by stage: read, decode, predict, store, archive.
    sa.Column("timings", sa.JSON),
    one_of("state", "open", "leased", "done"),
)
sa.Index("ix_chunks_run", chunks.c.run_id, chunks.c.state)
sa.Index(
    "ix_chunks_unfinished",
    chunks.c.state,
    chunks.c.lease_until,
    postgresql_where=UNFINISHED,
    sqlite_where=UNFINISHED,
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("chunk_id", sa.ForeignKey("chunks.id"), nullable=False),
    sa.Column("source_path", PathText, nullable=False),
    # True while the file lies in the intake folder as this row's: no other row may take it then.
    sa.Column("in_intake", sa.Boolean, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("state", _text(16), nullable=False),
    sa.Column("code", _text(32)),
    sa.Column("detail", sa.Text),
    sa.Column("sha256", _text(64)),
    sa.Column("format", _text(16)),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    # Where the file goes; it is there once in_intake is false.
    sa.Column("archived_path", PathText),
    one_of("state", "pending", "classified", "quarantined", "failed"),
    sa.CheckConstraint("state IN ('pending', 'classified') OR code IS NOT NULL", name="code"),
)
sa.Index(
    "uq_images_intake",
    images.c.source_path,
    unique=True,
    postgresql_where=images.c.in_intake,
    sqlite_where=images.c.in_intake,
)
sa.Index("ix_images_chunk", images.c.chunk_id)
sa.Index("ix_images_run", images.c.run_id, images.c.id)

predictions = sa.Table(
    "predictions",
    metadata,
    # The key makes a second write of the same answer change nothing.
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), primary_key=True, autoincrement=False),
    sa.Column("label_index", sa.Integer, nullable=False),
    sa.Column("label", _text(100), nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("main_label", _text(100), nullable=False),
    sa.Column("main_probability", sa.Float, nullable=False),
    # [[label index, probability], …], best first.
    sa.Column("top", sa.JSON, nullable=False),
    sa.Column("decision", _text(8), nullable=False),
    one_of("decision", "auto", "review"),
    sqlite_with_rowid=False,
)
