"""What finds the same photo again, and the photos that came in before."""

import sqlalchemy as sa

from returns_pipeline.records.likeness import MatchDecision, MatchKind
from returns_pipeline.store.tables.columns import BigId, UtcDateTime, metadata, one_of

#: Term of the partial index of matches that no person has decided.
UNDECIDED = sa.text("decision IS NULL")

#: Photos of a chunk that were not yet compared. The row goes when their matches are stored.
uncompared_chunks = sa.Table(
    "uncompared_chunks",
    metadata,
    sa.Column("chunk_id", sa.ForeignKey("chunks.id"), primary_key=True, autoincrement=False),
    # int64, little-endian.
    sa.Column("image_ids", sa.LargeBinary, nullable=False),
    # uint8, BYTES of photos.likeness.thumbnails for each image; empty if the model takes small pictures.
    sa.Column("thumbnails", sa.LargeBinary, nullable=False),
)

#: Chunks that are compared at this moment. No foreign key: the row of a killed process ends by its time.
held_comparisons = sa.Table(
    "held_comparisons",
    metadata,
    sa.Column("chunk_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("held_until", UtcDateTime, nullable=False),
)

#: Photos that later ones are compared with. No foreign keys here and below, so that a chunk is quick.
compared_images = sa.Table(
    "compared_images",
    metadata,
    sa.Column("image_id", BigId, primary_key=True, autoincrement=False),
    # Days since 1970 in UTC.
    sa.Column("received_day", sa.Integer, nullable=False),
    # The first 8 bytes of the SHA-256 as a signed number.
    sa.Column("sha256_head", sa.BigInteger, nullable=False),
    # Null if the model takes small pictures: then only equal files are found.
    sa.Column("thumbnail", sa.LargeBinary),
    # Keys and views of the image in image_keys, so that they are removed without an index of their own.
    sa.Column("packed_keys", sa.LargeBinary),
)

sa.Index("ix_compared_images_sha256_head", compared_images.c.sha256_head, compared_images.c.image_id)

sa.Index("ix_compared_images_received_day", compared_images.c.received_day)

#: Keys of photos.likeness.keys; `view` is the number of the stored view that has the key.
image_keys = sa.Table(
    "image_keys",
    metadata,
    sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("image_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("view", sa.SmallInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

#: The earliest photo that each photo repeats.
image_matches = sa.Table(
    "image_matches",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("earlier_id", sa.ForeignKey("images.id"), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    # Of photos.likeness.comparison; 0 for equal files.
    sa.Column("distance", sa.Float, nullable=False),
    # How the photo differs: members of records.likeness.PhotoChange, separated by commas.
    sa.Column("changes", sa.String(100), nullable=False),
    sa.Column("matched_at", UtcDateTime, nullable=False),
    # A member of records.likeness.MatchDecision. A dismissed match stays, so that it is not found again.
    sa.Column("decision", sa.String(16)),
    sa.Column("decided_by", sa.String(100)),
    sa.Column("decided_at", UtcDateTime),
    one_of("kind", *MatchKind.written()),
    one_of("decision", *MatchDecision.written()),
    sa.CheckConstraint("earlier_id < image_id", name="order"),
)

sa.Index("ix_image_matches_earlier_id", image_matches.c.earlier_id)

sa.Index(
    "ix_image_matches_undecided",
    image_matches.c.image_id,
    postgresql_where=UNDECIDED,
    sqlite_where=UNDECIDED,
)
