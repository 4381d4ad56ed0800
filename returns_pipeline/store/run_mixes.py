"""What the photos of each night are like, counted by property, and what of that is not as usual."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.mixes import BOUNDS, Change, Property
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.runs import NIGHTS, RunState
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import PREDICTION_OF_RUN
from returns_pipeline.store.nights import is_recent
from returns_pipeline.store.tables import images, predictions, run_changes, run_mixes, runs

#: The column of each property.
_VALUES: dict[Property, sa.ColumnElement[float] | sa.ColumnElement[str]] = {
    Property.CATEGORY: predictions.c.label,
    Property.CONFIDENCE: predictions.c.probability,
    Property.FAMILIARITY: predictions.c.familiarity,
    Property.BRIGHTNESS: images.c.brightness,
    Property.PIXELS: images.c.width * sa.cast(images.c.height, sa.BigInteger),
    Property.FILE_SIZE: images.c.size,
    Property.FORMAT: images.c.format,
}
#: Multiplier and prime of an order that looks random and is repeatable.
_PLACE, _PRIME = 69_621, 1_000_003

_IMAGES = images.join(runs, runs.c.id == images.c.run_id).join(predictions, PREDICTION_OF_RUN)
_IS_NIGHT = sa.and_(runs.c.kind.in_(NIGHTS), runs.c.state == RunState.CLOSED, runs.c.classified > 0)
_IS_ITEM = images.c.return_source.is_distinct_from(LinkSource.THE_SLIP)


class NightMix(NamedTuple):
    """A closed night: the version of its model, photos by property and bin, and properties that differ."""

    run_id: int
    model_version_id: int
    mixes: dict[str, dict[str, int]]
    different: frozenset[str]


def missing(db: Database, most: int) -> list[int]:
    """Return the newest closed nights that are not counted, newest first."""
    is_counted = sa.exists().where(run_mixes.c.run_id == runs.c.id)
    query = sa.select(runs.c.id).where(is_recent(), _IS_NIGHT, ~is_counted)
    with db.read() as connection:
        return [
            int(each) for each in connection.execute(query.order_by(runs.c.id.desc()).limit(most)).scalars()
        ]


def count(db: Database, run_id: int) -> None:
    """Count the photos of a night by property and bin, if they are not counted. May run twice."""
    with db.read() as connection:
        if connection.execute(
            sa.select(run_mixes.c.bin).where(run_mixes.c.run_id == run_id).limit(1)
        ).first():
            return
        rows = [
            {"run_id": run_id, "property": name.value, "bin": str(row[0]), "photos": row[1]}
            for name, of_image in ((each, _bin(each)) for each in _VALUES)
            for row in connection.execute(
                sa.select(of_image, sa.func.count())
                .select_from(_IMAGES)
                .where(images.c.run_id == run_id, _VALUES[name].is_not(None), _IS_ITEM)
                .group_by(of_image)
            )
        ]
    # Without any, a row says that the night was counted.
    rows = rows or [{"run_id": run_id, "property": Property.CATEGORY.value, "bin": "", "photos": 0}]
    with db.write() as connection:
        connection.execute(db.insert(run_mixes).on_conflict_do_nothing(), rows)


def newest(db: Database, run_id: int, most: int) -> list[NightMix]:
    """Return the newest closed nights of the intake of a night, newest first, also those not counted yet."""
    one = sa.select(runs.c.intake).where(runs.c.id == run_id).scalar_subquery()
    of_intake = sa.and_(is_recent(), _IS_NIGHT, runs.c.intake.is_not_distinct_from(one))
    nights = sa.select(runs.c.id, runs.c.model_version_id).where(of_intake)
    nights = nights.order_by(runs.c.id.desc()).limit(most)
    with db.read() as connection:
        found = {row.id: row.model_version_id for row in connection.execute(nights)}
        mixes: dict[int, dict[str, dict[str, int]]] = {each: {} for each in found}
        for row in connection.execute(sa.select(run_mixes).where(run_mixes.c.run_id.in_(found))):
            mixes[row.run_id].setdefault(row.property, {})[row.bin] = row.photos
        different: dict[int, set[str]] = {each: set() for each in found}
        marked = sa.select(run_changes.c.run_id, run_changes.c.property).where(
            run_changes.c.run_id.in_(found)
        )
        for row in connection.execute(marked):
            different[row.run_id].add(row.property)
    return [
        NightMix(each, version, mixes[each], frozenset(different[each])) for each, version in found.items()
    ]


def add_changes(db: Database, connection: sa.Connection, run_id: int, found: Sequence[Change]) -> None:
    """Store what of a night is not as usual, within the transaction of its notice. May run twice."""
    rows = [{"run_id": run_id, **each._asdict(), "examples": list(each.examples)} for each in found]
    if rows:
        connection.execute(db.insert(run_changes).on_conflict_do_nothing(), rows)


def changes(db: Database, run_id: int) -> list[Change]:
    """Return what of a night is not as usual, the least likely first."""
    columns = (run_changes.c[name] for name in Change._fields)
    query = sa.select(*columns).where(run_changes.c.run_id == run_id).order_by(run_changes.c.chance)
    with db.read() as connection:
        return [Change._make(row) for row in connection.execute(query)]


def examples(db: Database, run_id: int, change: Change, most: int) -> list[int]:
    """Return some images of a night that show a change: those that are more than usual. Reads all of it.

    Of a category or a format of which there are fewer, what is left.
    """
    name = Property(change.property)
    if name in BOUNDS:
        bound = BOUNDS[name][int(change.bin) - 1]
        is_shown = _VALUES[name] < bound if change.share > change.usual else _VALUES[name] >= bound
    else:
        is_shown = _VALUES[name] == change.bin
    query = (
        sa.select(images.c.id)
        .select_from(_IMAGES)
        .where(images.c.run_id == run_id, is_shown, _IS_ITEM, images.c.deleted_at.is_(None))
        .order_by((images.c.id * _PLACE) % _PRIME)
        .limit(most)
    )
    with db.read() as connection:
        return [int(each) for each in connection.execute(query).scalars()]


def _bin(name: Property) -> sa.ColumnElement[int] | sa.ColumnElement[str]:
    """Return the bin of an image: the value, or the number of bounds that are not above it."""
    value = _VALUES[name]
    if name not in BOUNDS:
        return value  # type: ignore[return-value]
    bounds = BOUNDS[name]
    return sa.case(*((value < end, place) for place, end in enumerate(bounds)), else_=len(bounds))
