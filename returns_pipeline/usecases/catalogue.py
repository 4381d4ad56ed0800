"""Imports of the catalogue, from files and from requests, and what the catalogue has."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.catalogue.checking import CheckedProduct, Checker
from returns_pipeline.catalogue.columns import ColumnMapping
from returns_pipeline.catalogue.lines import Lines, ProductLine
from returns_pipeline.catalogue.reading import files_of, open_catalogue, pictures_beside
from returns_pipeline.catalogue.values import currency_of
from returns_pipeline.errors import GoneError, NotFoundError, RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.catalogue import (
    MOST_OF_ID,
    CatalogueCounts,
    Product,
    ProductImage,
    RefusedProduct,
    product_id_of,
)
from returns_pipeline.records.text import printable
from returns_pipeline.settings import Settings
from returns_pipeline.store import (
    audit,
    catalogue_imports,
    product_images,
    product_writing,
    products,
    removed_products,
)
from returns_pipeline.store.database import Database
from returns_pipeline.store.product_writing import Offered
from returns_pipeline.usecases.ahead import ahead
from returns_pipeline.usecases.seen import Seen

#: Lines of one transaction.
_TOGETHER = 5000
#: Where a product came from that a program sent.
_SOURCE = "REST"
TWICE = N_("The id is in an earlier line too, with other values. Each product has one line.")


class ImportOptions(NamedTuple):
    """How files are read. `is_complete`: products that they lack are discontinued; see `discontinue_others`.

    `currency` is that of prices that name none.
    """

    mapping: ColumnMapping
    is_complete: bool = False
    force: bool = False
    currency: str | None = None


class Imported(NamedTuple):
    """What became of a file or a folder. `refused` has at most `catalogue_imports.MOST_FAULTS` lines."""

    import_id: int
    counts: CatalogueCounts
    encodings: list[str]
    refused: list[RefusedProduct]


class Outcome(NamedTuple):
    """What became of a product: `added`, `changed`, `unchanged` or `refused`, and why it was refused."""

    product_id: str
    result: str
    reason: str = ""


def import_path(
    settings: Settings,
    db: Database,
    path: Path,
    who: str,
    options: ImportOptions,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Import a file of products, or the files of a folder. A line that is wrong is refused alone.

    What was taken stays if a file ends early; nothing is discontinued then. Raises RefusedError if a file
    cannot be read or lacks too much, TransientFault if the database is away. Importing again goes on where a
    killed process ended.
    """
    options = options._replace(currency=_currency(options.currency))
    files = files_of(path)
    source = printable(path.resolve().name)
    import_id = catalogue_imports.begin(db, who, source, is_complete=options.is_complete)
    importing = _Importing(settings, db, import_id, options, on_progress)
    try:
        for file in files:
            importing.take(file, pictures_beside(file.parent) if path.is_dir() else {})
        if options.is_complete:
            importing.discontinue_others()
    except RefusedError as error:
        catalogue_imports.finish(db, import_id, str(error))
        raise
    catalogue_imports.finish(db, import_id)
    counts = importing.counts
    audit.note(
        db,
        who,
        AuditAction.CATALOGUE_IMPORT,
        AuditSubject.IMPORT,
        import_id,
        name=source,
        lines=counts.lines,
        discontinued=counts.discontinued,
    )
    return Imported(import_id, counts, importing.encodings, importing.refused)


def _currency(written: str | None) -> str | None:
    try:
        return currency_of(written)
    except ValueError as error:
        raise RefusedError(str(error)) from error


class _Prepared(NamedTuple):
    """What is to be stored of a batch of lines: the arguments of `catalogue_imports.take`."""

    offered: list[Offered]
    refused: list[RefusedProduct]
    unchanged: int


