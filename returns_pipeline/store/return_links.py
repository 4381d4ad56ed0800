"""Which return each photo belongs to: what it is found from, and how it is stored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.codes import Code
from returns_pipeline.records.images import FilePlace, ImageFile, ImageState
from returns_pipeline.records.returns import LinkSource, ReturnAction
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import file_name
from returns_pipeline.store import bulk, final_labels, returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import IDENTITY, chunks, image_codes, images, return_events, runs
from returns_pipeline.store.tables import returns as returns_table

#: Who writes to a return's history what no person did.
SYSTEM = "system"


class LinkablePhoto(NamedTuple):
    """A photo with a result, and its present link. `number` is that of its return, None without one."""

    id: int
    path: str
    state: str
    number: str | None
    source: str | None
    conflict: str | None


class NewLink(NamedTuple):
    """The link that a photo shall have; None in `number` and `source` for none."""

    image_id: int
    number: str | None
    source: str | None
    conflict: str | None


def is_used(db: Database) -> bool:
    """Whether there is any return."""
    with db.read() as connection:
        return connection.execute(sa.select(returns_table.c.id).limit(1)).first() is not None


def kind_and_root(db: Database, run_id: int) -> tuple[RunKind, str | None]:
    """Return the kind of a run, and the folder that it scanned."""
    root = sa.func.coalesce(runs.c.intake, runs.c.directory, type_=runs.c.intake.type)
    with db.read() as connection:
        row = connection.execute(sa.select(runs.c.kind, root.label("root")).where(runs.c.id == run_id)).one()
    return RunKind(row.kind), row.root


def standing(db: Database, numbers: Iterable[str]) -> dict[str, tuple[bool, bool]]:
    """Return of each number that is known whether it was announced, and whether it is undecided too."""
    found: dict[str, tuple[bool, bool]] = {}
    columns = (returns_table.c.number, returns_table.c.announced_on, returns_table.c.decision)
    with db.read() as connection:
        for part in bulk.parts(sorted(set(numbers))):
            query = sa.select(*columns).where(returns_table.c.number.in_(part))
            for row in connection.execute(query):
                announced = row.announced_on is not None
                found[row.number] = (announced, announced and row.decision is None)
    return found


def codes_of_run(db: Database, run_id: int, chunk_id: int | None = None) -> dict[int, tuple[str, list[Code]]]:
    """Return path and codes of each photo of a run, or of one of its chunks, that shows some, by its id."""
    query = (
        sa.select(images.c.id, images.c.source_path, image_codes.c.text, image_codes.c.format)
        .join_from(images, image_codes, image_codes.c.image_id == images.c.id)
        .where(images.c.run_id == run_id, images.c.deleted_at.is_(None))
        .order_by(images.c.id, image_codes.c.format, image_codes.c.text)
    )
    if chunk_id is not None:
        query = query.where(images.c.chunk_id == chunk_id)
    found: dict[int, tuple[str, list[Code]]] = {}
    with db.read() as connection:
        for row in connection.execute(query):
            found.setdefault(row.id, (row.source_path, []))[1].append(Code(row.text, row.format))
    return found


def photos_of(db: Database, run_id: int) -> Iterator[Sequence[LinkablePhoto]]:
    """Yield the photos of a run with a result, chunk by chunk, each by a short query."""
    with db.read() as connection:
        chunk_ids = connection.execute(
            sa.select(chunks.c.id).where(chunks.c.run_id == run_id).order_by(chunks.c.id)
        )
        listed = list(chunk_ids.scalars())
    for chunk_id in listed:
        yield photos_of_chunk(db, chunk_id)


def photos_of_chunk(db: Database, chunk_id: int) -> list[LinkablePhoto]:
    """Return the photos of a chunk with a result, but deleted ones."""
    query = (
        sa.select(
            images.c.id,
            images.c.source_path,
            images.c.state,
            returns_table.c.number,
            images.c.return_source,
            images.c.return_conflict,
        )
        .join_from(images, returns_table, returns_table.c.id == images.c.return_id, isouter=True)
        .where(
            images.c.chunk_id == chunk_id,
            images.c.state != ImageState.PENDING,
            images.c.deleted_at.is_(None),
        )
        .order_by(images.c.id)
    )
    with db.read() as connection:
        return [LinkablePhoto._make(row) for row in connection.execute(query)]


def files_of(db: Database, image_ids: Sequence[int]) -> dict[int, ImageFile]:
    """Return the files of classified photos where they lie now, by the image's id. At most 500."""
    query = sa.select(
        images.c.id,
        images.c.source_path,
        images.c.archived_path,
        images.c.in_intake,
        images.c.size,
        IDENTITY.label("identity"),
    ).where(images.c.id.in_(image_ids))
    found: dict[int, ImageFile] = {}
    with db.read() as connection:
        for row in connection.execute(query):
            is_moved = not row.in_intake and row.archived_path is not None
            path = row.archived_path if is_moved else row.source_path
            place = FilePlace.ARCHIVE if is_moved else FilePlace.NAMED
            folder, _, name = row.source_path.rpartition("/")
            about = (row.size, row.identity, place, None, None, None, None, None, "", name, folder)
            found[row.id] = ImageFile(path, *about)
    return found


