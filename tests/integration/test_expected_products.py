"""Returns whose product is known are judged by it, on both databases and in real processes."""

import shutil
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import (
    product_calibrations,
    product_comparisons,
    returns,
    spaces,
    tables,
)
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import (
    announcing,
    embedding,
    judging,
    product_calibration,
    product_comparison,
    return_decisions,
    reviews,
)
from returns_pipeline.usecases.catalogue import ImportOptions, import_path, put_one
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.deletion import delete
from returns_pipeline.usecases.product_likeness import CatalogueLooks
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.sweep import sweep
from tests.returns import actions, details, night, with_returns
from tests.spaces import write_catalogue, write_space
from tests.support import LABELS, Installation

PRODUCTS = 16
#: Margins of right items as if a desk altered nothing: no right item looks like another one.
CLEAR = [0.01] * 100


def calibrate(db: Database, margins: list[float] = CLEAR) -> None:
    """Store what altered pictures measure, so that the verdicts of a tiny catalogue are sure."""
    space = spaces.active(db)
    assert space is not None
    product_calibrations.begin(db, space.id, 600)
    product_calibrations.save(db, space.id, spaces.count(db, space.id), margins)


def label_of(picture: Path) -> str:
    """Return what the stub's model takes a picture for."""
    with Image.open(picture) as image:
        grey = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX), np.float32).mean()
    return LABELS[min(int(grey) * 4 // 256, 3)]


class Shop:
    """A pipeline in this process whose catalogue has sixteen products with pictures, and one without."""

    def __init__(self, home: Installation, folder: Path) -> None:
        """Embed the catalogue."""
        settings = home.settings.model_copy(update={"spaces_dir": folder / "spaces"})
        write_space(settings.spaces_dir)
        self.folder = write_catalogue(folder / "shop", PRODUCTS)
        with (self.folder / "products.csv").open("a", encoding="utf-8") as stream:
            stream.write("bare,hat,colour 0,\n")
        self.db = home.database
        self.context, self.queue = with_returns(
            Installation(settings, home.database), file_pattern="(R-[0-9]+)", reuse_days=0
        )
        import_path(settings, self.db, self.folder, "ann", ImportOptions({}))
        embedding.begin(self.context)
        self.queue.deliver(self.context)
        calibrate(self.db)

    @property
    def pipeline(self) -> tuple[Context, InProcessQueue]:
        return self.context, self.queue

    def picture(self, product: str) -> Path:
        return self.folder / "images" / f"{product}.png"

    def announce(self, number: str, product: str | None, shown: str) -> None:
        """Announce a return with the category of the product that its photo will show."""
        sent = {"number": number, "product": product, "expected": label_of(self.picture(shown))}
        announcing.announce_one(self.context, "ann", sent)

    def photo(self, number: str, shown: str, name: str = "") -> None:
        """Let a photo of a return come in that shows a product."""
        shutil.copy(self.picture(shown), self.context.settings.incoming_dir / f"{number}{name}.png")

    def deliver(self) -> None:
        self.queue.deliver(self.context)

    def seen(self, number: str) -> tuple[str | None, str | None, str | None]:
        """Return the verdict on a return, the reason, and the product that its photo looks more like."""
        item = returns.find(self.db, number)
        assert item is not None
        facts = (item.verdict_detail or {}).get("product")
        is_other = item.verdict_reason == "other product"
        return item.verdict, item.verdict_reason, facts["other"] if facts and is_other else None

    def review(self, image_id: int) -> int | None:
        query = sa.select(tables.images.c.review_id).where(tables.images.c.id == image_id)
        with self.db.read() as connection:
            return connection.execute(query).scalar()

    def images(self, number: str) -> list[int]:
        item = returns.find(self.db, number)
        assert item is not None
        query = sa.select(tables.images.c.id).where(tables.images.c.return_id == item.id)
        with self.db.read() as connection:
            return list(connection.execute(query.order_by(tables.images.c.id)).scalars())


@pytest.fixture
def shop(home: Installation, tmp_path: Path) -> Shop:
    """Give a shop."""
    return Shop(home, tmp_path)


def test_another_product_of_the_category_is_a_mismatch(shop: Shop) -> None:
    """The right product is a match; without its picture the category decides; twice changes nothing."""
    for number, product, shown in (
        ("R-1", "6", "6"),
        ("R-2", "2", "6"),
        ("R-3", "bare", "6"),
        ("R-4", "unknown", "6"),
        ("R-5", None, "6"),
    ):
        shop.announce(number, product, shown)
        shop.photo(number, shown)
    night(shop.pipeline)
    assert shop.seen("R-2") == ("mismatch", "other product", "6")
    for number in ("R-1", "R-3", "R-4", "R-5"):
        assert shop.seen(number) == ("match", "probable", None)
    found = details(shop.db, "R-2")["product"]
    assert (found["product"], found["image"], found["accepted"]) == ("2", *shop.images("R-2"), 0)
    assert found["other_likeness"] == pytest.approx(1, abs=0.01)
    assert found["likeness"] < found["other_likeness"] - 0.1
    assert found["rate"] == pytest.approx(0.016, abs=0.001)
    assert details(shop.db, "R-1")["product"]["other"] != "6"
    assert "product" not in details(shop.db, "R-3")

    before = actions(shop.db, "R-2")
    for number in ("R-1", "R-2", "R-3"):
        item = returns.find(shop.db, number)
        assert item is not None
        with shop.db.write() as connection:
            product_comparisons.queue(connection, [item.id])
            returns.queue(connection, [item.id])
    for _ in range(2):
        shop.context.send(Task.COMPARE_RETURNS)
    shop.deliver()
    assert actions(shop.db, "R-2") == before
    assert not product_comparisons.is_waiting(shop.db)


def test_the_verdict_follows_its_facts(shop: Shop) -> None:
    """Another announcement, picture, photo, review or deletion changes it, and its undo changes it back."""
    shop.announce("R-1", "2", "6")
    shop.photo("R-1", "6")
    night(shop.pipeline)
    other = ("mismatch", "other product", "6")
    assert shop.seen("R-1") == other

    shop.announce("R-1", "6", "6")
    shop.deliver()
    assert shop.seen("R-1") == ("match", "probable", None)
    shop.announce("R-1", "2", "6")
    shop.deliver()
    assert shop.seen("R-1") == other

    # The shop corrects the picture of the expected product.
    kept = shop.picture("2").read_bytes()
    for content, expected in ((shop.picture("6").read_bytes(), "match"), (kept, "mismatch")):
        shop.picture("2").write_bytes(content)
        for chunk_id in embedding.plan(shop.context.settings, shop.db, every=True):
            shop.queue.send(Task.EMBED_PICTURES, chunk_id)
        shop.deliver()
        assert shop.seen("R-1")[0] == expected

    (image_id,) = shop.images("R-1")
    bundle_of = cache(lambda name: find_bundle(shop.context.settings.models_dir, name))
    label = label_of(shop.picture("6"))
    for said, following in (("dark", ("mismatch", "reviewed", None)), (label, other)):
        reviews.decide(shop.db, bundle_of, "ann", image_id, said, replaces=shop.review(image_id))
        judging.judge_now(shop.context, bundle_of)
        assert shop.seen("R-1") == following

    shop.photo("R-1", "2", "-again")
    night(shop.pipeline, "again")
    delete(shop.context.settings, shop.db, image_id, "boss")
    shop.context.send(Task.JUDGE_RETURNS)
    shop.deliver()
    assert shop.seen("R-1")[0] == (
        "match" if label_of(shop.picture("2")) == label_of(shop.picture("6")) else "mismatch"
    )
    with shop.db.read() as connection:
        found = connection.execute(sa.select(tables.product_comparisons.c.image)).scalars().all()
    assert found == shop.images("R-1")[1:]


def test_a_product_that_leaves_takes_nothing_along(shop: Shop) -> None:
    """A picture that is gone or unusable gives the verdict back to the category."""
    for number, product in (("R-1", "2"), ("R-2", "4")):
        shop.announce(number, product, "6")
        shop.photo(number, "6")
    night(shop.pipeline)
    assert {shop.seen(number)[0] for number in ("R-1", "R-2")} == {"mismatch"}
    put_one(shop.context.settings, shop.db, "ann", {"id": "2", "images": ""})
    shop.picture("4").write_bytes(b"broken")
    for chunk_id in embedding.plan(shop.context.settings, shop.db, every=True):
        shop.queue.send(Task.EMBED_PICTURES, chunk_id)
    sweep(shop.context, utc_now() + timedelta(hours=1))
    shop.deliver()
    assert [shop.seen(number) for number in ("R-1", "R-2")] == [("match", "probable", None)] * 2


def test_a_killed_process_loses_nothing(shop: Shop) -> None:
    """Its return is compared by another one, and its late result counts for nothing."""
    db, settings = shop.db, shop.context.settings
    shop.announce("R-1", "2", "6")
    shop.photo("R-1", "6")
    night(shop.pipeline)
    item = returns.find(db, "R-1")
    assert item is not None
    with db.write() as connection:
        product_comparisons.queue(connection, [item.id])
    dead = product_comparisons.claim(db, -1.0)
    assert dead is not None
    sweep(shop.context)
    assert shop.queue.waiting(Task.COMPARE_RETURNS) == []
    sweep(shop.context, utc_now() + timedelta(seconds=1))
    with db.write() as connection:
        connection.execute(sa.update(tables.returns_to_compare).values(since=utc_now() - timedelta(days=1)))
    sweep(shop.context)
    assert shop.queue.waiting(Task.COMPARE_RETURNS) == [None]
    held = product_comparisons.claim(db, 60.0)
    assert held is not None
    assert (held.attempt, product_comparisons.claim(db, 60.0)) == (2, None)
    nothing = product_comparisons.Comparison("2", ())
    assert not product_comparisons.store(db, dead, nothing)
    product_comparisons.release(db, held)
    shop.deliver()
    assert shop.seen("R-1")[0] == "mismatch"
    assert not product_comparisons.is_waiting(db)

    # Facts that change while a process compares: its result is dropped.
    with db.write() as connection:
        product_comparisons.queue(connection, [item.id])
    held = product_comparisons.claim(db, 60.0)
    assert held is not None
    with db.write() as connection:
        product_comparisons.queue(connection, [item.id])
    assert not product_comparisons.store(db, held, nothing)

    # One whose photo kills processes is given up: the category decides.
    for _ in range(settings.max_attempts):
        assert product_comparisons.claim(db, -1.0)
    shop.context.send(Task.COMPARE_RETURNS)
    shop.deliver()
    assert shop.seen("R-1") == ("match", "probable", None)


def test_a_night_is_not_slowed(shop: Shop) -> None:
    """While a run is open nothing is compared; the sweep has it done after the run."""
    shop.announce("R-1", "2", "6")
    shop.photo("R-1", "6")
    night(shop.pipeline)
    item = returns.find(shop.db, "R-1")
    assert item is not None
    with shop.db.write() as connection:
        product_comparisons.queue(connection, [item.id])
    shop.photo("R-2", "6")
    scan(shop.context, "open")
    product_comparison.compare_returns(shop.context)
    assert product_comparisons.is_waiting(shop.db)
    shop.deliver()
    assert not product_comparisons.is_waiting(shop.db)


def test_it_is_calibrated_bit_by_bit_and_again_if_the_catalogue_grows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The margins are the same however a process was interrupted; another process waits for them."""
    db = shop.db
    space = spaces.active(db)
    assert space is not None
    embedder = embedding.embedder_of(shop.context, space)
    looks = CatalogueLooks(db, ProductSearch(shop.context.settings, db), space, ())
    current = partial(product_calibration.current, shop.context, space, embedder, looks)
    assert current().altered == pytest.approx(CLEAR)
    with db.write() as connection:
        connection.execute(sa.delete(tables.product_calibrations))
    assert product_calibrations.begin(db, space.id, 600) == []
    with pytest.raises(product_calibration.NotCalibratedError):
        current()
    product_calibrations.pause(db, space.id, [])

    monkeypatch.setattr(product_calibration, "_AT_ONCE_SECONDS", 600.0)
    measured = current().altered
    assert (len(measured), list(measured)) == (8 * PRODUCTS, sorted(measured))
    assert shop.queue.waiting(Task.COMPARE_RETURNS) == [None]
    monkeypatch.setattr(product_calibration, "_AT_ONCE_SECONDS", 0.0)
    product_calibrations.save(db, space.id, 10, [0.5])
    for _ in range(8 * PRODUCTS - 1):
        assert current().altered == [0.5]
    assert current().altered == pytest.approx(measured)


def test_accepted_returns_are_counted(shop: Shop) -> None:
    """Those that a person accepted, with the margin of their photo; an undone decision does not count."""
    space = spaces.active(shop.db)
    assert space is not None
    for number, product in (("R-1", "6"), ("R-2", "2"), ("R-3", "2")):
        shop.announce(number, product, "6")
        shop.photo(number, "6")
    night(shop.pipeline)
    for number, decision in (("R-1", "accept"), ("R-2", "accept"), ("R-3", "reject")):
        return_decisions.decide(shop.db, number, decision, "", "ann")
    first, second = sorted(product_comparisons.accepted_margins(shop.db, space.id))
    assert first < 0 < second


def test_a_new_space_compares_again(shop: Shop) -> None:
    """When another space becomes active, the newest undecided returns are compared in it."""
    shop.announce("R-1", "2", "6")
    shop.photo("R-1", "6")
    night(shop.pipeline)
    before = details(shop.db, "R-1")["product"]
    write_space(shop.context.settings.spaces_dir, version=2, dark=10)
    embedding.plan(shop.context.settings, shop.db, every=False)
    for chunk_id in embedding.plan(shop.context.settings, shop.db, every=False):
        embedding.embed_chunk(shop.context, chunk_id, "message")
    calibrate(shop.db)
    shop.deliver()
    after = details(shop.db, "R-1")["product"]
    assert after["other"] == before["other"] == "6"
    assert after["likeness"] != before["likeness"]