class _Importing:
    """One import: what its files have had so far."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        import_id: int,
        options: ImportOptions,
        on_progress: Callable[[int], None],
    ) -> None:
        self._settings, self._db, self._import_id, self._options = settings, db, import_id, options
        self._on_progress = on_progress
        self._ids = Seen()
        self.counts = CatalogueCounts()
        self.encodings: list[str] = []
        self.refused: list[RefusedProduct] = []

    def take(self, path: Path, pictures: Mapping[str, str]) -> None:
        """Take the products of a file."""
        folder = path.resolve().parent
        # Another picture beside the file makes its lines other lines.
        context = (folder, self._settings.catalogue_dir, self._options.currency, sorted(pictures.values()))
        opened = open_catalogue(path, self._options.mapping, context)
        self.encodings.append(opened.encoding)
        checker = Checker((folder, self._settings.catalogue_dir), self._options.currency, pictures)
        source = printable(path.name)
        prepared = self._prepared(checker, source, opened.lines)
        # On SQLite, other processes write while the next batch is read.
        for each in prepared if self._db.is_sqlite else ahead(prepared):
            taken, _ = catalogue_imports.take(self._db, self._import_id, *each)
            self.counts = self.counts.plus(taken)
            self.refused += each.refused[: catalogue_imports.MOST_FAULTS - len(self.refused)]
            self._on_progress(self.counts.lines)

    def _prepared(
        self, checker: Checker, source: str, lines: Iterator[ProductLine | RefusedProduct]
    ) -> Iterator[_Prepared]:
        """Yield what is to be stored. No id is in two batches, so an earlier one need not be stored yet."""
        for batch in _batches(source, lines):
            # A product whose line is refused is not gone.
            self._ids.add([line.product_id for line in batch.lines])
            self._ids.add([each.product_id for each in batch.refused])
            checked, refused, unchanged = _checked(self._db, checker, source, batch.lines)
            refused = sorted([*batch.refused, *refused], key=lambda each: each.line)
            yield _Prepared([_offered(each) for each in checked], refused, unchanged + batch.repeated)

    def discontinue_others(self) -> None:
        """Discontinue the products that no file has."""
        done = catalogue_imports.discontinue_others(
            self._db, self._import_id, lambda ids: self._ids.has(ids).tolist(), force=self._options.force
        )
        self.counts = self.counts.plus(done)


class _Batch(NamedTuple):
    """Lines, no id twice; refused ones; and how many say again what an earlier line said."""

    lines: list[ProductLine]
    refused: list[RefusedProduct]
    repeated: int


def _batches(source: str, lines: Iterator[ProductLine | RefusedProduct]) -> Iterator[_Batch]:
    """Yield the lines of a file, some at a time. Of lines with the same id, the first counts."""
    ids, contents = Seen(), Seen()
    while some := list(islice(lines, _TOGETHER)):
        first: dict[str, ProductLine] = {}
        refused: list[RefusedProduct] = []
        repeated = 0
        for line in some:
            if isinstance(line, RefusedProduct):
                refused.append(line)
            elif (known := first.setdefault(line.product_id, line)) is line:
                continue
            elif known.digest == line.digest:
                repeated += 1
            else:
                refused.append(RefusedProduct(source, line.number, line.product_id, TWICE))
        kept = list(first.values())
        is_known = ids.add(first)
        is_said = contents.add((each.product_id, each.digest) for each in kept)
        if is_known.any():
            repeated += int((is_known & is_said).sum())
            refused += [
                RefusedProduct(source, each.number, each.product_id, TWICE)
                for each, known_id, said in zip(kept, is_known, is_said, strict=True)
                if known_id and not said
            ]
            kept = [each for each, known_id in zip(kept, is_known, strict=True) if not known_id]
        yield _Batch(kept, refused, repeated)


def _checked(
    db: Database, checker: Checker, source: str, lines: Sequence[ProductLine]
) -> tuple[list[CheckedProduct], list[RefusedProduct], int]:
    """Return the lines that may change something, the refused ones, and how many were taken before."""
    known = product_writing.known(db, [line.product_id for line in lines])
    checked: list[CheckedProduct] = []
    refused: list[RefusedProduct] = []
    unchanged = 0
    for line in lines:
        if known.get(line.product_id) == line.digest:
            unchanged += 1
            continue
        found = checker.check(source, line)
        if isinstance(found, RefusedProduct):
            refused.append(found)
        else:
            checked.append(found)
    return checked, refused, unchanged


def _offered(each: CheckedProduct) -> Offered:
    return Offered(each.product_id, each.digest, each.fields, each.attributes, each.pictures)


def put(
    settings: Settings, db: Database, who: str, sent: Iterable[Mapping[str, Any]], *, is_import: bool
) -> list[Outcome]:
    """Add or change products that a program sends, in one transaction; return what became of each.

    Their keys are `catalogue.columns.FIELDS`, the id always, and `attributes`; a missing one stays as it is,
    an empty one is emptied. Of products with the same id, the first counts. An `is_import` is listed among
    the imports.
    """
    folders = (settings.catalogue_dir,)
    lines, checker = Lines(_SOURCE, {}, folders), Checker(folders, None, {})
    outcomes: list[Outcome | None] = []
    places: dict[str, tuple[int, CheckedProduct]] = {}
    refused: list[RefusedProduct] = []
    for place, each in enumerate(sent):
        fields = {name: value for name, value in each.items() if name != "attributes"}
        line = lines.of_fields(place + 1, fields, each.get("attributes") or {})
        found = line if isinstance(line, RefusedProduct) else checker.check(_SOURCE, line)
        if isinstance(found, CheckedProduct):
            first = places.setdefault(found.product_id, (place, found))
            if first[0] == place:
                outcomes.append(None)
                continue
            if first[1].digest == found.digest:
                outcomes.append(Outcome(found.product_id, "unchanged"))
                continue
            found = RefusedProduct(_SOURCE, place + 1, found.product_id, TWICE)
        refused.append(found)
        outcomes.append(Outcome(found.product_id, "refused", found.reason))
    import_id = catalogue_imports.begin(db, who, _SOURCE, is_complete=False) if is_import else None
    offered = [_offered(each) for _, each in places.values()]
    unchanged = len(outcomes) - len(offered) - len(refused)
    counts, results = catalogue_imports.take(db, import_id, offered, refused, unchanged)
    for (product_id, (place, _)), result in zip(places.items(), results, strict=True):
        outcomes[place] = Outcome(product_id, result)
    if import_id is not None:
        catalogue_imports.finish(db, import_id)
        action, subject = AuditAction.CATALOGUE_IMPORT, AuditSubject.IMPORT
        audit.note(db, who, action, subject, import_id, name=_SOURCE, lines=counts.lines)
    elif counts.added or counts.changed:
        product_id = next(iter(places))
        audit.note(db, who, AuditAction.PRODUCT_CHANGE, AuditSubject.PRODUCT, product_id)
    return [each for each in outcomes if each is not None]


def put_one(settings: Settings, db: Database, who: str, sent: Mapping[str, Any]) -> Outcome:
    """Add or change one product. Raises RefusedError if a value is wrong."""
    (outcome,) = put(settings, db, who, [sent], is_import=False)
    if outcome.result == "refused":
        raise RefusedError(outcome.reason)
    return outcome


def find(db: Database, product_id: str) -> Product:
    """Return a product. Raises NotFoundError if there is none with this id, GoneError if it was removed."""
    known = product_id_of(product_id)
    item = products.find(db, known) if known else None
    if item is None and known and (removed := removed_products.find(db, known)):
        raise GoneError(
            "Product {product} was removed from the catalogue by {who} on {at:%Y-%m-%d} at {at:%H:%M} UTC.",
            product=removed.product_id,
            who=removed.removed_by,
            at=removed.removed_at,
        )
    if item is None:
        raise NotFoundError("There is no product {product}.", product=printable(product_id)[:MOST_OF_ID])
    return item


def existing(db: Database, product_id: str) -> tuple[Product, list[ProductImage]]:
    """Return a product with its pictures. Raises NotFoundError or GoneError as `find` does."""
    item = find(db, product_id)
    return item, product_images.of_products(db, [item.id])[item.id]


def facts(item: Product, pictures: Sequence[ProductImage]) -> dict[str, Any]:
    """Return a product as programs see it: amounts are texts like `12.99`."""
    values = item._asdict()
    del values["id"]
    return {
        "id": values.pop("product_id"),
        "state": str(item.state),
        **values,
        "price": None if item.price is None else f"{item.price:.2f}",
        "images": [
            {"id": each.id, "address": each.address, "state": str(each.state), "reason": each.reason}
            for each in pictures
        ],
    }
