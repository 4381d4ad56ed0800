"""The metadata of all tables, and the types of their columns."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
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

#: SQLite assigns ids in INTEGER columns only. PostgreSQL needs BIGINT for a billion images.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def ordered_text(length: int) -> sa.types.TypeEngine[str]:
    """Return a text that is compared byte by byte on both databases, so that an index finds its beginning."""
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite has no time zones, so there it is stored without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC. Raises ValueError for a naive datetime."""
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

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what reads a value. A list of images has several moments for each, and most are empty."""
        read = super().result_processor(dialect, coltype)
        return lambda value: None if value is None else read(value)  # type: ignore[misc]


class PathText(sa.types.TypeDecorator[str]):
    """A path as text. Bytes that are not UTF-8 are escaped."""

    impl = sa.Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Escape the bytes that the database would refuse."""
        return None if value is None else escape_path(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Undo the escapes."""
        return _path(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Return what reads a value, with one call less than that of a TypeDecorator."""
        return _path


def _path(value: str | None) -> str | None:
    return _unescape(value) if value is not None and "\\" in value else value


def escape_path(path: str) -> str:
    r"""Return a path as valid text: a byte that is not UTF-8 becomes `\xNN`, a backslash `\\`."""
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


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """Return a CHECK that a column has one of `values`."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)
