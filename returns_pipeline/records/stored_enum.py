"""Enums whose values are kept in rows, which a newer version of this program may have written."""

from enum import StrEnum


class StoredEnum(StrEnum):
    """An enum that reads an unknown value as its member UNKNOWN, which is never written.

    So a row of a newer version appears in lists and pages as `unknown` instead of failing them.
    """

    @classmethod
    def _missing_(cls, value: object) -> "StoredEnum":  # noqa: ARG003 - any other value
        return cls["UNKNOWN"]

    @classmethod
    def written(cls) -> "list[StoredEnum]":
        """Return the members that rows have: all but UNKNOWN."""
        return [member for member in cls if member.name != "UNKNOWN"]
