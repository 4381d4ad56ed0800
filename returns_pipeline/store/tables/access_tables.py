"""Users and API tokens of the web.

The column `role` has OPERATOR for an admin, because programs before 0015 know no higher role, and `is_admin`
tells the two apart. So an older program that lowers the role of an admin leaves no admin.
"""

import sqlalchemy as sa

from returns_pipeline.records.access import Role
from returns_pipeline.store.tables.columns import UtcDateTime, metadata, one_of

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("disabled_at", UtcDateTime),
    sa.Column("is_admin", sa.Boolean, nullable=False, server_default=sa.false()),
    # The password was generated: the user must choose another one before anything else.
    sa.Column("must_change_password", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("last_log_in_at", UtcDateTime),
    # Of the pages: `de` or `en`. None: as the browser asks for.
    sa.Column("language", sa.String(8)),
    one_of("role", *Role.stored()),
)

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    # Only the digest of a token is stored, so that a reader of the table cannot use the token.
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
    sa.Column("is_admin", sa.Boolean, nullable=False, server_default=sa.false()),
    # The person whose token it is. It may do at most what this person may do. None: the token of a program.
    sa.Column("owner_id", sa.ForeignKey("users.id"), index=True),
    one_of("role", *Role.stored()),
)
