"""Users with their password hashes, and API tokens with their digests."""

from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.access import Access, Role
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import api_tokens, users


def add_user(db: Database, name: str, password_hash: str, role: Role) -> None:
    """Add a user. Raises ConflictError if the name is taken."""
    _add(db, users, "user", name=name, password_hash=password_hash, role=role)


def change_user(
    db: Database,
    name: str,
    *,
    password_hash: str | None = None,
    role: Role | None = None,
    is_disabled: bool | None = None,
) -> None:
    """Change the given values of a user. Raises NotFoundError if there is no such user."""
    values: dict[str, object] = {}
    if password_hash is not None:
        values["password_hash"] = password_hash
    if role is not None:
        values["role"] = role
    if is_disabled is not None:
        values["disabled_at"] = utc_now() if is_disabled else None
    with db.write() as connection:
        changed = connection.execute(sa.update(users).where(users.c.name == name).values(values))
    if not changed.rowcount:
        raise NotFoundError(
            "There is no user {name!r}.", "`returns-pipeline users list` shows them.", name=name
        )


def user(db: Database, name: str) -> tuple[Access, str] | None:
    """Return an enabled user and the password hash; None if there is no such user."""
    query = sa.select(users).where(users.c.name == name, users.c.disabled_at.is_(None))
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return (Access(row.name, Role(row.role), row.created_at, None), row.password_hash) if row else None


def add_token(db: Database, name: str, sha256: str, role: Role) -> None:
    """Add an API token by its digest. Raises ConflictError if the name is taken."""
    _add(db, api_tokens, "token", name=name, sha256=sha256, role=role)


def _add(db: Database, table: sa.Table, kind: str, *, name: str, **values: object) -> None:
    with db.write() as connection:
        added = connection.execute(
            db.insert(table)
            .values(name=name, created_at=utc_now(), **values)
            .on_conflict_do_nothing(index_elements=[table.c.name])
            # RETURNING, because PostgreSQL's driver reports no row count for such a statement.
            .returning(table.c.id)
        ).first()
    if added is None:
        raise ConflictError(
            "There is a {kind} {name!r} already.", "Choose another name.", kind=kind, name=name
        )


def revoke_token(db: Database, name: str) -> None:
    """Revoke a token. Raises NotFoundError if there is no valid token of this name."""
    with db.write() as connection:
        changed = connection.execute(
            sa.update(api_tokens)
            .where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
            .values(revoked_at=utc_now())
        )
    if not changed.rowcount:
        raise NotFoundError(
            "There is no valid token {name!r}.", "`returns-pipeline tokens list` shows them.", name=name
        )


def token(db: Database, sha256: str) -> Access | None:
    """Return the valid token with this digest, or None."""
    query = sa.select(api_tokens).where(api_tokens.c.sha256 == sha256, api_tokens.c.revoked_at.is_(None))
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return Access(row.name, Role(row.role), row.created_at, None) if row else None


def all_users(db: Database) -> Sequence[Access]:
    """Return every user by name."""
    with db.read() as connection:
        rows = connection.execute(sa.select(users).order_by(users.c.name)).all()
    return [Access(row.name, Role(row.role), row.created_at, row.disabled_at) for row in rows]


def all_tokens(db: Database) -> Sequence[Access]:
    """Return every token by name."""
    with db.read() as connection:
        rows = connection.execute(sa.select(api_tokens).order_by(api_tokens.c.name)).all()
    return [Access(row.name, Role(row.role), row.created_at, row.revoked_at) for row in rows]


def has_accounts(db: Database) -> bool:
    """Whether there is an enabled user or a valid token."""
    with db.read() as connection:
        found = connection.execute(
            sa.select(
                sa.exists().where(users.c.disabled_at.is_(None))
                | sa.exists().where(api_tokens.c.revoked_at.is_(None))
            )
        )
        return bool(found.scalar())
