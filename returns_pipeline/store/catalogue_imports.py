"""Imports of the catalogue: their rows, their refused lines, and which products are gone."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.catalogue import (
    CatalogueCounts,
    CatalogueImport,
    CatalogueSummary,
    RefusedProduct,
)
from returns_pipeline.store import bulk, product_images, product_writing
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.product_writing import Offered
from returns_pipeline.store.tables import catalogue_import_faults, catalogue_imports, products

#: Refused lines that an import keeps.
MOST_FAULTS = 10_000
#: A complete file that lacks more than this share of the products discontinues none.
MOST_GONE = 0.5
#: A smaller catalogue may lose all products but these.
_FEW = 10


def begin(db: Database, who: str, source: str, *, is_complete: bool) -> int:
    """Open an import; return its id."""
    values = {"at": utc_now(), "who": who[:100], "source": source[-255:], "is_complete": is_complete}
    with db.write() as connection:
        found = connection.execute(sa.insert(catalogue_imports).values(values))
    return int(found.inserted_primary_key[0])  # type: ignore[index]


def finish(db: Database, import_id: int, error: str | None = None) -> None:
    """Record that the last line of an import is taken, or what ended it before."""
    with db.write() as connection:
        connection.execute(
            sa.update(catalogue_imports)
            .where(catalogue_imports.c.id == import_id)
            .values(finished_at=utc_now(), error=error)
        )


def take(
    db: Database,
    import_id: int | None,
    offered: Sequence[Offered],
    refused: Sequence[RefusedProduct] = (),
    unchanged: int = 0,
) -> tuple[CatalogueCounts, list[str]]:
    """Add and change the products of some lines in one transaction; no id is twice among them.

    `unchanged` counts further lines that change nothing. Returns the counts, and what became of each line.
    """
    with db.write() as connection:
        results = product_writing.write(connection, import_id, offered) if offered else []
        counts = CatalogueCounts(
            len(offered) + len(refused) + unchanged,
            results.count("added"),
            results.count("changed"),
            results.count("unchanged") + unchanged,
            len(refused),
        )
        if import_id is not None:
            _count(connection, import_id, counts, refused)
    return counts, results


def discontinue_others(
    db: Database, import_id: int, is_there: Callable[[Sequence[str]], Sequence[bool]], *, force: bool
) -> CatalogueCounts:
    """Discontinue the products that a complete file does not have; return how many these are.

    `is_there` tells which ids the file has. Without `force`, raises RefusedError if more than MOST_GONE of
    the products would be gone, and discontinues none.
    """
    with db.write() as connection:
        product_writing.lock(connection)
        gone: list[int] = []
        total = 0
        for rows in product_writing.listed(connection):
            found = is_there([product_id for _, product_id in rows])
            gone += [row_id for (row_id, _), there in zip(rows, found, strict=True) if not there]
            total += len(rows)
        if not force and len(gone) > _FEW and len(gone) > MOST_GONE * total:
            raise RefusedError(
                "The file lacks {gone} of {total} products, so none was discontinued. What it has was taken.",
                "If that is right, import it again with `--complete --force`.",
                gone=f"{len(gone):,}",
                total=f"{total:,}",
            )
        product_writing.discontinue(connection, import_id, gone)
        counts = CatalogueCounts(discontinued=len(gone))
        _count(connection, import_id, counts, ())
    return counts


def _count(
    connection: sa.Connection, import_id: int, counts: CatalogueCounts, refused: Sequence[RefusedProduct]
) -> None:
    columns = catalogue_imports.c
    before = connection.execute(sa.select(columns.refused).where(columns.id == import_id)).scalar_one()
    connection.execute(
        sa.update(catalogue_imports)
        .where(columns.id == import_id)
        .values({columns[name]: columns[name] + value for name, value in counts._asdict().items()})
    )
    kept = refused[: max(0, MOST_FAULTS - before)]
    bulk.insert(
        connection,
        catalogue_import_faults,
        ("import_id", "place", "source", "line", "product_id", "reason"),
        [(import_id, before + place, each.source[-255:], *each[1:]) for place, each in enumerate(kept)],
    )


def latest(db: Database, limit: int) -> list[CatalogueImport]:
    """Return the newest imports, newest first."""
    with db.read() as connection:
        return _latest(connection, limit)


def _latest(connection: sa.Connection, limit: int) -> list[CatalogueImport]:
    query = sa.select(catalogue_imports).order_by(catalogue_imports.c.id.desc()).limit(limit)
    return [
        CatalogueImport(
            row.id,
            row.at,
            row.finished_at,
            row.who,
            row.source,
            row.is_complete,
            CatalogueCounts(*(getattr(row, name) for name in CatalogueCounts._fields)),
            row.error,
        )
        for row in connection.execute(query)
    ]


def faults(db: Database, import_id: int, most: int = MOST_FAULTS) -> list[RefusedProduct]:
    """Return the refused lines of an import, at most MOST_FAULTS, in their order."""
    columns = catalogue_import_faults.c
    query = sa.select(columns.source, columns.line, columns.product_id, columns.reason)
    query = query.where(columns.import_id == import_id).order_by(columns.place).limit(most)
    with db.read() as connection:
        return [RefusedProduct._make(row) for row in connection.execute(query)]


def summary(db: Database, imports: int) -> CatalogueSummary:
    """Return what the catalogue has, with its newest imports."""
    gone = products.c.discontinued_at.is_not(None)
    with db.read() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(products)).scalar_one()
        discontinued = connection.execute(sa.select(sa.func.count()).where(gone)).scalar_one()
        pictures = product_images.counts(connection)
        return CatalogueSummary(total - discontinued, discontinued, pictures, _latest(connection, imports))
