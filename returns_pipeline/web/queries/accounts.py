"""Users and their tokens, as pages and the REST interface both change them."""

import secrets

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.access import LEAST_PASSWORD, LOCAL, MOST_NAME, Role, Token, User, is_valid_name
from returns_pipeline.store import access
from returns_pipeline.store.database import Database
from returns_pipeline.web.errors import ForbiddenError
from returns_pipeline.web.security.access import Principal, digest, hash_password, new_token

#: Letters and digits that are not taken for each other when a person reads them aloud.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
#: Groups of a generated password, and letters of each: 79 bits.
_GROUPS, _GROUP = 4, 4


def add_user(db: Database, by: Principal, name: str, role: Role, password: str) -> str:
    """Add a user. Without a `password`, return one that the user must change at the first log-in; else "".

    Raises RefusedError for a name or password that is not allowed, ConflictError if the name is taken.
    """
    _require_valid_name(name)
    generated = "" if password else _new_password()
    access.add_user(
        db,
        name,
        hash_password(generated or required(password)),
        role,
        by=by.name,
        must_change_password=bool(generated),
    )
    return generated


def give_password(db: Database, by: Principal, name: str) -> str:
    """Give a user a generated password, which the user must change at the next log-in; return it."""
    generated = _new_password()
    access.change_user(
        db, name, password_hash=hash_password(generated), must_change_password=True, by=by.name
    )
    return generated


def change_user(
    db: Database,
    by: Principal,
    name: str,
    *,
    role: Role | None = None,
    is_disabled: bool | None = None,
    password: str = "",
) -> None:
    """Change a user. Raises NotFoundError, RefusedError, and ConflictError if no admin would be left."""
    access.change_user(
        db,
        name,
        role=role,
        is_disabled=is_disabled,
        password_hash=hash_password(required(password)) if password else None,
        by=by.name,
        keep_admin=True,
    )


def require_choice(old: str, new: str, again: str) -> None:
    """Raise RefusedError for a password that a person may not choose in place of the old one."""
    if new != again:
        raise RefusedError("The two new passwords differ.", "Type the same one twice.")
    if new == old:
        raise RefusedError("The new password is the old one.", "Choose another one.")
    required(new)


def choose_password(db: Database, person: Principal, new: str) -> None:
    """Give a person the password of their choice."""
    access.change_user(db, person.name, password_hash=hash_password(new), by=person.name)


def add_own_token(db: Database, person: Principal, name: str, role: Role) -> str:
    """Add a token of a person and return it. Raises ForbiddenError for a role above the person's own."""
    if not person.may(role):
        raise ForbiddenError("A token can have at most your own role.")
    # Names of tokens are unique among all persons.
    return _add_token(db, person, f"{person.name}/{name}" if name else "", role, person.name)


def add_token(db: Database, by: Principal, name: str, role: Role) -> str:
    """Add a token of a program and return it. Raises RefusedError and ConflictError as `add_user`."""
    return _add_token(db, by, name, role, None)


def _add_token(db: Database, by: Principal, name: str, role: Role, owner: str | None) -> str:
    _require_valid_name(name)
    token = new_token()
    access.add_token(db, name, digest(token), role, by=by.name, owner=owner)
    return token


def role_of(text: str) -> Role:
    """Return the role that a form names. Raises RefusedError for another text."""
    if text not in set(Role):
        raise RefusedError("There is no such role.", "Choose one of the list.")
    return Role(text)


def user_of(db: Database, name: str) -> User:
    """Return a user, also a disabled one. Raises NotFoundError."""
    found = next((each for each in access.all_users(db) if each.name == name), None)
    if found is None:
        raise NotFoundError("There is no user {name!r}.", name=name)
    return found


def valid_tokens(db: Database, owner: str | None = None) -> list[Token]:
    """Return the tokens that are not revoked: of all, or of one person."""
    return [token for token in access.all_tokens(db, owner) if token.ended_at is None]


def required(password: str) -> str:
    """Return a password that is long enough. Raises RefusedError for another one."""
    if len(password) < LEAST_PASSWORD:
        raise RefusedError("A password needs at least {least} characters.", least=LEAST_PASSWORD)
    return password


def _require_valid_name(name: str) -> None:
    if not is_valid_name(name):
        raise RefusedError(
            "This is not a valid name.",
            "A name has 1 to {most} printable characters and is not {local!r}.",
            most=MOST_NAME,
            local=LOCAL,
        )


def _new_password() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
