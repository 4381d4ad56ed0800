"""The final label of each image, and every action of a person on it, whether or not it is in the queue.

Only expands. The release before this one goes on using `reviews` and `review_changes`; what it writes there
has no outcome, and what it classifies has no source. The sweep completes both.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

schema_effect = "expands"

_BATCH = 10_000
_WITHOUT_SOURCE = sa.text("final_source IS NULL AND state = 'classified'")
_REVIEWED = sa.text("final_source = 'person'")
_CORRECTED = sa.text("corrected_at IS NOT NULL")
_IS_UNDO = sa.text("undoes IS NOT NULL")
_OLDER = sa.text("outcome IS NULL")
_WHOLE = "ck_reviews_whole"

_PREDICTED = """
UPDATE images SET final_source = 'model', final_label = (
    SELECT p.label FROM predictions p JOIN runs r ON r.model_version_id = p.model_version_id
    WHERE p.image_id = images.id AND r.id = images.run_id)
WHERE images.id >= :first AND images.id < :end AND images.state = 'classified'
"""
# A review that counts has the moment of its row in the history.
_REVIEW = """
UPDATE images SET review_id = (
    SELECT max(c.id) FROM review_changes c JOIN reviews q ON q.image_id = c.image_id
    WHERE c.image_id = images.id AND c.changed_at = q.reviewed_at AND c.action IN ('accept', 'correct'))
WHERE images.id IN (
    SELECT image_id FROM reviews
    WHERE reviewed_at IS NOT NULL AND image_id >= :first AND image_id < :end)
"""
_REVIEWED_BY_A_PERSON = """
UPDATE images SET final_source = 'person', final_label = (
    SELECT c.label FROM review_changes c WHERE c.id = images.review_id)
WHERE images.id >= :first AND images.id < :end AND images.review_id IS NOT NULL
"""
_OUTCOMES = """
UPDATE review_changes SET
    outcome = CASE WHEN action IN ('accept', 'correct') THEN 'label' ELSE action END,
    main_label = CASE WHEN action IN ('accept', 'correct') THEN (
        SELECT q.main_label FROM reviews q
        WHERE q.image_id = review_changes.image_id AND q.reviewed_at = review_changes.changed_at) END
WHERE id >= :first AND id < :end
"""
# An undo takes back the newest review before it, of the same person and image.
_UNDOES = """
UPDATE review_changes SET undoes = (
    SELECT max(c.id) FROM review_changes c
    WHERE c.image_id = review_changes.image_id AND c.who = review_changes.who
        AND c.id < review_changes.id AND c.action IN ('accept', 'correct'))
WHERE action = 'undo' AND id >= :first AND id < :end
"""


def upgrade() -> None:
    op.add_column("chunks", sa.Column("received_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("images", sa.Column("final_label", sa.String(length=100), nullable=True))
    op.add_column("images", sa.Column("final_source", sa.String(length=8), nullable=True))
    op.add_column("images", sa.Column("review_id", sa.BigInteger(), nullable=True))
    op.add_column("review_changes", sa.Column("outcome", sa.String(length=40), nullable=True))
    op.add_column("review_changes", sa.Column("main_label", sa.String(length=100), nullable=True))
    op.add_column("review_changes", sa.Column("undoes", sa.BigInteger(), nullable=True))
    op.add_column("review_changes", sa.Column("batch", sa.String(length=32), nullable=True))
    with op.batch_alter_table("reviews") as table:
        table.drop_constraint(op.f(_WHOLE), type_="check")
        table.create_check_constraint(
            op.f(_WHOLE), "reviewed_at IS NULL OR (reviewer IS NOT NULL AND was_right IS NOT NULL)"
        )
    connection = op.get_bind()
    for statement in (_OUTCOMES, _UNDOES):
        for bounds in _batches(connection, "review_changes"):
            connection.execute(sa.text(statement), bounds)
    for bounds in _batches(connection, "images"):
        for statement in (_PREDICTED, _REVIEW, _REVIEWED_BY_A_PERSON):
            connection.execute(sa.text(statement), bounds)
    # After the rows are filled, because an index that exists slows down each update.
    op.create_index("ix_images_final_label", "images", ["final_label", "id"])
    _partial_index("ix_images_reviewed", "images", "id", _REVIEWED)
    _partial_index("ix_images_without_source", "images", "id", _WITHOUT_SOURCE)
    _partial_index("ix_runs_corrected", "runs", "corrected_at", _CORRECTED)
    _partial_index("ix_review_changes_undoes", "review_changes", "undoes", _IS_UNDO)
    _partial_index("ix_review_changes_older", "review_changes", "id", _OLDER)


def downgrade() -> None:
    connection = op.get_bind()
    # The release before knows no review without a label; such images wait for a review again.
    connection.execute(
        sa.text(
            "UPDATE reviews SET reviewed_at = NULL, reviewer = NULL, label = NULL, main_label = NULL, "
            "was_right = NULL WHERE reviewed_at IS NOT NULL AND (label IS NULL OR main_label IS NULL)"
        )
    )
    for name, table in (
        ("ix_review_changes_older", "review_changes"),
        ("ix_review_changes_undoes", "review_changes"),
        ("ix_runs_corrected", "runs"),
        ("ix_images_without_source", "images"),
        ("ix_images_reviewed", "images"),
        ("ix_images_final_label", "images"),
    ):
        op.drop_index(name, table)
    with op.batch_alter_table("reviews") as table:
        table.drop_constraint(op.f(_WHOLE), type_="check")
        table.create_check_constraint(
            op.f(_WHOLE),
            "reviewed_at IS NULL OR (reviewer IS NOT NULL AND label IS NOT NULL AND main_label IS NOT NULL "
            "AND was_right IS NOT NULL)",
        )
    for table, columns in (
        ("review_changes", ("batch", "undoes", "main_label", "outcome")),
        ("images", ("review_id", "final_source", "final_label")),
        ("runs", ("corrected_at",)),
        ("chunks", ("received_at",)),
    ):
        for column in columns:
            op.drop_column(table, column)


def _partial_index(name: str, table: str, column: str, where: sa.TextClause) -> None:
    op.create_index(name, table, [column], postgresql_where=where, sqlite_where=where)


def _batches(connection: sa.Connection, table: str) -> Iterator[dict[str, int]]:
    """Yield the bounds of ids of each batch of rows: `first` inclusive, `end` exclusive."""
    first, last = connection.execute(sa.text(f"SELECT min(id), max(id) FROM {table}")).one()  # noqa: S608
    if first is not None:
        for start in range(first, last + 1, _BATCH):
            yield {"first": start, "end": start + _BATCH}
