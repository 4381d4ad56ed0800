"""Events of customers: imports them, forgets a customer, measures recommendations on them."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.errors import NotFoundError
from returns_pipeline.recommendations import evaluation, reading
from returns_pipeline.recommendations.evaluation import Evaluation
from returns_pipeline.records.recommendations import Event, EventCounts
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.store import events
from returns_pipeline.store.database import Database

#: Lines of one transaction.
_TOGETHER = 5000
#: Refused lines that are kept.
MOST_REFUSED = 10_000


class Imported(NamedTuple):
    """What became of a file. `refused` has at most MOST_REFUSED lines."""

    counts: EventCounts
    encoding: str
    refused: list[RefusedLine]


def import_file(db: Database, path: Path, on_progress: Callable[[int], None] = lambda _: None) -> Imported:
    """Import a file of events. A line that is wrong is refused alone; the same file again changes nothing.

    Raises RefusedError if the file cannot be read, TransientFault if the database is away. Importing again
    goes on where a killed process ended.
    """
    opened = reading.open_events(path)
    counts = EventCounts()
    refused: list[RefusedLine] = []
    while some := list(islice(opened.lines, _TOGETHER)):
        wrong = [each for each in some if isinstance(each, RefusedLine)]
        counts = counts.plus(_add(db, [each for each in some if isinstance(each, Event)], len(wrong)))
        refused += wrong[: MOST_REFUSED - len(refused)]
        on_progress(counts.lines)
    return Imported(counts, opened.encoding, refused)


def take(db: Database, sent: Iterable[Mapping[str, str | None]]) -> Imported:
    """Take events that a program sends, in one transaction. `line` of a refused one counts from 1."""
    good: list[Event] = []
    refused: list[RefusedLine] = []
    for place, values in enumerate(sent, 1):
        found = reading.check(values)
        if isinstance(found, Event):
            good.append(found)
        else:
            refused.append(RefusedLine(place, "", found))
    return Imported(_add(db, good, len(refused)), "", refused)


def _add(db: Database, good: list[Event], refused: int) -> EventCounts:
    added = events.add(db, good) if good else 0
    return EventCounts(len(good) + refused, added, len(good) - added, refused)


def forget(db: Database, customer: str, who: str) -> int:
    """Remove the events of a customer; return how many they were. Raises NotFoundError if there is none."""
    if not events.count_of(db, customer):
        raise NotFoundError("There is no event of the customer {customer}.", customer=customer)
    return events.forget(db, customer, who)


def evaluate(db: Database) -> Evaluation:
    """Measure the recommendations on all stored events."""
    return evaluation.evaluate(events.every(db))


def evaluate_file(path: Path) -> tuple[Evaluation, int]:
    """Measure the recommendations on a file of events; return how many lines were refused, too."""
    good: list[Event] = []
    refused = 0
    for each in reading.open_events(path).lines:
        if isinstance(each, Event):
            good.append(each)
        else:
            refused += 1
    return evaluation.evaluate(good), refused
