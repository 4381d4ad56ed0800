"""The words that find products: of their id, title, brand and category. A search finds beginnings of words.

The same on both databases and without an extension; a row for each word of a product.
"""

import re
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from returns_pipeline.records.text import fold
from returns_pipeline.store import bulk
from returns_pipeline.store.tables import product_words

#: Most characters of a word, and most words of a product and of a search.
_MOST_OF_WORD, _MOST_WORDS, _MOST_SEARCHED = 40, 60, 8
#: After every character that a word has.
_END = "\U0010ffff"
_WORD = re.compile(r"\w+")
_COLUMNS = ("word", "product")


def words_of(product_id: str, *texts: str | None) -> frozenset[str]:
    """Return the words by which a product is found. Its whole id is one too."""
    folded = [fold(text) for text in (product_id, *texts) if text]
    found = dict.fromkeys([folded[0][:_MOST_OF_WORD]])
    found |= dict.fromkeys(word[:_MOST_OF_WORD] for text in folded for word in _WORD.findall(text))
    return frozenset(list(found)[:_MOST_WORDS])


def write(connection: sa.Connection, words: Iterable[tuple[int, frozenset[str]]]) -> None:
    """Add the words of products that have none."""
    rows = sorted((word, product) for product, found in words for word in found)
    bulk.add(connection, product_words, _COLUMNS, rows)


def remove(connection: sa.Connection, products: Sequence[int]) -> None:
    """Remove the words of products."""
    for part in bulk.parts(products):
        connection.execute(sa.delete(product_words).where(product_words.c.product.in_(part)))


def having(text: str, column: sa.Column[int]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a product has a word with each beginning that a text has.

    The longest is probably the rarest, so its products are looked up, and the others among their words.
    """
    folded = fold(text.strip())
    searched = dict.fromkeys(_WORD.findall(folded)[:_MOST_SEARCHED] or [folded])
    longest, *others = sorted(searched, key=len, reverse=True)
    looked_up = sa.select(product_words.c.product).where(_begins(product_words, longest))
    conditions: list[sa.ColumnElement[bool]] = [column.in_(looked_up)]
    for term in others:
        words = product_words.alias()
        of_product = sa.select(1).where(words.c.product == column, _begins(words, term))
        conditions.append(of_product.exists())
    return conditions


def _begins(words: sa.FromClause, term: str) -> sa.ColumnElement[bool]:
    word, beginning = words.c.word, term[:_MOST_OF_WORD]
    return sa.and_(word >= beginning, word < beginning + _END)
