"""Jobs and idempotency keys of HTTP requests."""

import sqlalchemy as sa

from returns_pipeline.records.jobs import JobKind
from returns_pipeline.store.tables.columns import UtcDateTime, metadata, one_of

#: Long jobs that clients request over HTTP. A job's id is also the request id of its run.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    # For a retry: the run whose images are retried, NULL for all runs.
    sa.Column("run_id", sa.Integer),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("cancelled_at", UtcDateTime),
    # The error that ended the job before it had a run.
    sa.Column("error", sa.Text),
    # While it is true, the sweep sends the job again; false once it has a run, failed or was cancelled.
    sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.true()),
    one_of("kind", *JobKind.written()),
)

#: Term of the partial index for the sweep.
OPEN = sa.text("is_open")

sa.Index("ix_jobs_open", jobs.c.id, postgresql_where=OPEN, sqlite_where=OPEN)

#: Uploads with an idempotency key. A repeated request gets the results of the first one's images.
request_keys = sa.Table(
    "request_keys",
    metadata,
    # sha256 of user, route and Idempotency-Key.
    sa.Column("id", sa.String(64), primary_key=True),
    # Digest of the images: a key with other images is refused.
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    # Image ids in the order of the request.
    sa.Column("images", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
)
