"""A run kind for scans that a person or a program requested, so that `nightly` means nights only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KIND = "ck_runs_kind"


def upgrade() -> None:
    _allow("kind IN ('nightly', 'catch-up', 'scan', 'adhoc', 'retry', 'api')")
    # The request id of a night contains the moment at which it was due.
    op.execute(
        sa.text("UPDATE runs SET kind = 'scan' WHERE kind = 'nightly' AND request_id NOT LIKE 'night-%'")
    )


def downgrade() -> None:
    op.execute(sa.text("UPDATE runs SET kind = 'nightly' WHERE kind = 'scan'"))
    _allow("kind IN ('nightly', 'catch-up', 'adhoc', 'retry', 'api')")


def _allow(kinds: str) -> None:
    with op.batch_alter_table("runs") as table:
        table.drop_constraint(op.f(_KIND), type_="check")
        table.create_check_constraint(op.f(_KIND), kinds)
