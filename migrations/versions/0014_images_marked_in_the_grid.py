"""A kind of queued image for those that a person marked as wrong; indexes of one run and of one batch.

Only expands: the release before this one reads the new kind as unknown.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

schema_effect = "expands"

_KIND = "ck_reviews_kind"
_IN_BATCH = sa.text("batch IS NOT NULL")
_WAITING = sa.text("reviewed_at IS NULL")


def upgrade() -> None:
    _allow("kind IN ('doubt', 'audit', 'marked')")
    op.create_index(
        "ix_reviews_run_waiting",
        "reviews",
        ["run_id", "rank"],
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    op.create_index(
        "ix_review_changes_batch",
        "review_changes",
        ["batch"],
        postgresql_where=_IN_BATCH,
        sqlite_where=_IN_BATCH,
    )


def downgrade() -> None:
    op.drop_index("ix_review_changes_batch", "review_changes")
    op.drop_index("ix_reviews_run_waiting", "reviews")
    op.execute(sa.text("UPDATE reviews SET kind = 'doubt' WHERE kind = 'marked'"))
    _allow("kind IN ('doubt', 'audit')")


def _allow(kinds: str) -> None:
    with op.batch_alter_table("reviews") as table:
        table.drop_constraint(op.f(_KIND), type_="check")
        table.create_check_constraint(op.f(_KIND), kinds)
