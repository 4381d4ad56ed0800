"""Images and their predictions."""

import sqlalchemy as sa

from returns_pipeline.records.images import ImageState, LabelSource
from returns_pipeline.records.predictions import Decision
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, metadata, one_of

#: Term of the partial index of images whose final label a person gave.
REVIEWED = sa.text(f"final_source = '{LabelSource.PERSON}'")
#: Term of the partial index of classified images whose final label was not written.
WITHOUT_SOURCE = sa.text(f"final_source IS NULL AND state = '{ImageState.CLASSIFIED}'")
#: Term of the partial index of images without a prediction.
NOT_CLASSIFIED = sa.text(f"images.state <> '{ImageState.CLASSIFIED}'")
#: Term of the partial index of images that belong to a return.
OF_RETURN = sa.text("return_id IS NOT NULL")
#: Term of the partial index of unsure predictions.
UNSURE = sa.text(f"predictions.decision = '{Decision.REVIEW}'")
#: Term of the partial index of photos that are unlike anything the model was trained on.
UNFAMILIAR = sa.text("predictions.unfamiliar")

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("chunk_id", sa.ForeignKey("chunks.id"), nullable=False),
    sa.Column("source_path", PathText, nullable=False),
    # True while the file is in the intake and belongs to this row; then no other row may have its path.
    sa.Column("in_intake", sa.Boolean, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    # What the photo's source compares to detect another content. Null in rows of releases before 0008.
    sa.Column("identity", sa.Text),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("code", sa.String(32)),
    sa.Column("detail", sa.Text),
    sa.Column("sha256", sa.String(64)),
    sa.Column("format", sa.String(16)),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    # The mean level of the pixels that the model got, 0 to 255. NULL in rows of releases before 0030.
    sa.Column("brightness", sa.SmallInteger),
    # The destination of the file; it is there once in_intake is false.
    sa.Column("archived_path", PathText),
    # The label that counts and whose it is: see store.final_labels. Rows of releases before 0010 have neither
    # until the sweep fills them.
    sa.Column("final_label", sa.String(100)),
    sa.Column("final_source", sa.String(8)),
    # The row of review_changes that counts. No foreign key, because that table refers to this one.
    sa.Column("review_id", sa.BigInteger),
    # A deleted image keeps its row, without name and content, so that counts stand.
    sa.Column("deleted_at", UtcDateTime),
    sa.Column("deleted_by", sa.String(100)),
    # When the photo was removed because of its age; the result stays.
    sa.Column("photo_removed_at", UtcDateTime),
    # The return that the photo belongs to, how that is known (a records.returns.LinkSource), and what
    # contradicts.
    sa.Column("return_id", sa.ForeignKey("returns.id")),
    sa.Column("return_source", sa.String(16)),
    sa.Column("return_conflict", sa.Text),
    one_of("state", *ImageState.written()),
    sa.CheckConstraint(
        f"state IN ('{ImageState.PENDING}', '{ImageState.CLASSIFIED}') OR code IS NOT NULL", name="code"
    ),
)

#: The identity of an image. Releases before 0008 had folders only, whose identity is SIZE-MTIME.
IDENTITY = sa.func.coalesce(
    images.c.identity, sa.cast(images.c.size, sa.Text) + "-" + sa.cast(images.c.mtime_ns, sa.Text)
)

sa.Index(
    "uq_images_intake",
    images.c.source_path,
    unique=True,
    postgresql_where=images.c.in_intake,
    sqlite_where=images.c.in_intake,
)

sa.Index("ix_images_final_label", images.c.final_label, images.c.id)

sa.Index(
    "ix_images_reviewed",
    images.c.id,
    postgresql_where=REVIEWED,
    sqlite_where=REVIEWED,
)

# Empty unless a release before 0010 has classified something: then the sweep finds it here.
sa.Index(
    "ix_images_without_source",
    images.c.id,
    postgresql_where=WITHOUT_SOURCE,
    sqlite_where=WITHOUT_SOURCE,
)

sa.Index(
    "ix_images_not_classified",
    images.c.state,
    images.c.id,
    postgresql_where=NOT_CLASSIFIED,
    sqlite_where=NOT_CLASSIFIED,
)

sa.Index("ix_images_return", images.c.return_id, postgresql_where=OF_RETURN, sqlite_where=OF_RETURN)

# The returns of which a photo came with a run.
sa.Index(
    "ix_images_run_return",
    images.c.run_id,
    images.c.return_id,
    postgresql_where=OF_RETURN,
    sqlite_where=OF_RETURN,
)

sa.Index("ix_images_chunk", images.c.chunk_id)

sa.Index("ix_images_run", images.c.run_id, images.c.id)

predictions = sa.Table(
    "predictions",
    metadata,
    # With this key, a second write of the same prediction changes nothing.
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), primary_key=True, autoincrement=False),
    sa.Column("label_index", sa.Integer, nullable=False),
    sa.Column("label", sa.String(100), nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("main_label", sa.String(100), nullable=False),
    sa.Column("main_probability", sa.Float, nullable=False),
    # [[label index, probability], …], best first.
    sa.Column("top", sa.JSON, nullable=False),
    sa.Column("decision", sa.String(8), nullable=False),
    # The share, 0 to 1, of validation photos that are stranger; null if the model cannot tell.
    sa.Column("familiarity", sa.Float),
    # Whether the photo was unlike anything the model was trained on; null in rows of releases before 0028.
    sa.Column("unfamiliar", sa.Boolean),
    one_of("decision", *Decision.written()),
    sqlite_with_rowid=False,
)

sa.Index(
    "ix_predictions_unsure",
    predictions.c.image_id,
    predictions.c.model_version_id,
    postgresql_where=UNSURE,
    sqlite_where=UNSURE,
)

sa.Index(
    "ix_predictions_unfamiliar",
    predictions.c.image_id,
    predictions.c.model_version_id,
    postgresql_where=UNFAMILIAR,
    sqlite_where=UNFAMILIAR,
)

#: What finds the same photo again: a row for each image whose file was read.
image_fingerprints = sa.Table(
    "image_fingerprints",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    # The first 8 bytes of the SHA-256 as a signed number; `images` has all of it. An index of numbers is a
    # quarter of the size of an index of texts.
    sa.Column("sha256_head", sa.BigInteger, nullable=False),
)

sa.Index("ix_image_fingerprints_sha256_head", image_fingerprints.c.sha256_head)

#: Codes that were read in photos. The order of the key's columns: the codes of one image are read together.
image_codes = sa.Table(
    "image_codes",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("format", sa.String(16), primary_key=True),
    sa.Column("text", sa.String(100), primary_key=True),
)

sa.Index("ix_image_codes_text", image_codes.c.text, image_codes.c.image_id)

#: Embeddings of the classified images of each chunk of a night, one row for all of them.
embeddings = sa.Table(
    "embeddings",
    metadata,
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), primary_key=True, autoincrement=False),
    sa.Column("chunk_id", sa.ForeignKey("chunks.id"), primary_key=True, autoincrement=False),
    # int64, little-endian, one for each row of `vectors`.
    sa.Column("image_ids", sa.LargeBinary, nullable=False),
    # int8, 64 for each image: see classify.embedding.
    sa.Column("vectors", sa.LargeBinary, nullable=False),
)
