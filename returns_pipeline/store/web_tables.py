"""The tables of the web: who may use it, and what people say of the model's answers."""

import sqlalchemy as sa

from returns_pipeline.store.tables import BigId, UtcDateTime, one_of
from returns_pipeline.store.tables import metadata as metadata

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("disabled_at", UtcDateTime),
    one_of("role", "viewer", "reviewer", "operator"),
)

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    # Of the token itself nothing is kept: whoever reads the table cannot use it.
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
    one_of("role", "viewer", "reviewer", "operator"),
)

#: How many images of a closed run have each label: counted once, shown every morning.
run_labels = sa.Table(
    "run_labels",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    sa.Column("label", sa.String(100), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)

#: Seconds that the processes of a closed run have spent in each stage.
run_stages = sa.Table(
    "run_stages",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    sa.Column("stage", sa.String(16), primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
)

#: What somebody asked for over HTTP that takes long. Its id is the request's: a run that has it is the job's.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    # Of a retry the run whose images are tried again; none for all.
    sa.Column("run_id", sa.Integer),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("cancelled_at", UtcDateTime),
    # What ended it before it had a run.
    sa.Column("error", sa.Text),
    # Until it has a run, has failed or is cancelled, the sweep looks after it.
    sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.true()),
    one_of("kind", "scan", "retry"),
)
#: Term of the partial index of what the sweep looks after.
OPEN = sa.text("is_open")
sa.Index("ix_jobs_open", jobs.c.id, postgresql_where=OPEN, sqlite_where=OPEN)

#: Requests with images that came with a key: sent again, one gets the answers of the images it sent before.
request_keys = sa.Table(
    "request_keys",
    metadata,
    # Of who asked, for what and with which key.
    sa.Column("id", sa.String(64), primary_key=True),
    # Of the images: a key stands for one request.
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    # The images' ids in the order of the request.
    sa.Column("images", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
)

#: Term of the partial index of what still waits for a person.
WAITING = sa.text("reviewed_at IS NULL")
#: The same of what somebody looks at.
HELD = sa.text("held_by IS NOT NULL")

#: The images that a person should look at: those that the model was unsure of, and a sample of the others.
reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    # Ascending is the order of reviewing: of a doubt its probability, of an audit a random number.
    sa.Column("rank", sa.Float, nullable=False),
    # Who looks at it now: nobody else gets it until then.
    sa.Column("held_by", sa.String(100)),
    sa.Column("held_until", UtcDateTime),
    sa.Column("reviewed_at", UtcDateTime),
    sa.Column("reviewer", sa.String(100)),
    sa.Column("label", sa.String(100)),
    sa.Column("main_label", sa.String(100)),
    sa.Column("was_right", sa.Boolean),
    one_of("kind", "doubt", "audit"),
    sa.CheckConstraint(
        "reviewed_at IS NULL OR (reviewer IS NOT NULL AND label IS NOT NULL AND main_label IS NOT NULL "
        "AND was_right IS NOT NULL)",
        name="whole",
    ),
)
sa.Index("ix_reviews_waiting", reviews.c.rank, postgresql_where=WAITING, sqlite_where=WAITING)
sa.Index("ix_reviews_run", reviews.c.run_id)
sa.Index("ix_reviews_held", reviews.c.held_by, postgresql_where=HELD, sqlite_where=HELD)

#: What people did, oldest first; a row is never changed.
review_changes = sa.Table(
    "review_changes",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("image_id", sa.ForeignKey("images.id"), nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("action", sa.String(8), nullable=False),
    sa.Column("label", sa.String(100)),
    one_of("action", "accept", "correct", "skip", "undo"),
)
sa.Index("ix_review_changes_image", review_changes.c.image_id, review_changes.c.id)
sa.Index("ix_review_changes_who", review_changes.c.who, review_changes.c.id)

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

#: What a model looked at in an image, and which earlier returns are similar: computed once, when asked.
explanations = sa.Table(
    "explanations",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id"), primary_key=True, autoincrement=False),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), primary_key=True, autoincrement=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Why there is none; then the map has no rows.
    sa.Column("fault", sa.Text),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    # uint8, row by row: 255 is where it looked most.
    sa.Column("heat", sa.LargeBinary, nullable=False),
    # [[image id, cosine], …], most similar first.
    sa.Column("similar", sa.JSON, nullable=False),
)
