"""`collect` against a real shop on this machine: what it takes, what it refuses, and how it goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_command
from tests.shop import (
    Reply,
    Shop,
    dangerous_pages,
    dangerous_pictures,
    open_shop,
    page,
    png,
    product_page,
    products,
    redirect,
    without_end,
)
from tests.support import CLI, digests

Pages = dict[str, Reply | Callable[[int], Reply]]

#: Small enough that a body without end is soon too large.
MOST_BYTES = 300_000


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command: an installation that collects with a contact."""
    return os.environ | {
        "RETURNS_HOME": str(folder / "var"),
        "RETURNS_CONTACT": "shop@example.org",
        "RETURNS_MAX_FILE_BYTES": str(MOST_BYTES),
        "RETURNS_MAX_PIXELS": "1000000",
    }


def arguments(shop: Shop, feed: str, out: Path, *options: str) -> list[str]:
    """Return the arguments of a call without a pause between requests."""
    return ["collect", feed, "--out", str(out), "--allow-host", shop.host, "--delay", "0", "--json", *options]


def collect(shop: Shop, feed: str, out: Path, *options: str) -> dict[str, Any]:
    """Collect, and return what the command printed as JSON."""
    done = run_command(
        arguments(shop, feed, out, *options), environment=environment(out.parent), folder=out.parent
    )
    assert not done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(path: Path) -> list[dict[str, str]]:
    """Return the lines of `provenance.csv` or `refused.csv`."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def reasons(shop: Shop, out: Path) -> dict[str, str]:
    """Return why each path of the shop was refused."""
    return {row["address"].removeprefix(shop.address("")): row["reason"] for row in rows(out / "refused.csv")}


def test_a_sitemap_becomes_class_folders(tmp_path: Path) -> None:
    """Each product's picture is kept once, with its source, in folders that `data check` accepts.

    A second call asks for each page with its ETag and for no picture again.
    """
    out = tmp_path / "out"
    with open_shop(products(20)) as shop:
        first = collect(shop, shop.address("/sitemap.xml"), out, "--licence", "own")
        assert first["categories"] == {"Shirts": 10, "Shoes": 10}
        assert first["stopped"] is None
        assert not first["not_taken"]
        kept = rows(out / "provenance.csv")
        assert digests(out / "Shirts") + digests(out / "Shoes") == {row["sha256"]: 1 for row in kept}
        for row in kept:
            number = row["address"].rpartition("/")[2]
            assert row["page"] == shop.address(f"/p/{number}")
            assert row["file"].startswith(f"{row['category']}/")
            assert row["licence"] == "own"
        assert all("shop@example.org" in agent for agent in shop.agents)
        check = run_command(["data", "check", str(out)], environment=environment(tmp_path), folder=tmp_path)
        assert check.returncode == 0, check.stdout

        second = collect(shop, shop.address("/sitemap.xml"), out, "--licence", "own")
        assert (second["new"], second["categories"]) == (0, first["categories"])
        assert shop.not_modified == second["pages"] == first["pages"]
        assert all(count == 1 for path, count in shop.asked.items() if path.startswith("/img/"))


def test_dangerous_pictures_are_refused(tmp_path: Path) -> None:
    """Each has its reason; the good one beside them is taken; little of an endless one is read."""
    out, pages = tmp_path / "out", Pages()
    with open_shop(products(1), pages) as shop:
        dangers = dangerous_pictures(shop)
        pages.update({path: reply for path, (reply, _) in dangers.items()})
        pages["/bäume/tännchen bild.png"] = Reply(png(5), "image/png")
        pages["/"] = product_page(
            "Shirts",
            "/img/0",
            "/bäume/tännchen bild.png",
            *dangers,
            "data:image/png,AAAA",
            "/img/0#again",
        )
        report = collect(shop, shop.address("/"), out, "--timeout", "1")
        assert reasons(shop, out) == {path: reason for path, (_, reason) in dangers.items()} | {
            "data:image/png,AAAA": "no http or https address"
        }
        assert digests(out / "Shirts") == {row["sha256"]: 1 for row in rows(out / "provenance.csv")}
        assert report["categories"] == {"Shirts": 2}
        assert report["bytes"] < 6 * MOST_BYTES
        assert shop.asked["/secret/1.png"] == 0


def test_dangerous_pages_end(tmp_path: Path) -> None:
    """Pages without end, in a loop, of other sites and of a calendar cost no product that is beside them."""
    out = tmp_path / "out"
    dangers = dangerous_pages()
    pages = Pages(dangers)
    with open_shop(products(12), pages) as shop, open_shop([]) as other:
        pages["/away"] = redirect(other.address("/"))
        other.pages["/"] = product_page("Shirts", "/x.png")
        # Products lie three pages deep; the calendar begins on the first one.
        pages["/"] = page(
            "".join(f"<a href='{path}'>x</a>" for path in ["calendar/1", "list", "away", *dangers])
        )
        pages["/list"] = page(
            "".join(f"<a href='/p/{number}'>x</a>" for number in range(12))
            + f"<a href='{other.address('/')}'>x</a>"
        )
        report = collect(
            shop, shop.address("/"), out, "--link", "a", "--timeout", "1", "--max-pages", "60",
            "--allow-host", other.host,
        )  # fmt: skip
        assert sum(report["categories"].values()) == 12
        assert report["stopped"] == "the budget of pages is used up"
        assert sum(shop.asked.values()) < 110
        assert other.asked["/x.png"] == 0
        found = reasons(shop, out)
        assert found["/slow"] == "took too long"
        assert found["/endless"] == found["/bomb"] == "more bytes than allowed"
        assert "already" in found["/loop-a"] + found["/loop-b"]
        assert found["/secret/page"] == "forbidden by robots.txt"
        assert found["/text"] == "no HTML page"
        assert found["/away"] == "leads to another site"


def test_a_private_site_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    """Without --allow-host, and with another port allowed, nothing is sent to this machine."""
    with open_shop(products(2)) as shop:
        allowed = ("--allow-host", "127.0.0.1:1", "--allow-host", "127.0.0.2")
        done = run_command(
            ["collect", shop.address("/p/0"), "--out", "out", *allowed],
            environment=environment(tmp_path),
            folder=tmp_path,
        )
        assert done.returncode == 1
        assert "not taken: private address" in done.stdout
        assert not shop.asked


def test_a_site_that_asks_to_wait_is_waited_for(tmp_path: Path) -> None:
    """After 429 with Retry-After, no request leaves before that time; the picture comes then.

    A site whose robots.txt cannot be read is left alone; one that asks for an hour ends the crawl.
    """

    def busy(count: int) -> Reply:
        if count > 1:
            return Reply(png(50), "image/png")
        return Reply(b"", status=429, headers=(("Retry-After", "2"),))

    pages: Pages = {"/": product_page("Shirts", "/busy", "/img/0", "/img/1"), "/busy": busy}
    with open_shop(products(2), pages) as shop:
        report = collect(shop, shop.address("/"), tmp_path / "out")
        assert report["categories"] == {"Shirts": 3}
        moments = [moment for path, moment in shop.times if path == "/busy"]
        assert moments[1] - moments[0] >= 2
        # What was on its way already may still arrive.
        assert not [path for path, at in shop.times if moments[0] + 0.5 < at < moments[0] + 1.9]

        pages["/robots.txt"] = Reply(b"", status=503, headers=(("Retry-After", "0"),))
        collect(shop, shop.address("/p/1"), tmp_path / "robots")
        assert reasons(shop, tmp_path / "robots") == {"/p/1": "forbidden by robots.txt"}

        del pages["/robots.txt"]
        pages["/"] = Reply(b"", status=503, headers=(("Retry-After", "3600"),))
        report = collect(shop, shop.address("/"), tmp_path / "hour")
        assert report["stopped"] == "the site asks to wait for longer than five minutes"


def test_a_second_call_goes_on_where_the_budget_ended(tmp_path: Path) -> None:
    """Calls with a small budget of pages or bytes together collect all, and ask for nothing twice."""
    out = tmp_path / "out"
    with open_shop(products(24)) as shop:
        feed = shop.address("/sitemap.xml")
        first = collect(shop, feed, out, "--max-pages", "6")
        assert first["stopped"] == "the budget of pages is used up"
        assert first["pages"] == 6
        second = collect(shop, feed, out, "--max-bytes", "20000")
        assert second["stopped"] == "the budget of bytes is used up"
        third = collect(shop, feed, out, "--delay", "0.5", "--max-minutes", "0.02")
        assert third["stopped"] == "the time is over"
        last = collect(shop, feed, out)
        assert last["stopped"] is None
        assert last["categories"] == {"Shirts": 12, "Shoes": 12}
        assert sum(each["new"] for each in (first, second, third, last)) == 24
        asked = {path: count for path, count in shop.asked.items() if path != "/robots.txt"}
        assert set(asked.values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_call_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """After Ctrl-C nothing is asked for twice; after a kill, no picture that was kept, and none is lost."""
    out = tmp_path / "out"
    with open_shop(products(40)) as shop:
        feed = shop.address("/sitemap.xml")
        process = subprocess.Popen(
            [*CLI, *arguments(shop, feed, out)[:-1], "--delay", "0.1"],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        while not (out / "Shoes").is_dir():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
        kept = {row["address"] for row in rows(out / "provenance.csv")}
        assert 0 < len(kept) < 40
        if number is signal.SIGINT:
            assert process.returncode == 130
            assert "Not everything was fetched: it was interrupted." in output
        # What a kill leaves that comes while a picture is written.
        (out / "Shirts" / f".{'0' * 32}.{'1' * 32}.part.png").write_bytes(b"half")
        report = collect(shop, feed, out)
        assert report["categories"] == {"Shirts": 20, "Shoes": 20}
        assert all(shop.asked[address.removeprefix(shop.address(""))] == 1 for address in kept)
        assert sum(digests(out / "Shirts").values()) == 20
        if number is signal.SIGINT:
            assert {count for path, count in shop.asked.items() if path != "/robots.txt"} == {1}


def test_a_second_ctrl_c_waits_for_no_response(tmp_path: Path) -> None:
    """A response that goes on does not keep the process; the picture comes with the next call."""
    out, pages = tmp_path / "out", Pages({"/": product_page("Shirts", "/slow")})
    pages["/slow"] = Reply(without_end(b"x", 0.1))
    with open_shop([], pages) as shop:
        process = subprocess.Popen(
            [*CLI, *arguments(shop, shop.address("/"), out)],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
        )
        while not shop.asked["/slow"]:
            assert process.poll() is None
            time.sleep(0.02)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        process.communicate(timeout=10)
        assert process.returncode == 130
        pages["/slow"] = Reply(png(1), "image/png")
        assert collect(shop, shop.address("/"), out)["categories"] == {"Shirts": 1}


def test_feeds_of_addresses(tmp_path: Path) -> None:
    """CSV, JSON with nested values, and JSON lines name pictures; each category has its limit of pictures."""
    with open_shop(products(12)) as shop:
        lines = [(shop.address(f"/img/{number}"), number) for number in range(12)]
        (tmp_path / "a.csv").write_text(
            "\ufeffid;Image URL;Product-Type;License\n"
            + "".join(f"{number};{address};Clothes > Coats;CC0\n" for address, number in lines[:4])
            + "9;not an address;Coats;\n9;;;\n",
            encoding="utf-8",
        )
        (tmp_path / "b.json").write_text(
            json.dumps(
                {
                    "products": [
                        {"media": [{"url": each}], "kind": {"name": "COATS"}} for each, _ in lines[4:8]
                    ]
                }
            )
        )
        (tmp_path / "c.jsonl").write_text(
            "".join(
                json.dumps({"images": [each], "category": "501 Jeans/Denim"}) + "\n" for each, _ in lines[8:]
            )
        )
        out = tmp_path / "out"
        report = collect(shop, "a.csv", out)
        assert report["categories"] == {"Coats": 4}
        assert {row["licence"] for row in rows(out / "provenance.csv")} == {"CC0"}
        report = collect(
            shop, "b.json", out, "--image", "media.0", "--category", "kind", "--per-category", "6"
        )
        assert report["categories"] == {"Coats": 6}, "two spellings are one folder, which is full"
        report = collect(shop, "c.jsonl", out)
        assert report["categories"] == {"Coats": 6, "_501 Jeans_Denim_": 4}


def _refusal(folder: Path, arguments: Sequence[str], **changed: str) -> str:
    done = run_command(["collect", *arguments], environment=environment(folder) | changed, folder=folder)
    assert done.returncode == 3
    return done.stderr


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    """Without a contact, a feed, or a folder of its own, a call says what to do and sends nothing."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").touch()
    (tmp_path / "feed.csv").write_text("name,price\na,1\n")
    assert "RETURNS_CONTACT" in _refusal(
        tmp_path, ["https://shop.example/", "--out", "a"], RETURNS_CONTACT=""
    )
    assert "not a contact" in _refusal(tmp_path, ["https://shop.example/", "--out", "a", "--contact", "me"])
    assert "neither a file" in _refusal(tmp_path, ["ftp://shop.example/", "--out", "a"])
    assert "not collected" in _refusal(tmp_path, ["feed.csv", "--out", "full"])
    assert "not a host" in _refusal(tmp_path, ["feed.csv", "--out", "a", "--allow-host", "a/b"])
    assert "--image COLUMN" in _refusal(tmp_path, ["feed.csv", "--out", "a"])


def test_without_scrapy_the_command_says_what_to_install(tmp_path: Path) -> None:
    """The one sentence is no traceback, and names the file of requirements."""
    code = "import sys; sys.modules['scrapy'] = None; from returns_pipeline.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "collect", "feed.csv", "--out", str(tmp_path / "out")],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "pip install -r requirements-collect.txt" in done.stderr
