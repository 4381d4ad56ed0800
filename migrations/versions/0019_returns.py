"""Returns, their history, the queue of verdicts, imports, and which return a photo belongs to.

Only expands. What the release before this one classifies beside this one belongs to no return until the sweep
links it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NUMBER = sa.String(100).with_variant(postgresql.VARCHAR(100, collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_AWAITED = sa.text("verdict IS NULL AND due_at IS NOT NULL")
_OPEN = sa.text("decision IS NULL")
_DECIDED = sa.text("decision IS NOT NULL")
_BELONGS = sa.text("return_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "returns",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("order_number", sa.String(100), nullable=True),
        sa.Column("expected_label", sa.String(100), nullable=True),
        sa.Column("expected_main_label", sa.String(100), nullable=True),
        sa.Column("product", sa.String(100), nullable=True),
        sa.Column("title", sa.String(300), nullable=True),
        sa.Column("customer", sa.String(100), nullable=True),
        sa.Column("customer_removed_at", _MOMENT, nullable=True),
        sa.Column("announced_on", sa.Date(), nullable=True),
        sa.Column("note", sa.String(2000), nullable=True),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("verdict", sa.String(32), nullable=True),
        sa.Column("verdict_reason", sa.String(32), nullable=True),
        sa.Column("sureness", sa.Float(), nullable=True),
        sa.Column("verdict_detail", sa.JSON(), nullable=True),
        sa.Column("verdict_at", _MOMENT, nullable=True),
        sa.Column("due_at", _MOMENT, nullable=True),
        sa.Column("decision", sa.String(16), nullable=True),
        sa.Column("decided_by", sa.String(100), nullable=True),
        sa.Column("decided_at", _MOMENT, nullable=True),
        sa.Column("decision_note", sa.String(2000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returns")),
        sa.UniqueConstraint("number", name=op.f("uq_returns_number")),
    )
    for name, first, where in (
        ("open", ["verdict"], _OPEN),
        ("decided", ["verdict", "decision"], _DECIDED),
    ):
        for kind, rest in ((name, ["id"]), (f"{name}_day", ["announced_on", "id"])):
            columns = [*first, *rest]
            op.create_index(
                f"ix_returns_{kind}", "returns", columns, postgresql_where=where, sqlite_where=where
            )
    op.create_index("ix_returns_customer", "returns", ["customer", "id"])
    op.create_index("ix_returns_order", "returns", ["order_number"])
    op.create_index("ix_returns_due", "returns", ["due_at"], postgresql_where=_AWAITED, sqlite_where=_AWAITED)
    _history()
    _imports()
    _photos()


def _history() -> None:
    op.create_table(
        "return_events",
        sa.Column("id", _BIG_ID, nullable=False),
        sa.Column("return_id", _BIG_ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["return_id"], ["returns.id"], name=op.f("fk_return_events_return_id_returns")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_events")),
    )
    op.create_index("ix_return_events_return", "return_events", ["return_id", "id"])
    op.create_table(
        "returns_to_judge",
        sa.Column("return_id", _BIG_ID, autoincrement=False, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["return_id"], ["returns.id"], name=op.f("fk_returns_to_judge_return_id_returns")
        ),
        sa.PrimaryKeyConstraint("return_id", name=op.f("pk_returns_to_judge")),
    )


def _imports() -> None:
    op.create_table(
        "return_imports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("lines", sa.Integer(), server_default="0", nullable=False),
        sa.Column("added", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_imports")),
    )
    op.create_table(
        "return_import_faults",
        sa.Column("import_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["return_imports.id"],
            name=op.f("fk_return_import_faults_import_id_return_imports"),
        ),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_return_import_faults")),
    )
    op.create_table(
        "return_mappings",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_return_mappings")),
    )


def _photos() -> None:
    # SQLite adds a column with its foreign key only in one statement; nothing is copied.
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(
        f"ALTER TABLE images ADD COLUMN return_id {kind} "
        "CONSTRAINT fk_images_return_id_returns REFERENCES returns (id)"
    )
    op.add_column("images", sa.Column("return_source", sa.String(16), nullable=True))
    op.add_column("images", sa.Column("return_conflict", sa.Text(), nullable=True))
    op.create_index(
        "ix_images_return", "images", ["return_id"], postgresql_where=_BELONGS, sqlite_where=_BELONGS
    )
    op.create_index(
        "ix_images_run_return",
        "images",
        ["run_id", "return_id"],
        postgresql_where=_BELONGS,
        sqlite_where=_BELONGS,
    )


def downgrade() -> None:
    op.drop_index("ix_images_run_return", "images")
    op.drop_index("ix_images_return", "images")
    for column in ("return_conflict", "return_source", "return_id"):
        op.drop_column("images", column)
    for table in (
        "return_mappings",
        "return_import_faults",
        "return_imports",
        "returns_to_judge",
        "return_events",
        "returns",
    ):
        op.drop_table(table)