def write(db: Database, links: Sequence[NewLink]) -> int:
    """Store links that differ from the present ones, queue their returns, and write it to their history.

    Returns how many returns were queued. A return that does not exist is opened, unannounced. A photo that
    becomes a slip, or is one no longer, gets its final label anew. Within one transaction; the same links
    again are the caller's to leave out.
    """
    if not links:
        return 0
    with db.write() as connection:
        numbers = {link.number for link in links if link.number is not None}
        ids = returns.ensure(connection, numbers, "photo")
        these = images.c.id.in_(sa.bindparam("some", expanding=True))
        touched, were_slips = set(ids.values()), []
        for part in bulk.parts([link.image_id for link in links]):
            query = sa.select(images.c.id, images.c.return_id, images.c.return_source)
            for row in connection.execute(
                query.where(these, images.c.return_id.is_not(None)), {"some": part}
            ):
                touched.add(row.return_id)
                if row.return_source == LinkSource.THE_SLIP:
                    were_slips.append(row.id)
        connection.execute(
            # A photo that was deleted meanwhile belongs to no return.
            sa.update(images)
            .where(images.c.id == sa.bindparam("image"), images.c.deleted_at.is_(None))
            .values(
                return_id=sa.bindparam("to_return"),
                return_source=sa.bindparam("known_from"),
                return_conflict=sa.bindparam("against"),
            ),
            [
                {
                    "image": link.image_id,
                    "to_return": ids[link.number] if link.number is not None else None,
                    "known_from": link.source,
                    "against": link.conflict,
                }
                for link in links
            ],
        )
        slips = [link.image_id for link in links if link.source == LinkSource.THE_SLIP]
        final_labels.settle(connection, [*slips, *were_slips], changes_reports=False)
        returns.queue(connection, touched)
        _tell(connection, links, ids)
        return len(touched)


def _tell(connection: sa.Connection, links: Sequence[NewLink], ids: Mapping[str, int]) -> None:
    """Write one event for each return: which photos came."""
    came: dict[str, list[NewLink]] = {}
    for link in links:
        if link.number is not None:
            came.setdefault(link.number, []).append(link)
    rows = [
        {
            "return_id": ids[number],
            "at": utc_now(),
            "who": SYSTEM,
            "action": ReturnAction.PHOTO,
            "detail": {
                "images": [link.image_id for link in some],
                "sources": sorted({link.source for link in some if link.source}),
            },
        }
        for number, some in sorted(came.items())
    ]
    if rows:
        connection.execute(sa.insert(return_events), rows)


class PhotoOfReturn(NamedTuple):
    """A photo of a return as it is shown; `name` is its file's, `source` one of LinkSource."""

    id: int
    name: str
    state: str
    source: str
    conflict: str | None
    final_label: str | None


def photos_of_return(db: Database, return_id: int, most: int = 200) -> list[PhotoOfReturn]:
    """Return the photos of a return, oldest first."""
    query = (
        sa.select(
            images.c.id,
            images.c.source_path,
            images.c.state,
            images.c.return_source,
            images.c.return_conflict,
            images.c.final_label,
        )
        .where(
            images.c.return_id == return_id,
            images.c.return_id.is_not(None),
            images.c.deleted_at.is_(None),
        )
        .order_by(images.c.id)
        .limit(most)
    )
    with db.read() as connection:
        return [PhotoOfReturn(row[0], file_name(row[1]), *row[2:]) for row in connection.execute(query)]


def give(connection: sa.Connection, number: str, image_ids: Sequence[int]) -> None:
    """Link photos to the return that their sender named, in the transaction that adds them.

    It is queued for judging when they are classified.
    """
    return_id = returns.ensure(connection, [number], "request")[number]
    for part in bulk.parts(image_ids):
        connection.execute(
            sa.update(images)
            .where(images.c.id.in_(part))
            .values(return_id=return_id, return_source=LinkSource.GIVEN)
        )


def tried_before(db: Database, run_id: int) -> Iterator[Sequence[NewLink]]:
    """Yield the links of a retry's photos: those of the images that had moved the same files before."""
    with db.read() as connection:
        query = sa.select(images.c.id, images.c.source_path).where(images.c.run_id == run_id)
        rows = [
            (row.id, row.source_path, int(number))
            for row in connection.execute(query)
            if (number := row.source_path.rpartition("/")[2].partition("-")[0]).isdecimal()
            and len(number) < 19
        ]
    for part in bulk.parts(rows):
        earlier = (
            sa.select(
                images.c.id,
                images.c.archived_path,
                returns_table.c.number,
                images.c.return_source,
                images.c.return_conflict,
            )
            .join_from(images, returns_table, returns_table.c.id == images.c.return_id)
            .where(images.c.id.in_([number for _, _, number in part]))
        )
        with db.read() as connection:
            found = {row.id: row for row in connection.execute(earlier)}
        yield [
            NewLink(image_id, row.number, row.return_source, row.return_conflict)
            for image_id, path, number in part
            if (row := found.get(number)) is not None and row.archived_path == path
        ]
