"""Retrainings of models from reviews."""

import sqlalchemy as sa

from returns_pipeline.records.retraining import OPEN_STATES, RetrainingState
from returns_pipeline.store.tables.columns import PathText, UtcDateTime, metadata, one_of

#: Terms of partial indexes.
IS_OPEN = sa.text(f"state IN ({', '.join(repr(str(state)) for state in OPEN_STATES)})")

#: One row for each retraining that was asked for. The process that works on it holds it by a lease.
retrainings = sa.Table(
    "retrainings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Random: a bundle names the retraining that made it, also after an older database was restored.
    sa.Column("uid", sa.String(32), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    # The version that was active.
    sa.Column("base", sa.Integer, nullable=False),
    # The folder of the old training data, if it was given.
    sa.Column("data", PathText),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default=RetrainingState.WAITING.value),
    sa.Column("step", sa.String(16)),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent_at", UtcDateTime, nullable=False),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    # The newest row of `review_changes` that it knows.
    sa.Column("last_change", sa.BigInteger, nullable=False, server_default="0"),
    # Reviewed photos that it trained on.
    sa.Column("learned", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer),
    # The fields of records.retraining.Judgement.
    sa.Column("judgement", sa.JSON),
    sa.Column("fault", sa.Text),
    one_of("state", *RetrainingState.written()),
)

# At most one retraining of a name is open, even if two people ask for it at the same time.
sa.Index(
    "uq_retrainings_open",
    retrainings.c.name,
    unique=True,
    postgresql_where=IS_OPEN,
    sqlite_where=IS_OPEN,
)

sa.Index("ix_retrainings_name", retrainings.c.name, retrainings.c.id)
