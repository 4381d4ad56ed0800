"""The columns of a return, in one table: its files, and the REST interface."""

from datetime import datetime
from typing import Any, NamedTuple

from returns_pipeline.languages import N_
from returns_pipeline.records.return_lists import ListedReturn
from returns_pipeline.report import return_words, words
from returns_pipeline.report.columns import Column, values


class ReturnRow(NamedTuple):
    """A return as a row of a file, or of a list of the REST interface. `reason` is a sentence for people.

    `earlier_returns` are the numbers of the returns with which reused photos came before. `found_product` is
    the product that a photo looks more like than like the expected one, if the verdict says so. `likeness`
    and `found_likeness` are how alike the photo looks to both, at most 1.
    """

    number: str
    order_number: str | None
    customer: str | None
    product: str | None
    title: str | None
    announced_on: str | None
    expected: str | None
    found: str | None
    found_product: str | None
    likeness: float | None
    found_likeness: float | None
    verdict: str | None
    earlier_returns: str | None
    sureness: float | None
    reason: str | None
    verdict_at: datetime | None
    photos: int
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    note: str | None


COLUMNS = (
    Column("number", "number", str, N_("Return"), frozenset(), is_optional=False),
    Column("order_number", "order_number", str, N_("Order number"), frozenset()),
    Column("customer", "customer", str, N_("Customer"), frozenset()),
    Column("product", "product", str, N_("Product"), frozenset()),
    Column("title", "title", str, N_("Title"), frozenset()),
    Column("announced_on", "announced_on", str, N_("Announced on"), frozenset()),
    Column("expected", "expected", str, N_("Expected"), frozenset()),
    Column("found", "found", str, N_("Found"), frozenset()),
    Column("found_product", "found_product", str, N_("Looks more like product"), frozenset()),
    Column("likeness", "likeness", float, N_("Likeness with the product"), frozenset()),
    Column("found_likeness", "found_likeness", float, N_("Likeness with the other product"), frozenset()),
    Column("verdict", "verdict", str, N_("Result"), frozenset(), words=words.VERDICTS),
    Column("earlier_returns", "earlier_returns", str, N_("Photo came before with"), frozenset()),
    Column("sureness", "sureness", float, N_("Probability"), frozenset()),
    Column("reason", "reason", str, N_("Why"), frozenset()),
    Column("verdict_at", "verdict_at", datetime, N_("Checked at"), frozenset()),
    Column("photos", "photos", int, N_("Photos"), frozenset(), is_optional=False),
    Column("decision", "decision", str, N_("Decision"), frozenset(), words=return_words.RETURN_DECISIONS),
    Column("decided_by", "decided_by", str, N_("Decided by"), frozenset()),
    Column("decided_at", "decided_at", datetime, N_("Decided at"), frozenset()),
    Column("decision_note", "decision_note", str, N_("Note of the decision"), frozenset()),
    Column("note", "note", str, N_("Note"), frozenset()),
)


def row_of(listed: ListedReturn) -> ReturnRow:
    """Return a return as a row."""
    item = listed.item
    verdict = return_words.verdict_of(item)
    product = verdict.product if verdict else None
    other = verdict.found_product if verdict else None
    return ReturnRow(
        item.number,
        item.order_number,
        item.customer,
        item.product,
        item.title,
        item.announced_on.isoformat() if item.announced_on else None,
        item.expected.name if item.expected else None,
        (verdict.found or None) if verdict else None,
        other,
        product.likeness if product else None,
        product.other_likeness if product and other else None,
        item.verdict,
        (", ".join(verdict.earlier) or None) if verdict else None,
        item.sureness,
        " ".join(return_words.sentences(item)) or None,
        item.verdict_at,
        listed.photos,
        item.decision,
        item.decided_by,
        item.decided_at,
        item.decision_note,
        item.note,
    )


def as_dict(listed: ListedReturn) -> dict[str, Any]:
    """Return a return by the names of its columns."""
    found = values(COLUMNS, [row_of(listed)])
    return {column.name: value for column, (value,) in zip(COLUMNS, found, strict=True)}
