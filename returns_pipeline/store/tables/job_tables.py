"""Jobs and keyed requests that arrive over HTTP."""

import sqlalchemy as sa

from returns_pipeline.records.jobs import JobKind
from returns_pipeline.store.tables.columns import UtcDateTime, metadata, one_of

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
    one_of("kind", *JobKind.written()),
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
