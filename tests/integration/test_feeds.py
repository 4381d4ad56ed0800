"""Feeds against a real shop on this machine: each address is a photo once, whatever happens."""

import hashlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from beat_schedule import beat_schedule
from returns_pipeline.errors import ConfigFault
from returns_pipeline.host.doctor import examine
from returns_pipeline.photos import folder_feeds
from returns_pipeline.records.audit import AuditAction
from returns_pipeline.records.feeds import FeedCounts
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Intake, load_settings
from returns_pipeline.store import feeds as stored
from returns_pipeline.store import tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import feeds
from returns_pipeline.usecases.intakes import alarms
from returns_pipeline.usecases.runs import scan_intakes, scan_night
from tests.shop import Reply, Shop, open_shop, products, redirect, without_end
from tests.support import Installation, audit, digests

NIGHT = datetime(2026, 5, 4, 2, 0, tzinfo=UTC)


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Give a shop with ten pictures."""
    with open_shop(products(10)) as opened:
        yield opened


def with_feed(home: Installation, shop: Shop | None, **changed: Any) -> Installation:
    """Return the home with one intake, the feed `returns.csv`; it may ask the shop, without pauses."""
    home.settings.home.mkdir(exist_ok=True)
    folder = home.settings.home / "feeds"
    settings = {
        "feed_dir": folder,
        "intakes": (Intake("stub", folder / "returns", home.settings.home / "returns.csv"),),
        "feed_hosts": (shop.host,) if shop else (),
        "feed_delay": 0.0,
        "feed_timeout": 2.0,
        **changed,
    }
    return replace(home, settings=home.settings.model_copy(update=settings))


def write(home: Installation, *lines: str, header: str = "image_url,return") -> Path:
    """Write the feed's file anew."""
    (intake,) = home.settings.every_intake
    assert intake.feed
    intake.feed.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return intake.feed


def counts(home: Installation) -> FeedCounts:
    """Return the counts of the feed."""
    return stored.counts(home.database, "returns")


def refusals(home: Installation) -> dict[str, str]:
    """Return the reason of each refused address by its path."""
    found = stored.refused(home.database, "returns", 100)
    return {"/" + each.address.split("/", 3)[3]: each.reason for each in found}


def night(home: Installation, at: datetime = NIGHT) -> None:
    """Run one night to its end."""
    context, queue = home.in_process()
    scan_night(context, at)
    queue.deliver(context)


def paths(home: Installation) -> list[str]:
    """Return the places of all photos below the feed's folder."""
    root = str(home.settings.every_intake[0].folder.resolve())
    with home.database.read() as connection:
        found = connection.execute(sa.select(tables.images.c.source_path)).scalars()
        return sorted(path.removeprefix(root + "/") for path in found)


def test_each_address_is_fetched_once_over_two_nights(home: Installation, shop: Shop) -> None:
    """The second night fetches the new address alone; every photo is archived once; returns are linked."""
    home = with_feed(home, shop)
    lines = [f"{shop.address(f'/img/{n}')},{'R-1' if n < 2 else ''}" for n in range(5)]
    write(home, *lines, lines[0])
    night(home)
    assert counts(home) == FeedCounts(0, 5, 0)
    write(home, *lines, f"{shop.address('/img/5')},R 2/ä")
    night(home, NIGHT + timedelta(days=1))
    assert counts(home) == FeedCounts(0, 6, 0)
    assert {path: n for path, n in shop.asked.items() if n != 1} == {}
    came_in = Counter(hashlib.sha256(product.picture).hexdigest() for product in shop.products[:6])
    result = audit(home, came_in)
    assert (result.images, result.lost, result.double, result.wrong) == (6, 0, 0, [])
    linked = sa.select(tables.returns.c.number, tables.images.c.return_source).join_from(
        tables.images, tables.returns, tables.returns.c.id == tables.images.c.return_id
    )
    with home.database.read() as connection:
        found = sorted(map(tuple, connection.execute(linked)))
    assert found == [("R 2/ä", "given"), ("R-1", "given"), ("R-1", "given")]


