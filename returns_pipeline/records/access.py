"""Access: users, tokens and their roles."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

#: The user name of a caller with the token of this machine.
LOCAL = "local"
#: Characters of a name of a user or a token, and the fewest characters of a password.
MOST_NAME, LEAST_PASSWORD = 100, 8


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


class User(NamedTuple):
    """A user; `ended_at` is when the user was disabled."""

    name: str
    role: Role
    created_at: datetime
    ended_at: datetime | None
    last_log_in_at: datetime | None
    must_change_password: bool
    language: str | None


class Token(NamedTuple):
    """An API token; `ended_at` is when it was revoked.

    The token of a person has an `owner`, the name ANNA/NAME, and at most the role of the owner.
    """

    name: str
    role: Role
    created_at: datetime
    ended_at: datetime | None
    owner: str | None


def is_valid_name(name: str) -> bool:
    """Whether a user or a token may have a name."""
    return name != LOCAL and name.isprintable() and 0 < len(name.strip()) <= MOST_NAME
