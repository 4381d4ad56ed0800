"""The review queue, and every action of a person on an image."""

import sqlalchemy as sa

from returns_pipeline.records.reviews import ReviewAction, ReviewKind
from returns_pipeline.store.tables.columns import BigId, UtcDateTime, metadata, one_of

#: Term of the partial index of images that wait for a review.
WAITING = sa.text("reviewed_at IS NULL")

#: Term of the partial index of images that were reviewed.
DONE = sa.text("reviewed_at IS NOT NULL")

#: Term of the partial index of images that a reviewer holds.
HELD = sa.text("held_by IS NOT NULL")

#: The queue of images for reviewers: those with an unsure prediction, and a sample of the others. The table
#: keeps the name and the columns that programs of the release before read and write.
reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    # Images are reviewed in ascending order. For a doubt it is the probability, for an audit a random number.
    sa.Column("rank", sa.Float, nullable=False),
    # The reviewer who holds the image; no other reviewer gets it until held_until.
    sa.Column("held_by", sa.String(100)),
    sa.Column("held_until", UtcDateTime),
    sa.Column("reviewed_at", UtcDateTime),
    sa.Column("reviewer", sa.String(100)),
    sa.Column("label", sa.String(100)),
    sa.Column("main_label", sa.String(100)),
    sa.Column("was_right", sa.Boolean),
    # The probability with which the image was drawn when its run closed: 1 for a doubt. NULL: a person put it
    # there, or a release before 0030 has drawn it.
    sa.Column("inclusion", sa.Float),
    one_of("kind", *ReviewKind.written()),
    sa.CheckConstraint(
        "reviewed_at IS NULL OR (reviewer IS NOT NULL AND was_right IS NOT NULL)",
        name="whole",
    ),
)

sa.Index("ix_reviews_waiting", reviews.c.rank, postgresql_where=WAITING, sqlite_where=WAITING)

# The waiting images of one run, in the order of the queue.
sa.Index(
    "ix_reviews_run_waiting",
    reviews.c.run_id,
    reviews.c.rank,
    postgresql_where=WAITING,
    sqlite_where=WAITING,
)

sa.Index("ix_reviews_run", reviews.c.run_id)

# The newest reviews of each kind, with all that is counted of them.
sa.Index(
    "ix_reviews_done",
    reviews.c.kind,
    reviews.c.reviewed_at,
    reviews.c.was_right,
    postgresql_where=DONE,
    sqlite_where=DONE,
)

sa.Index("ix_reviews_held", reviews.c.held_by, postgresql_where=HELD, sqlite_where=HELD)

#: Term of the partial index of actions that releases before 0010 wrote; the sweep completes them.
OF_OLDER_RELEASE = sa.text("outcome IS NULL")

#: Term of the partial index of undos.
IS_UNDO = sa.text("undoes IS NOT NULL")

#: Term of the partial index of actions that were taken together.
IN_BATCH = sa.text("batch IS NOT NULL")

#: Every action of a person on an image, of images in the queue and of others. Rows are only added.
review_changes = sa.Table(
    "review_changes",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("image_id", sa.ForeignKey("images.id"), nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("action", sa.String(8), nullable=False),
    sa.Column("label", sa.String(100)),
    # One of ReviewOutcome or of RETURNS_REVIEW_OUTCOMES; for a skip and an undo, the action.
    sa.Column("outcome", sa.String(40)),
    sa.Column("main_label", sa.String(100)),
    # The action that an undo takes back.
    sa.Column("undoes", sa.BigInteger),
    # The same for actions that were taken together, so that one undo takes back all of them.
    sa.Column("batch", sa.String(32)),
    one_of("action", *ReviewAction),
)

sa.Index("ix_review_changes_undoes", review_changes.c.undoes, postgresql_where=IS_UNDO, sqlite_where=IS_UNDO)

sa.Index(
    "ix_review_changes_older",
    review_changes.c.id,
    postgresql_where=OF_OLDER_RELEASE,
    sqlite_where=OF_OLDER_RELEASE,
)

sa.Index("ix_review_changes_batch", review_changes.c.batch, postgresql_where=IN_BATCH, sqlite_where=IN_BATCH)

sa.Index("ix_review_changes_image", review_changes.c.image_id, review_changes.c.id)

sa.Index("ix_review_changes_who", review_changes.c.who, review_changes.c.id)

sa.Index("ix_review_changes_who_image", review_changes.c.who, review_changes.c.image_id)

# The audit log shows reviews by time, of all persons or of one.
sa.Index("ix_review_changes_at", review_changes.c.changed_at, review_changes.c.id)

sa.Index("ix_review_changes_who_at", review_changes.c.who, review_changes.c.changed_at, review_changes.c.id)
