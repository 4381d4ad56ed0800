"""Access: users, tokens and their roles."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a user or a token may do: view; also review; also operate; also manage users and delete images."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """A higher rank includes all rights of the lower ones."""
        return list(Role).index(self)

    @classmethod
    def stored(cls) -> tuple["Role", ...]:
        """Return the roles that the column `role` may have; another column says who is an admin."""
        return tuple(role for role in cls if role is not cls.ADMIN)


class Access(NamedTuple):
    """A user or an API token; `ended_at` is when it was disabled or revoked."""

    name: str
    role: Role
    created_at: datetime
    ended_at: datetime | None
