"""Users with their password hashes. Each change is one transaction with its event in the audit log."""

from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.records.access import Role, Token, User
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.store import audit
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import api_tokens, users


def add_user(
    db: Database,
    name: str,
    password_hash: str,
    role: Role,
    *,
    by: str = "",
    must_change_password: bool = False,
) -> None:
    """Add a user; `by` is the person who adds it. Raises ConflictError if the name is taken."""
    with db.write() as connection:
        added = connection.execute(
            db.insert(users)
            .values(
                name=name,
                created_at=utc_now(),
                password_hash=password_hash,
                must_change_password=must_change_password,
                **_stored(role),
            )
            .on_conflict_do_nothing(index_elements=[users.c.name])
            # RETURNING, because PostgreSQL's driver reports no row count for such a statement.
            .returning(users.c.id)
        ).first()
        if added is None:
            raise ConflictError("There is a user {name!r} already.", "Choose another name.", name=name)
        audit.record(connection, by, AuditAction.USER_ADD, AuditSubject.USER, name, role=role)


def change_user(
    db: Database,
    name: str,
    *,
    password_hash: str | None = None,
    must_change_password: bool = False,
    role: Role | None = None,
    is_disabled: bool | None = None,
    by: str = "",
    keep_admin: bool = False,
) -> None:
    """Change the given values of a user; `by` is the person who changes them.

    Raises NotFoundError if there is no such user, and with `keep_admin` ConflictError if no enabled admin
    would be left.
    """
    values: dict[str, object] = {}
    actions: list[tuple[AuditAction, dict[str, object]]] = []
    with db.write() as connection:
        # Before the user's own row: all transactions lock in the same order, so that none waits for ever.
        admins = _lock_admins(connection) if keep_admin else []
        row = connection.execute(sa.select(users).where(users.c.name == name).with_for_update()).one_or_none()
        if row is None:
            raise NotFoundError(
                "There is no user {name!r}.", "`returns-pipeline users list` shows them.", name=name
            )
        if admins == [name] and (is_disabled or role not in {None, Role.ADMIN}):
            raise ConflictError("{name} is the only admin.", "Make another person an admin first.", name=name)
        if password_hash is not None:
            values |= {"password_hash": password_hash, "must_change_password": must_change_password}
            actions.append((AuditAction.USER_PASSWORD, {}))
        if role is not None and role is not _role(row):
            values |= _stored(role)
            actions.append((AuditAction.USER_ROLE, {"role": role, "before": _role(row)}))
        if is_disabled is not None and is_disabled is not (row.disabled_at is not None):
            values["disabled_at"] = utc_now() if is_disabled else None
            actions.append((AuditAction.USER_DISABLE if is_disabled else AuditAction.USER_ENABLE, {}))
        if values:
            connection.execute(sa.update(users).where(users.c.name == name).values(values))
        for action, detail in actions:
            audit.record(connection, by, action, AuditSubject.USER, name, **detail)


def _lock_admins(connection: sa.Connection) -> list[str]:
    query = sa.select(users.c.name).where(
        users.c.is_admin, users.c.role == Role.OPERATOR, users.c.disabled_at.is_(None)
    )
    return list(connection.execute(query.order_by(users.c.id).with_for_update()).scalars())


def user(db: Database, name: str) -> tuple[User, str] | None:
    """Return an enabled user and the password hash; None if there is no such user."""
    query = sa.select(users).where(users.c.name == name, users.c.disabled_at.is_(None))
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return (_user(row), row.password_hash) if row else None


def note_log_in(db: Database, name: str, address: str) -> None:
    """Record that a user has logged in from an address."""
    with db.write() as connection:
        connection.execute(sa.update(users).where(users.c.name == name).values(last_log_in_at=utc_now()))
        audit.record(connection, name, AuditAction.LOG_IN, AuditSubject.USER, name, address=address)


def set_language(db: Database, name: str, language: str | None) -> None:
    """Store in which language a user reads the pages; None: as the browser asks for."""
    with db.write() as connection:
        connection.execute(sa.update(users).where(users.c.name == name).values(language=language))


