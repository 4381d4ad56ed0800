"""Admins, tokens of persons, and the audit log.

Only expands: an admin is an operator for the release before this one, which writes no audit events.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (_flag("is_admin"), _flag("must_change_password")):
        op.add_column("users", column)
    op.add_column("users", sa.Column("last_log_in_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("language", sa.String(length=8), nullable=True))
    with op.batch_alter_table("api_tokens") as table:
        table.add_column(_flag("is_admin"))
        table.add_column(sa.Column("owner_id", sa.Integer(), nullable=True))
        table.create_foreign_key(op.f("fk_api_tokens_owner_id"), "users", ["owner_id"], ["id"])
        table.create_index(op.f("ix_api_tokens_owner_id"), ["owner_id"])
    op.create_table(
        "audit_events",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_at", "audit_events", ["at", "id"])
    op.create_index("ix_audit_events_who", "audit_events", ["who", "at", "id"])
    op.create_index("ix_audit_events_action", "audit_events", ["action", "at", "id"])
    op.create_index("ix_review_changes_at", "review_changes", ["changed_at", "id"])
    op.create_index("ix_review_changes_who_at", "review_changes", ["who", "changed_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_review_changes_who_at", "review_changes")
    op.drop_index("ix_review_changes_at", "review_changes")
    op.drop_table("audit_events")
    # The program before knows no owner, so it would let the token of a disabled person in.
    op.execute("UPDATE api_tokens SET revoked_at = CURRENT_TIMESTAMP WHERE owner_id IS NOT NULL")
    with op.batch_alter_table("api_tokens") as table:
        table.drop_index(op.f("ix_api_tokens_owner_id"))
        table.drop_constraint(op.f("fk_api_tokens_owner_id"), type_="foreignkey")
        table.drop_column("owner_id")
        table.drop_column("is_admin")
    for column in ("language", "last_log_in_at", "must_change_password", "is_admin"):
        op.drop_column("users", column)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
