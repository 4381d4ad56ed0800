"""Shared by the tests of returns: announcements as rows, photos of items and of slips, a model with rates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
import zxingcpp
from PIL import Image

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.records.codes import CodeFormat
from returns_pipeline.records.verdicts import ExpectationRates
from returns_pipeline.store import returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import images
from returns_pipeline.store.tables import returns as table
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan
from tests.support import Installation

#: The brightness that the stub's model takes for each of its labels.
BRIGHTNESS = {"dark": 30, "dim": 100, "bright": 150, "white": 220}
#: With these a label of 0.9 is a match, and one of 0.03 a mismatch.
_RATES = ExpectationRates(1000, ((0.5, 0.01),), ((0.6, 0.99),))
DUE = datetime(2999, 1, 1, tzinfo=UTC)


def with_returns(home: Installation, **settings: Any) -> tuple[Context, InProcessQueue]:
    """Return the pipeline in this process, with these settings and a model whose rates were measured."""
    bundle = find_bundle(home.settings.models_dir, "stub/1")
    if bundle.label_rates is None:
        replace(bundle, label_rates=_RATES, main_rates=_RATES).save()
    changed = home.settings.model_copy(update=settings)
    return Installation(changed, home.database).in_process()


def night(pipeline: tuple[Context, InProcessQueue], name: str = "night") -> int:
    """Scan and classify the intake, and deliver every message."""
    context, queue = pipeline
    run_id = scan(context, name)
    queue.deliver(context)
    return run_id


def close(context: Context) -> None:
    """End the process that reads codes."""
    if context.code_reader:
        context.code_reader.close()


CODES: Mapping[str, Any] = {"codes": (CodeFormat.QR,), "code_pattern": "(RMA-[0-9]+)"}


def announce(db: Database, expected: Mapping[str, str | None], due_at: datetime = DUE) -> None:
    """Announce returns by number with their expected label, or correct them, as an import does."""
    with db.write() as connection:
        ids = returns.ensure(connection, expected, "manifest.csv")
        for number, label in expected.items():
            connection.execute(
                sa.update(table)
                .where(table.c.id == ids[number])
                .values(
                    expected_label=label, announced_on=utc_now().date(), due_at=due_at, changed_at=utc_now()
                )
            )
        known = sa.select(images.c.return_id).where(images.c.return_id.in_(ids.values()))
        returns.queue(connection, connection.execute(known).scalars())


def write_item(path: Path, label: str, seed: int = 0, taken: str | None = None) -> None:
    """Write a photo of an item, which the stub's model takes for `label`; `taken` is its EXIF time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 40), BRIGHTNESS[label], np.uint8)
    pixels[0, 0] = seed
    exif = Image.Exif()
    if taken:
        exif[0x9003] = taken
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(pixels).save(path, exif=exif)


def write_slip(path: Path, *numbers: str, taken: str | None = None) -> None:
    """Write a photo that shows the QR code of each number and no item."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((300, 250 * len(numbers)), 170, np.uint8)
    for place, number in enumerate(numbers):
        barcode = zxingcpp.create_barcode(number, zxingcpp.BarcodeFormat.QRCode)
        code = np.array(zxingcpp.write_barcode_to_image(barcode, scale=5))
        picture[20 : 20 + code.shape[0], 250 * place + 10 : 250 * place + 10 + code.shape[1]] = code
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(picture).save(path, exif=exif)


def links(db: Database) -> dict[str, tuple[str | None, str | None, str | None]]:
    """Return number, source and conflict of every image by its file's name."""
    query = sa.select(
        images.c.source_path, table.c.number, images.c.return_source, images.c.return_conflict
    ).join_from(images, table, table.c.id == images.c.return_id, isouter=True)
    with db.read() as connection:
        return {
            row.source_path.rpartition("/")[2]: (row.number, row.return_source, row.return_conflict)
            for row in connection.execute(query)
        }


def verdicts(db: Database) -> dict[str, str | None]:
    """Return the verdict of each return by its number."""
    with db.read() as connection:
        return {row.number: row.verdict for row in connection.execute(sa.select(table))}


def details(db: Database, number: str) -> dict[str, Any]:
    """Return the fields of a verdict's sentence."""
    found = returns.find(db, number)
    assert found is not None
    assert found.verdict_detail is not None
    return found.verdict_detail


def actions(db: Database, number: str) -> Sequence[str]:
    """Return what happened to a return, oldest first."""
    found = returns.find(db, number)
    assert found is not None
    return [event.action.value for event in reversed(returns.history(db, found.id))]
