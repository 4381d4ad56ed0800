"""Runs, their chunks, and their statistics."""

from collections.abc import Mapping

import sqlalchemy as sa

from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.store.tables.columns import BigId, PathText, UtcDateTime, metadata, one_of

#: Terms of partial indexes. A query uses such an index only if it holds the same text: a database cannot
#: infer the term from a parameter.
NOT_CLOSED = sa.text(f"runs.state <> '{RunState.CLOSED}'")
CORRECTED = sa.text("corrected_at IS NOT NULL")

UNFINISHED = sa.text(f"chunks.state <> '{ChunkState.DONE}'")
#: Term of the partial index of chunks whose photos may still be there.
KEPT = sa.text("photos_removed_at IS NULL")

#: Key in `timings`: pictures whose colours the model does not see. There is none if it is 0.
COLOURED = "coloured_images"
#: Key in `timings`: requests that were sent to object stores. There is none if it is 0.
REQUESTS = "object_requests"

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Unique, so that a request that is delivered twice opens one run.
    sa.Column("request_id", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("directory", PathText),
    sa.Column("model_version_id", sa.ForeignKey("model_versions.id"), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    # The last progress of the scan or the closing; after a lease without progress, the sweep restarts it.
    sa.Column("touched_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("seen", sa.Integer, nullable=False, server_default="0"),
    sa.Column("classified", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quarantined", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    # Predictions below the threshold of the review. NULL for ad hoc runs and runs of releases before 0013.
    sa.Column("unsure", sa.Integer),
    sa.Column("csv_path", PathText),
    sa.Column("report_path", PathText),
    # The share of the sure predictions that was drawn for a review when it closed. NULL: not known.
    sa.Column("audit_share", sa.Float),
    # When an image was last reviewed; NULL once the report shows it.
    sa.Column("corrected_at", UtcDateTime),
    # What the scan left in the intake.
    sa.Column("still_changing", sa.Integer, nullable=False, server_default="0"),
    sa.Column("skipped", sa.Integer, nullable=False, server_default="0"),
    sa.Column("unreadable_folders", sa.Integer, nullable=False, server_default="0"),
    # The folder that was scanned, and its file system as text that survives a reboot. NULL: not scanned.
    sa.Column("intake", PathText),
    sa.Column("file_system", sa.Text),
    # When the rows of its photos began to be removed because of their age, and when the last one was. The
    # report and the counts stay as they were.
    sa.Column("rows_leaving_at", UtcDateTime),
    sa.Column("rows_removed_at", UtcDateTime),
    one_of("kind", *RunKind.written()),
    one_of("state", *RunState.written()),
    sa.CheckConstraint(
        f"state <> '{RunState.CLOSED}' OR seen = classified + quarantined + failed", name="sums"
    ),
)

sa.Index(
    "ix_runs_open",
    runs.c.state,
    postgresql_where=NOT_CLOSED,
    sqlite_where=NOT_CLOSED,
)

sa.Index("ix_runs_corrected", runs.c.corrected_at, postgresql_where=CORRECTED, sqlite_where=CORRECTED)

chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # The message that holds the lease. If it is delivered again, its first process is dead, and it may claim
    # the chunk again.
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("sent_at", UtcDateTime, nullable=False),
    # When its images were found or sent. NULL in rows of releases before 0010: then when the run was opened.
    sa.Column("received_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    # When the last of its photos was removed because of its age.
    sa.Column("photos_removed_at", UtcDateTime),
    sa.Column("worker", sa.String(255)),
    # The error of the last attempt; NULL if its process died.
    sa.Column("error", sa.Text),
    # Milliseconds by stage: read, decode, codes, predict, store, archive. And COLOURED and REQUESTS, numbers.
    sa.Column("timings", sa.JSON),
    # The span that found its images, as W3C Trace Context writes it. NULL without a trace.
    sa.Column("traceparent", sa.String(55)),
    one_of("state", *ChunkState),
)

sa.Index("ix_chunks_run", chunks.c.run_id, chunks.c.state)

sa.Index("ix_chunks_received", chunks.c.received_at, chunks.c.id)

sa.Index("ix_chunks_kept", chunks.c.received_at, chunks.c.id, postgresql_where=KEPT, sqlite_where=KEPT)

sa.Index(
    "ix_chunks_unfinished",
    chunks.c.state,
    chunks.c.lease_until,
    postgresql_where=UNFINISHED,
    sqlite_where=UNFINISHED,
)


def of_stages(timings: Mapping[str, float]) -> dict[str, float]:
    """Return the milliseconds of a chunk by stage, without the counts that are stored beside them."""
    return {stage: spent for stage, spent in timings.items() if stage not in {COLOURED, REQUESTS}}


#: Images of a closed run by label, counted once when the run closes.
run_labels = sa.Table(
    "run_labels",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    sa.Column("label", sa.String(100), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)

#: Process seconds of a closed run by stage.
run_stages = sa.Table(
    "run_stages",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    sa.Column("stage", sa.String(16), primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
)

#: Classified images of a closed run by what the model said, and what reviews of the drawn ones say of it.
#: Slips of returns are left out. Counted when the run closes, and again after reviews.
run_predictions = sa.Table(
    "run_predictions",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    # The label that the model predicted.
    sa.Column("label", sa.String(100), primary_key=True),
    # Not below the threshold of the review.
    sa.Column("is_sure", sa.Boolean, primary_key=True),
    # The place of the probability among records.accuracy.BANDS, or NO_BAND.
    sa.Column("band", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("photos", sa.Integer, nullable=False),
    # The sum of their probabilities.
    sa.Column("probability", sa.Float, nullable=False),
    # Of those that were drawn: how many were reviewed, and for how many of these the model was right.
    sa.Column("reviewed", sa.Integer, nullable=False),
    sa.Column("right_count", sa.Integer, nullable=False),
    # Sums over the reviewed ones of 1 / reviews.inclusion: of all, of those that are right, of its square.
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("right_weight", sa.Float, nullable=False),
    sa.Column("square_weight", sa.Float, nullable=False),
)

#: Classified images of a night by property (of records.mixes) and bin. Counted once, after it is closed.
run_mixes = sa.Table(
    "run_mixes",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    sa.Column("property", sa.String(16), primary_key=True),
    sa.Column("bin", sa.String(100), primary_key=True),
    sa.Column("photos", sa.Integer, nullable=False),
)

#: What of a night is unlike the nights before it: `records.mixes.Change`.
run_changes = sa.Table(
    "run_changes",
    metadata,
    sa.Column("run_id", sa.ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    sa.Column("property", sa.String(16), primary_key=True),
    sa.Column("bin", sa.String(100), nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("usual", sa.Float, nullable=False),
    sa.Column("chance", sa.Float, nullable=False),
    sa.Column("is_new", sa.Boolean, nullable=False),
    # Ids of some images that show it.
    sa.Column("examples", sa.JSON, nullable=False),
)
