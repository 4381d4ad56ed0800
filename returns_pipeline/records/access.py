"""Access: users, tokens and their roles."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What somebody may do: look; look and review; everything."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"

    @property
    def rank(self) -> int:
        """Higher may do all that lower may."""
        return list(Role).index(self)


class Access(NamedTuple):
    """A user or a machine's token; `ended_at` is when it was disabled or revoked."""

    name: str
    role: Role
    created_at: datetime
    ended_at: datetime | None