class _DiesError(Exception):
    """Stands for the end of a process: nothing after it runs."""


@pytest.mark.parametrize("step", ["arrive", "show", "settle"])
def test_a_process_may_die_between_any_two_steps(
    home: Installation, shop: Shop, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a night takes the photo before the address is marked, there is one photo, once."""
    home = with_feed(home, shop)
    write(home, shop.address("/img/0"))
    context, _ = home.in_process()
    place: Any = folder_feeds if step == "show" else stored
    done: Callable[..., None] = getattr(place, step)

    def die(*arguments: Any) -> None:
        if step == "show":
            done(*arguments)
        raise _DiesError

    with monkeypatch.context() as patched:
        patched.setattr(place, step, die)
        with pytest.raises(_DiesError):
            feeds.fetch_some(context)
    if step != "arrive":
        with monkeypatch.context() as patched:
            patched.setattr(feeds, "fetch_before_scan", lambda _: None)
            night(home)
    night(home, NIGHT + timedelta(days=1))
    assert counts(home) == FeedCounts(0, 1, 0)
    assert len(paths(home)) == 1
    assert shop.asked["/img/0"] == (2 if step == "arrive" else 1)
    assert len(digests(home.settings.archive_dir)) == 1


def test_what_goes_wrong_is_refused_or_put_off(home: Installation, shop: Shop) -> None:
    """Final answers are refused with a reason, others wait; HTML goes to quarantine; the night ends."""
    home = with_feed(home, shop, max_file_bytes=20_000, feed_timeout=0.7)
    shop.pages |= {
        "/gone": Reply(b"", status=404),
        "/forbidden": Reply(b"", status=403),
        "/broken": Reply(b"", status=500),
        "/html": Reply(b"<html>not a picture</html>"),
        "/private": redirect("http://127.0.0.2:1/x"),
        "/loop": redirect("/loop"),
        "/file": redirect("file:///etc/passwd"),
        "/endless": Reply(without_end(b"x" * 5_000)),
        "/drip": Reply(without_end(b"x", 0.05)),
        "/short": Reply(b"abc", headers=(("X", "y"),)),
        "/moved": redirect("/img/1"),
    }
    write(home, *map(shop.address, shop.pages), "http://169.254.169.254/latest", "http://[::1]:9/x")
    night(home)
    found = refusals(home)
    assert found["/gone"] == "HTTP 404 Not Found"
    assert found["/forbidden"] == "HTTP 403 Forbidden"
    assert "private address" in found["/private"]
    assert "without end" in found["/loop"]
    assert "not valid" in found["/file"]
    assert "20,000" in found["/endless"]
    assert "private address" in found["/latest"]
    assert "private address" in found["/x"]
    waiting = {
        each.address.rpartition("/")[2]: each.reason for each in stored.failing(home.database, "returns", 9)
    }
    assert waiting == {
        "broken": "HTTP 500 Internal Server Error",
        "drip": "No whole response came within 0.7 seconds.",
    }
    assert counts(home) == FeedCounts(2, 3, 8)
    assert len(digests(home.settings.archive_dir)) == 1
    assert len(digests(home.settings.quarantine_dir)) == 2
    assert not list(home.settings.every_intake[0].folder.rglob(".returns-*"))
    shop.pages.clear()
    assert stored.try_again(home.database, "returns") == 10
    assert counts(home) == FeedCounts(10, 3, 0)


def test_a_host_that_asks_for_a_pause_gets_it(home: Installation, shop: Shop) -> None:
    """After 429 with Retry-After, no address of the host is asked for before that; then all are fetched."""
    home = with_feed(home, shop)
    full = Reply(b"", status=429, headers=(("Retry-After", "600"),))
    shop.pages["/first"] = lambda asked: full if asked == 1 else Reply(shop.products[0].picture)
    write(home, *map(shop.address, ("/first", "/img/1", "/img/2")))
    context, _ = home.in_process()
    for _ in range(2):
        feeds.fetch_some(context)
    assert shop.asked.total() == 1
    assert not stored.due(home.database, "returns", utc_now() + timedelta(seconds=590), 9)
    assert len(stored.due(home.database, "returns", utc_now() + timedelta(seconds=610), 9)) == 3
    stored.try_again(home.database, "returns")
    feeds.fetch_some(context)
    assert counts(home) == FeedCounts(0, 3, 0)


def test_a_host_has_a_pause_between_requests_and_a_scan_an_end(home: Installation, shop: Shop) -> None:
    """Requests come RETURNS_FEED_DELAY apart; what a scan has no time for waits for the next one."""
    home = with_feed(home, shop, feed_delay=0.3, feed_scan_seconds=1.0)
    write(home, *(shop.address(f"/img/{n}") for n in range(10)))
    night(home)
    moments = [moment for _, moment in shop.times]
    # A busy machine lets the shop see one request later than it was sent, so the next one seems nearer.
    assert all(later - earlier > 0.2 for earlier, later in pairwise(moments))
    found = counts(home)
    assert 1 <= found.fetched <= 4
    assert found.waiting == 10 - found.fetched
    assert len(paths(home)) == found.fetched


def test_two_processes_fetch_each_address_once(home: Installation, shop: Shop) -> None:
    """Real processes at the same moment: one connection at a time, and no address is asked for twice."""
    home = with_feed(home, shop, feed_delay=0.02)
    write(home, *(shop.address(f"/img/{n}") for n in range(10)))
    script = (
        "from returns_pipeline.broker.in_process import InProcessQueue\n"
        "from returns_pipeline.settings import load_settings\n"
        "from returns_pipeline.store.database import open_database\n"
        "from returns_pipeline.usecases import feeds\n"
        "from returns_pipeline.usecases.context import Context\n"
        "settings = load_settings()\n"
        "database = open_database(settings.database_url)\n"
        "feeds.fetch_before_scan(Context(settings, database, InProcessQueue(), None))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", script], env=home.environment()) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    assert counts(home) == FeedCounts(0, 10, 0)
    assert set(shop.asked.values()) == {1}
    assert len(list(home.settings.every_intake[0].folder.iterdir())) == 10


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot be read"),
        (b"", "no content"),
        (b"name,price\nshirt,2\n", "no column of addresses"),
        (b'{"name": "shirt"}\n{"name": "shoe"}\n', "no column of addresses"),
        (b"\x00\x01\x02\x03", "no lines that can be read"),
    ],
)
def test_a_feed_that_cannot_be_read_is_an_alarm_and_no_night_fails(
    sqlite_home: Installation, content: bytes | None, error: str
) -> None:
    """The alarm is gone when the file is right; the run of the intake is there in any case."""
    home = with_feed(sqlite_home, None)
    file = write(home)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    night(home, utc_now())
    (alarm,) = alarms(home.settings, home.database, utc_now())
    assert error in str(alarm)
    write(home)
    night(home, utc_now())
    assert alarms(home.settings, home.database, utc_now()) == []


def test_bad_lines_are_refused_by_number_and_the_others_taken(sqlite_home: Installation) -> None:
    """Lines are CSV, JSON lines or a JSON list; each refused one has its number and a reason."""
    home = with_feed(sqlite_home, None, feed_scan_seconds=0.0)
    context, _ = home.in_process()
    long = "https://a.example/" + "x" * 10_000_000
    write(
        home,
        "https://a.example/1,R-1",
        "ftp://a.example/2,",
        "https://a.example/\x00,",
        long,
        ",R-2",
        "https://user:secret@a.example/3,",
        "https://a.example/4," + "9" * 200,
        "https://ä.example/ü b?q=ü#part,",
        "https://ä.example/ü?q=ü#part,",
        "HTTPS://A.example:443/1,R-3",
    )
    feeds.fetch_before_scan(context)
    reading = stored.last_reading(home.database, "returns")
    assert reading
    assert [each.line for each in reading.faults] == [3, 4, 5, 6, 7, 8, 9]
    assert (reading.lines, reading.refused, reading.error) == (10, 7, None)
    with home.database.read() as connection:
        found = connection.execute(sa.select(tables.feed_addresses.c.address)).scalars().all()
    assert found == ["https://a.example/1", "https://xn--4ca.example/%C3%BC?q=%C3%BC"]
    file = write(home)
    file.write_text(
        '{"photo_url": "https://a.example/5", "rma": 7}\nnonsense\n{"photo_url": ["https://a.example/6",'
        ' "https://a.example/7"]}\n{"photo_url": 8}\n'
    )
    feeds.fetch_before_scan(context)
    reading = stored.last_reading(home.database, "returns")
    assert reading
    assert [each.line for each in reading.faults] == [2, 4]
    assert counts(home).waiting == 5


def test_a_feed_that_is_being_written_is_read_when_it_is_settled(sqlite_home: Installation) -> None:
    """Its last address may be cut short: no part of the file is taken before RETURNS_SETTLE_SECONDS."""
    home = with_feed(sqlite_home, None, settle_seconds=0.5, feed_scan_seconds=0.0)
    write(home, "https://a.example/1")
    context, _ = home.in_process()
    feeds.fetch_before_scan(context)
    assert counts(home).waiting == 0
    time.sleep(0.6)
    feeds.fetch_before_scan(context)
    assert counts(home).waiting == 1


def test_settings_of_feeds(tmp_path: Path) -> None:
    """A feed's folder lies in FEED_DIR; what clashes and what is no host is refused."""
    settings = load_settings(home=tmp_path, intakes=f"a=feed:{tmp_path}/x.csv, b={tmp_path}/in")
    assert settings.every_intake[0] == Intake("a", tmp_path / "feeds" / "x", tmp_path / "x.csv")
    assert str(settings.every_intake[0]) == f"a=feed:{tmp_path}/x.csv"
    assert "feeds" in beat_schedule(settings)
    assert beat_schedule(settings)["feeds"]["task"] == Task.FETCH_FEEDS
    assert "feeds" not in beat_schedule(load_settings(home=tmp_path))
    for text, sentence in {
        "a=feed:": "MODEL=feed:FILE",
        "a=feed:/x/f.csv,b=feed:/y/f.json": "name each feed once",
        "a=feed:/in/f.csv,b=/in": "inside another intake",
    }.items():
        with pytest.raises(ConfigFault, match=sentence):
            load_settings(home=tmp_path, intakes=text)
    with pytest.raises(ConfigFault, match="RETURNS_FEED_HOSTS"):
        load_settings(home=tmp_path, feed_hosts="a/b")


def test_what_an_operator_sees(sqlite_home: Installation, shop: Shop) -> None:
    """`feed status`, `feed retry` and the doctor name what waits and what was refused."""
    home = with_feed(sqlite_home, shop)
    write(home, shop.address("/img/1"), shop.address("/nothing"), "nonsense")
    context, _ = home.in_process()
    scan_intakes(context, "by hand")
    (found,) = home.json("feed", "status", "returns")
    assert (found["fetched"], found["refused"], found["waiting"]) == (1, 1, 0)
    assert found["refused_lines"][0]["line"] == 4
    assert found["refused_addresses"] == [
        {"address": shop.address("/nothing"), "reason": "HTTP 404 Not Found"}
    ]
    checks = {check.name: check for check in examine(home.settings)}
    assert "feed returns: 0 waiting, 1 fetched, 1 refused" in checks["intake"].message
    assert "1 address" in home.run("feed", "retry", "returns").stdout
    with home.database.read() as connection:
        actions = connection.execute(sa.select(tables.audit_events.c.action)).scalars().all()
    assert actions == [AuditAction.FEED_RETRY]
    assert counts(home) == FeedCounts(1, 1, 0)
    refused = home.run("feed", "status", "other")
    assert refused.returncode != 0
    assert "returns" in refused.stderr
