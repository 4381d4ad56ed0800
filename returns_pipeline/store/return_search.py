"""Finds returns by a part of their number, their order or their customer."""

import sqlalchemy as sa

from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import returns

#: A search finds at most so many returns, the newest.
MOST_FOUND = 1000
#: A part that is not the beginning of a number is looked for among so many of the newest returns.
MOST_COMPARED = 50_000
#: After every character that a number has.
_END = "\U0010ffff"


def ids(connection: sa.Connection, text: str, customer: str) -> list[int]:
    """Return the returns that a text finds and that are of a customer, newest first, at most MOST_FOUND + 1.

    The beginning of a number, a whole order and a whole customer are found among all returns. Other parts are
    found among the newest MOST_COMPARED. An empty text or customer limits nothing; one of both is given.
    """
    text, most = text.strip(), MOST_FOUND + 1
    found: set[int] | None = None
    if text:
        last = connection.execute(sa.select(sa.func.max(returns.c.id))).scalar() or 0
        found = set()
        for query in queries(text, last):
            found |= set(connection.scalars(query))
    if customer:
        of_customer = sa.select(returns.c.id).where(returns.c.customer == customer)
        own = set(connection.scalars(of_customer.order_by(returns.c.id.desc()).limit(10 * most)))
        found = own if found is None else found & own
    return sorted(found or (), reverse=True)[:most]


def is_partial(db: Database) -> bool:
    """Whether there are more returns than a search compares with a part inside of a number."""
    ends = [sa.select(end(returns.c.id)).scalar_subquery() for end in (sa.func.max, sa.func.min)]
    with db.read() as connection:
        last, first = connection.execute(sa.select(*ends)).one()
    return last is not None and last - first >= MOST_COMPARED


def queries(text: str, last: int) -> list[sa.Select[tuple[int]]]:
    """Return the queries of a search; `last` is the highest id of a return."""
    number, most = returns.c.id, MOST_FOUND + 1
    made = []
    for each in dict.fromkeys((text, text.upper(), text.lower())):
        is_beginning = sa.and_(returns.c.number >= each, returns.c.number < each + _END)
        made.append(sa.select(number).where(is_beginning).limit(most))
        for column in (returns.c.order_number, returns.c.customer):
            made.append(sa.select(number).where(column == each).order_by(number.desc()).limit(most))
    pattern = f"%{_escaped(text.lower())}%"
    columns = (returns.c.number, returns.c.order_number, returns.c.customer)
    has_part = sa.or_(*(sa.func.lower(column).like(pattern, escape="\\") for column in columns))
    newest = sa.select(number).where(number > last - MOST_COMPARED, has_part)
    return [*made, newest.order_by(number.desc()).limit(most)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
