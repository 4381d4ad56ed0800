"""Finds returns by a part of their number, their order or their customer."""

import sqlalchemy as sa

from returns_pipeline.store.tables import returns

#: A search finds at most so many returns, the newest.
MOST_FOUND = 1000
#: A part that is not the beginning of a number is looked for among so many of the newest returns.
MOST_COMPARED = 200_000
#: After every character that a number has.
_END = "\U0010ffff"


def ids(connection: sa.Connection, text: str) -> list[int] | None:
    """Return the returns that a text finds, newest first, at most MOST_FOUND + 1; None for an empty text.

    The beginning of a number, a whole order and a whole customer are found among all returns. Other parts are
    found among the newest MOST_COMPARED.
    """
    text = text.strip()
    if not text:
        return None
    last = connection.execute(sa.select(sa.func.max(returns.c.id))).scalar() or 0
    found: set[int] = set()
    for query in queries(text, last):
        found.update(row[0] for row in connection.execute(query))
    return sorted(found, reverse=True)[: MOST_FOUND + 1]


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
