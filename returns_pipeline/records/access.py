"""Access: users, tokens and their roles."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a user or a token may do: view; also review; everything."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"

    @property
    def rank(self) -> int:
        """A higher rank includes all rights of the lower ones."""
        return list(Role).index(self)


class Access(NamedTuple):
    """A user or an API token; `ended_at` is when it was disabled or revoked."""

    name: str
    role: Role
    created_at: datetime
    ended_at: datetime | None
