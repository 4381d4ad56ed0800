"""Faults of feeds: a process that dies between a photo that is fetched and the row of its address."""

from pathlib import Path

from returns_pipeline.settings import Intake
from returns_pipeline.store import feeds
from returns_pipeline.usecases.schedule import request_of_intake
from tests.faults.night import Night, until
from tests.shop import Reply, open_shop

_MOST = 100


def kill_fetching(night: Night) -> int:
    """Kill a process before an address is marked: once before its photo has its name, once after.

    Each address is asked for once, and each photo comes in once.
    """
    settings = night.home.settings
    count = min(_MOST, max(6, int(60 * night.scale)))
    pages = {}
    for number in range(count):
        path = night.image(settings.home / f"{number}.png", number)
        pages[f"/{number}.png"] = Reply(path.read_bytes(), "image/png")
        path.unlink()
    feed = settings.home / "returns.csv"
    intake = Intake("stub", settings.feed_dir / feed.stem, feed)
    flags = [Path(settings.home) / name for name in ("killed-show", "killed-settle")]
    with open_shop([], dict(pages)) as shop:
        feed.write_text("\n".join(["image_url", *map(shop.address, pages)]) + "\n", encoding="utf-8")
        night.worker_environment |= {
            "RETURNS_INTAKES": str(intake),
            "RETURNS_FEED_HOSTS": shop.host,
            "RETURNS_FEED_DELAY": "0",
            "FAULT_FEEDS": ":".join(map(str, flags)),
        }
        night.start_worker()
        request = night.scan()
        with_feed = settings.model_copy(update={"intakes": (intake,)})
        night.finish(request_of_intake(request, with_feed, "stub"))
        until(lambda: feeds.counts(night.home.database, feed.stem).fetched == count, 30)
        assert set(shop.asked.values()) == {1}, shop.asked
    assert all(flag.exists() for flag in flags), "no process was killed"
    return len(flags)