def all_users(db: Database) -> Sequence[User]:
    """Return every user by name."""
    with db.read() as connection:
        rows = connection.execute(sa.select(users).order_by(users.c.name)).all()
    return [_user(row) for row in rows]


def add_token(
    db: Database, name: str, sha256: str, role: Role, *, by: str = "", owner: str | None = None
) -> None:
    """Add an API token by its digest. The `owner` is the person whose token it is; None for a program's.

    Raises ConflictError if the name is taken, NotFoundError if there is no such owner.
    """
    with db.write() as connection:
        owner_id = None
        if owner is not None:
            owner_id = connection.execute(sa.select(users.c.id).where(users.c.name == owner)).scalar()
            if owner_id is None:
                raise NotFoundError("There is no user {name!r}.", name=owner)
        added = connection.execute(
            db.insert(api_tokens)
            .values(name=name, created_at=utc_now(), sha256=sha256, owner_id=owner_id, **_stored(role))
            .on_conflict_do_nothing(index_elements=[api_tokens.c.name])
            .returning(api_tokens.c.id)
        ).first()
        if added is None:
            raise ConflictError("There is a token {name!r} already.", "Choose another name.", name=name)
        audit.record(connection, by, AuditAction.TOKEN_ADD, AuditSubject.TOKEN, name, role=role)


def revoke_token(db: Database, name: str, *, by: str = "", owner: str | None = None) -> None:
    """Revoke a token; with `owner`, only one of this person.

    Raises NotFoundError if there is no valid token of this name.
    """
    its_owner = sa.select(users.c.id).where(users.c.name == owner).scalar_subquery()
    with db.write() as connection:
        changed = connection.execute(
            sa.update(api_tokens)
            .where(
                api_tokens.c.name == name,
                api_tokens.c.revoked_at.is_(None),
                sa.true() if owner is None else api_tokens.c.owner_id == its_owner,
            )
            .values(revoked_at=utc_now())
        )
        if not changed.rowcount:
            raise NotFoundError(
                "There is no valid token {name!r}.", "`returns-pipeline tokens list` shows them.", name=name
            )
        audit.record(connection, by, AuditAction.TOKEN_REVOKE, AuditSubject.TOKEN, name)


#: Tokens with their owners.
_TOKENS = sa.select(
    api_tokens,
    users.c.name.label("owner"),
    users.c.role.label("owner_role"),
    users.c.is_admin.label("owner_is_admin"),
).select_from(api_tokens.outerjoin(users, users.c.id == api_tokens.c.owner_id))


def token(db: Database, sha256: str) -> Token | None:
    """Return the valid token with this digest, or None. The token of a disabled person is not valid."""
    query = _TOKENS.where(
        api_tokens.c.sha256 == sha256, api_tokens.c.revoked_at.is_(None), users.c.disabled_at.is_(None)
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return _token(row) if row else None


def all_tokens(db: Database, owner: str | None = None) -> Sequence[Token]:
    """Return every token by name, or those of one person."""
    query = _TOKENS.order_by(api_tokens.c.name)
    with db.read() as connection:
        rows = connection.execute(query if owner is None else query.where(users.c.name == owner)).all()
    return [_token(row) for row in rows]


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


def _stored(role: Role) -> dict[str, object]:
    """Return the columns of a role: an admin is an operator for programs that know no admin."""
    is_admin = role is Role.ADMIN
    return {"role": Role.OPERATOR if is_admin else role, "is_admin": is_admin}


def _role_of(stored: str, is_admin: bool) -> Role:
    role = Role(stored)
    return Role.ADMIN if is_admin and role is Role.OPERATOR else role


def _role(row: sa.Row[tuple[object, ...]]) -> Role:
    return _role_of(row.role, row.is_admin)


def _user(row: sa.Row[tuple[object, ...]]) -> User:
    return User(
        name=row.name,
        role=_role(row),
        created_at=row.created_at,
        ended_at=row.disabled_at,
        last_log_in_at=row.last_log_in_at,
        must_change_password=row.must_change_password,
        language=row.language,
    )


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    role = _role(row)
    if row.owner is not None:
        role = min(role, _role_of(row.owner_role, row.owner_is_admin), key=lambda each: each.rank)
    return Token(row.name, role, row.created_at, row.revoked_at, row.owner)
