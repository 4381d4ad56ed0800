"""The words that images have: final labels and reviewers. Read by jumping in an index from word to word."""

import sqlalchemy as sa

from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import images, review_changes

#: Words that are read at most.
_MOST = 5000


def labels(db: Database) -> list[str]:
    """Return the final labels that images have, sorted."""
    return distinct(db, images.c.final_label)


def reviewers(db: Database) -> list[str]:
    """Return the names of the people who have reviewed something, sorted."""
    return distinct(db, review_changes.c.who)


def distinct(db: Database, column: sa.Column[str]) -> list[str]:
    """Return the values of a column that begins an index: a step for each value, not for each row."""
    first = sa.select(sa.func.min(column).label("word"))
    words = first.cte("words", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > words.c.word).correlate(words).scalar_subquery()
    words = words.union_all(sa.select(following).where(words.c.word.is_not(None)))
    query = sa.select(words.c.word).where(words.c.word.is_not(None)).limit(_MOST)
    with db.read() as connection:
        return sorted(connection.execute(query).scalars())
