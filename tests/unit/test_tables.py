"""Column types return the values that were stored."""

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from returns_pipeline.store.tables import PathText, UtcDateTime

SQLITE = sqlite.dialect()


@given(
    st.lists(st.binary(min_size=1).filter(lambda part: b"\0" not in part and b"/" not in part), min_size=1)
)
def test_any_path_comes_back_and_is_text_in_between(parts: list[bytes]) -> None:
    """A path of any bytes is stored as valid text and read as the same path."""
    path = os.fsdecode(b"/" + b"/".join(parts))
    column = PathText()
    stored = column.process_bind_param(path, SQLITE)
    assert stored is not None
    stored.encode("utf-8")
    assert column.process_result_value(stored, SQLITE) == path


def test_two_paths_are_never_stored_alike() -> None:
    """A name that looks like an escape is not confused with the byte of that escape."""
    column = PathText()
    names = [b"a\xe9", rb"a\xe9", rb"a\\xe9", "aé".encode()]
    assert len({column.process_bind_param(os.fsdecode(name), SQLITE) for name in names}) == len(names)


def test_moments_are_aware_and_in_utc() -> None:
    """A moment without a time zone is refused; a moment from SQLite is in UTC."""
    column = UtcDateTime()
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    for dialect in (SQLITE, postgresql.dialect()):  # type: ignore[no-untyped-call]
        stored = column.process_bind_param(moment, dialect)
        assert column.process_result_value(stored, dialect) == moment
    with pytest.raises(ValueError, match="no time zone"):
        column.process_bind_param(datetime(2026, 1, 1), SQLITE)  # noqa: DTZ001 - that is the point
