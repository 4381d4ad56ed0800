"""Users, for admins."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records import access as records
from returns_pipeline.records.access import MOST_NAME, Role
from returns_pipeline.store import access
from returns_pipeline.web.dependencies import Admin, Db
from returns_pipeline.web.queries import accounts

router = APIRouter(tags=["users"])

_Password = Annotated[str, Field(max_length=1000)]


class User(BaseModel):
    """One user; `disabled_at` is null for one who can log in."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None
    last_log_in_at: datetime | None
    must_change_password: bool

    @classmethod
    def of(cls, user: records.User) -> "User":
        """Return a user."""
        return cls(
            name=user.name,
            role=user.role,
            created_at=user.created_at,
            disabled_at=user.ended_at,
            last_log_in_at=user.last_log_in_at,
            must_change_password=user.must_change_password,
        )


class Users(BaseModel):
    """Every user by name."""

    model_config = ConfigDict(frozen=True)

    users: list[User]


class NewUser(BaseModel):
    """A user to add. Without a password one is generated, which the user must change at the first log-in."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=MOST_NAME, pattern=r"^[^\x00]*$")
    role: Role = Role.REVIEWER
    password: _Password = ""


class AddedUser(BaseModel):
    """A user that was added, and the generated password; null if one was given."""

    model_config = ConfigDict(frozen=True)

    user: User
    password: str | None


class UserChange(BaseModel):
    """What is to be changed of a user; null changes nothing."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: bool | None = None
    password: _Password | None = None


@router.get("/users", summary="Every user")
def list_users(db: Db, _: Admin) -> Users:
    """Return every user by name."""
    return Users(users=[User.of(each) for each in access.all_users(db)])


@router.post("/users", status_code=status.HTTP_201_CREATED, summary="Add a user")
def add_user(db: Db, person: Admin, new: NewUser) -> AddedUser:
    """Add a user."""
    generated = accounts.add_user(db, person, new.name, new.role, new.password)
    return AddedUser(user=User.of(accounts.user_of(db, new.name)), password=generated or None)


@router.patch("/users/{name:path}", summary="Change a user")
def change_user(
    db: Db, person: Admin, name: Annotated[str, Path(max_length=MOST_NAME)], change: UserChange
) -> User:
    """Change role, state or password of a user. The only admin cannot be disabled or get another role."""
    accounts.change_user(
        db,
        person,
        name,
        role=change.role,
        is_disabled=change.disabled,
        password=change.password or "",
    )
    return User.of(accounts.user_of(db, name))
