"""Runs of the images that come over HTTP."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KIND = "ck_runs_kind"


def upgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.drop_constraint(op.f(_KIND), type_="check")
        table.create_check_constraint(op.f(_KIND), "kind IN ('nightly', 'catch-up', 'adhoc', 'retry', 'api')")


def downgrade() -> None:
    # An older version knows no such runs: of what it knows, a retry has its own files too.
    op.execute("UPDATE runs SET kind = 'retry' WHERE kind = 'api'")
    with op.batch_alter_table("runs") as table:
        table.drop_constraint(op.f(_KIND), type_="check")
        table.create_check_constraint(op.f(_KIND), "kind IN ('nightly', 'catch-up', 'adhoc', 'retry')")
