"""Returns: what was announced, what came, the verdict, and the imports that announced them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from returns_pipeline.store.tables.columns import BigId, UtcDateTime, metadata

#: Compared byte by byte on both databases, so that the unique index also finds the beginning of a number.
ReturnNumber = sa.String(100).with_variant(postgresql.VARCHAR(100, collation="C"), "postgresql")

#: Term of the partial index of returns that have no verdict and will get `no photo` at `due_at`.
AWAITED = sa.text("verdict IS NULL AND due_at IS NOT NULL")

#: Terms of the partial indexes of returns that no person has decided, and of the others.
OPEN = sa.text("decision IS NULL")
DECIDED = sa.text("decision IS NOT NULL")

#: Term of the partial index of returns whose product is known.
OF_PRODUCT = sa.text("product IS NOT NULL")

returns = sa.Table(
    "returns",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("number", ReturnNumber, nullable=False, unique=True),
    sa.Column("order_number", sa.String(100)),
    # At most one of both: a label or a main category of the model, in its own spelling.
    sa.Column("expected_label", sa.String(100)),
    sa.Column("expected_main_label", sa.String(100)),
    sa.Column("product", sa.String(100)),
    sa.Column("title", sa.String(300)),
    # The shop's reference of the customer: no name is needed.
    sa.Column("customer", sa.String(100)),
    # When the customer's data were deleted. Later imports then add no order, customer and note.
    sa.Column("customer_removed_at", UtcDateTime),
    # Null if a photo alone opened the return.
    sa.Column("announced_on", sa.Date),
    sa.Column("note", sa.String(2000)),
    # The name of the file, or where else the return came from.
    sa.Column("source", sa.String(255), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    # The members of records.verdicts.VerdictKind and VerdictReason; null until there is a verdict.
    sa.Column("verdict", sa.String(32)),
    sa.Column("verdict_reason", sa.String(32)),
    sa.Column("sureness", sa.Float),
    # The other fields of records.verdicts.Verdict.
    sa.Column("verdict_detail", sa.JSON),
    sa.Column("verdict_at", UtcDateTime),
    # When `no photo` is decided if nothing came.
    sa.Column("due_at", UtcDateTime),
    # A member of records.returns.ReturnDecision.
    sa.Column("decision", sa.String(16)),
    sa.Column("decided_by", sa.String(100)),
    sa.Column("decided_at", UtcDateTime),
    sa.Column("decision_note", sa.String(2000)),
)

# Lists of returns, by verdict and id or by verdict and day: see store/return_lists.py.
sa.Index("ix_returns_open", returns.c.verdict, returns.c.id, postgresql_where=OPEN, sqlite_where=OPEN)

sa.Index(
    "ix_returns_open_day",
    returns.c.verdict,
    returns.c.announced_on,
    returns.c.id,
    postgresql_where=OPEN,
    sqlite_where=OPEN,
)

sa.Index(
    "ix_returns_decided",
    returns.c.verdict,
    returns.c.decision,
    returns.c.id,
    postgresql_where=DECIDED,
    sqlite_where=DECIDED,
)

sa.Index(
    "ix_returns_decided_day",
    returns.c.verdict,
    returns.c.decision,
    returns.c.announced_on,
    returns.c.id,
    postgresql_where=DECIDED,
    sqlite_where=DECIDED,
)

sa.Index("ix_returns_customer", returns.c.customer, returns.c.id)

sa.Index("ix_returns_order", returns.c.order_number)

sa.Index(
    "ix_returns_product",
    returns.c.product,
    returns.c.id,
    postgresql_where=OF_PRODUCT,
    sqlite_where=OF_PRODUCT,
)

sa.Index("ix_returns_due", returns.c.due_at, postgresql_where=AWAITED, sqlite_where=AWAITED)

#: What happened to each return. Rows are only added. The first announcement is in `returns` itself.
return_events = sa.Table(
    "return_events",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("return_id", sa.ForeignKey("returns.id"), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("who", sa.String(100), nullable=False),
    # A member of records.returns.ReturnAction.
    sa.Column("action", sa.String(16), nullable=False),
    # Short. No order, customer or note: those can be deleted.
    sa.Column("detail", sa.JSON, nullable=False),
)

sa.Index("ix_return_events_return", return_events.c.return_id, return_events.c.id)

#: Returns whose verdict may have changed: written in the transaction of the cause.
returns_to_judge = sa.Table(
    "returns_to_judge",
    metadata,
    sa.Column("return_id", sa.ForeignKey("returns.id"), primary_key=True, autoincrement=False),
    sa.Column("since", UtcDateTime, nullable=False),
)

#: Returns whose photos are to be compared with the expected product, each claimed with a lease.
returns_to_compare = sa.Table(
    "returns_to_compare",
    metadata,
    sa.Column("return_id", sa.ForeignKey("returns.id"), primary_key=True, autoincrement=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # Null: no process works on it. Queueing a return again takes the lease away: its facts have changed.
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", UtcDateTime),
)

#: How the photos of a return compare with the expected product. The last columns are null if they cannot.
product_comparisons = sa.Table(
    "product_comparisons",
    metadata,
    sa.Column("return_id", sa.ForeignKey("returns.id"), primary_key=True, autoincrement=False),
    # What was compared: the shop's id of the product, and the ids of the photos.
    sa.Column("product", sa.String(100), nullable=False),
    sa.Column("images", sa.JSON, nullable=False),
    sa.Column("compared_at", UtcDateTime, nullable=False),
    sa.Column("space_id", sa.ForeignKey("embedding_spaces.id")),
    # The other fields of records.verdicts.ProductFacts. No foreign keys to pictures: they come and go.
    sa.Column("image", sa.ForeignKey("images.id")),
    sa.Column("picture", sa.BigInteger),
    sa.Column("likeness", sa.Float),
    sa.Column("other", sa.String(100)),
    sa.Column("other_picture", sa.BigInteger),
    sa.Column("other_likeness", sa.Float),
    sa.Column("rate", sa.Float),
    sa.Column("accepted", sa.Integer),
)

sa.Index("ix_product_comparisons_image", product_comparisons.c.image)

sa.Index("ix_product_comparisons_other", product_comparisons.c.other, product_comparisons.c.return_id)

sa.Index("ix_product_comparisons_space", product_comparisons.c.space_id, product_comparisons.c.return_id)

#: Each file, or request over HTTP, that announced returns.
return_imports = sa.Table(
    "return_imports",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    # Null until the last line is taken.
    sa.Column("finished_at", UtcDateTime),
    sa.Column("who", sa.String(100), nullable=False),
    sa.Column("source", sa.String(255), nullable=False),
    sa.Column("lines", sa.Integer, nullable=False, server_default="0"),
    sa.Column("added", sa.Integer, nullable=False, server_default="0"),
    sa.Column("changed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("unchanged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    # Why the file was not read to its end.
    sa.Column("error", sa.Text),
)

#: The first refused lines of each import.
return_import_faults = sa.Table(
    "return_import_faults",
    metadata,
    sa.Column("import_id", sa.ForeignKey("return_imports.id"), primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.String(100), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

#: How the columns of a shop's files are named, saved under a name.
return_mappings = sa.Table(
    "return_mappings",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    # {field: name of the column}
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)
