"""Files of deleted images that are still to be removed, and the passes of retention."""

import sqlalchemy as sa

from returns_pipeline.store.tables.columns import PathText, UtcDateTime, metadata

#: The files of deleted images, until each is removed. The row of the image has no name any more.
file_removals = sa.Table(
    "file_removals",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("path", PathText, nullable=False),
    # The folder below which no link is followed.
    sa.Column("root", PathText, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64)),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tried_at", UtcDateTime),
    # Why the last attempt failed.
    sa.Column("error", sa.Text),
)

#: Each pass over the photos that are older than RETURNS_KEEP_DAYS. One that is not finished goes on after the
#: chunk (after_received_at, after_chunk_id).
retention_passes = sa.Table(
    "retention_passes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("keep_days", sa.Integer, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("touched_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("after_received_at", UtcDateTime),
    sa.Column("after_chunk_id", sa.BigInteger, nullable=False, server_default="0"),
    # The fields of records.removal.RetentionCounts.
    sa.Column("counts", sa.JSON, nullable=False),
    # Why the last file that failed could not be removed.
    sa.Column("error", sa.Text),
)
