"""The looks of the pages: no page is too wide or too heavy, tables are cards on a phone."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from returns_pipeline.records.access import Role
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.web.pages.table import navigation
from tests.web import Site, closed_run, site

#: Every page with its address. `IMAGE` is the first photo; the run has a damaged one.
PAGES = {
    **{each.module: each.path for each in navigation(Role.OPERATOR)},
    "run": "/runs/1",
    "unusable": "/runs/1?state=quarantined",
    "report": "/runs/1/report",
    "image": "/images/1",
    "grid": "/review/grid?of=all&run=1",
    "found": "/search?q=image",
    "none": "/search?q=nothing-has-this-name",
    "search": "/search",
    "evaluation": "/models/fashion-mnist/2/evaluation",
    "confirm": "/models/fashion-mnist/2/promote",
    "changes": "/nights/1",
    "missing": "/no-such-page",
}
#: Bytes of the first load of a page, without photos.
_MOST_BYTES = 100_000
#: The symbols are loaded after the page.
_HAS_SYMBOLS = "performance.getEntriesByType('resource').some(each => each.name.includes('icons.svg'))"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one installation with a closed run of 70 photos, one damaged, and a model with an evaluation."""
    with site(tmp_path_factory.mktemp("site"), review_threshold=0.9) as running:
        shipped = PROJECT_ROOT / "models" / "fashion-mnist" / "2"
        shutil.copytree(shipped, running.home.settings.models_dir / "fashion-mnist" / "2")
        long_name = f"{'a-long-name-without-a-space-' * 4}.png"
        (running.home.settings.incoming_dir / long_name).write_bytes(b"no picture")
        closed_run(running, 69)
        yield running


@pytest.fixture
def window(here: Site, browser: Browser) -> Iterator[BrowserContext]:
    """Give the windows of an operator."""
    context = browser.new_context(base_url=here.url, viewport={"width": 1440, "height": 900})
    context.new_page().goto(f"/?token={here.token}")
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext) -> Page:
    """Give the first of these windows."""
    return window.pages[0]


def test_no_page_is_wider_than_its_screen_and_each_is_accessible(page: Page) -> None:
    """On the smallest phone and between phone and desk; axe-core finds nothing serious on the reports."""
    faults: list[tuple[str, int, str]] = []
    for width in (320, 760):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme="dark" if width == 320 else "light")
        for name, path in PAGES.items():
            page.goto(path)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults.append((name, width, "too wide"))
            if name in {"report", "evaluation", "unusable"}:
                found = Axe().run(page).response["violations"]
                faults += [
                    (name, width, f"{each['id']}: {each['nodes'][0]['html']}")
                    for each in found
                    if each["impact"] in {"serious", "critical"}
                ]
    assert faults == []


def test_a_table_is_cards_on_a_phone(page: Page) -> None:
    """Each cell is below the one before, names its column, and its row is as wide as the page."""
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/runs", "/models"):
        page.goto(path)
        row = page.locator("tbody tr").first
        box = row.bounding_box()
        assert box is not None
        assert box["width"] > 340
        cells = row.locator("td[data-label]:not(:empty)")
        shown = "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
        names = cells.evaluate_all(shown)
        assert len(names) > 3
        assert all(name.strip('"') for name in names[:3])
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)"
        )


def test_a_phone_has_its_places_at_the_bottom_and_the_rest_under_more(page: Page) -> None:
    """Nothing lies under the bar at the end of a page; `More` has the other pages and the log-out."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/returns")
    bar = page.get_by_role("navigation", name="Pages", exact=True).bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] == pytest.approx(844)
    expect(page.get_by_role("link", name="Returns").last).to_have_attribute("aria-current", "page")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    foot = page.locator("footer").bounding_box()
    assert foot is not None
    assert foot["y"] + foot["height"] <= bar["y"]
    expect(page.get_by_role("link", name="Models")).to_have_count(0)
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")


def test_the_first_load_of_each_page_is_light(here: Site, browser: Browser) -> None:
    """HTML, style sheets, scripts and symbols, as they are transferred to a browser that has none of them."""
    weights = {}
    for name, path in PAGES.items():
        context = browser.new_context(base_url=here.url, viewport={"width": 1440, "height": 900})
        context.request.get(f"/?token={here.token}")
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        addresses: dict[str, str] = {}
        sizes: dict[str, float] = {}
        session.on("Network.responseReceived", partial(_note_address, addresses))
        session.on("Network.loadingFinished", partial(_note_size, sizes))
        page.goto(path)
        page.wait_for_function(_HAS_SYMBOLS)
        weights[name] = sum(
            size
            for request, size in sizes.items()
            if "/thumbnail" not in addresses[request] and not addresses[request].endswith(".png")
        )
        context.close()
    for name, weight in sorted(weights.items(), key=lambda each: -each[1]):
        print(f"{name:12} {weight / 1000:6.1f} KB")  # noqa: T201 - shown by `pytest -s`
    assert min(weights.values()) > 5_000
    assert max(weights.values()) < _MOST_BYTES


def _note_address(addresses: dict[str, str], event: dict[str, Any]) -> None:
    addresses[event["requestId"]] = event["response"]["url"]


def _note_size(sizes: dict[str, float], event: dict[str, Any]) -> None:
    sizes[event["requestId"]] = event["encodedDataLength"]


def test_a_static_file_is_kept_by_the_browser(here: Site) -> None:
    """One with the hash of its content in its address for a year; others are asked for by their ETag."""
    text = here.page("/").text
    address = text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    found = here.ask("GET", address)
    assert found.headers["Content-Encoding"] == "gzip"
    assert "immutable" in found.headers["Cache-Control"]
    bare = here.ask("GET", address.partition("?")[0], headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in bare.headers
    assert bare.content == found.content
    assert bare.headers["Cache-Control"] == "no-cache"
    again = here.ask("GET", address, headers={"If-None-Match": bare.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert here.ask("GET", "/static/no-such-file.css").status_code == 404
    assert here.ask("GET", "/static/..%2Fapp.py").status_code == 404


def test_reports_are_printed_with_their_bars(here: Site, page: Page, tmp_path: Path) -> None:
    """On paper there are bars in their colour, and neither navigation nor buttons; a PDF can be made."""
    page.emulate_media(media="print", color_scheme="dark")
    for path in ("/runs/1/report", "/models/fashion-mnist/2/evaluation"):
        page.goto(path)
        expect(page.locator("main")).to_be_visible()
        expect(page.locator("header.top")).to_be_hidden()
        expect(page.get_by_role("button")).to_have_count(0)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        target = tmp_path / "page.pdf"
        page.pdf(path=target, format="A4")
        assert target.read_bytes().startswith(b"%PDF")
        assert target.stat().st_size > 10_000
    page.goto("/runs/1/report")
    _has_bars(page)
    report = here.home.settings.report_dir / "run-1" / "report.html"
    page.goto(report.as_uri())
    _has_bars(page)


def _has_bars(page: Page) -> None:
    bar = page.locator(".plot .bar").first
    style = bar.evaluate("bar => [getComputedStyle(bar).fill, getComputedStyle(bar).printColorAdjust]")
    assert style == ["rgb(52, 81, 198)", "exact"]
    box = bar.bounding_box()
    assert box is not None
    assert box["width"] > 50


def test_the_report_of_a_run_is_a_page_and_a_file(here: Site, page: Page) -> None:
    """The page has links to each photo and no path of the server; the file has some, for operators."""
    page.goto("/runs/1")
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Report of run 1")
    assert str(here.home.settings.home) not in page.content()
    expect(page.locator(".grid li")).to_have_count(24)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as a file").click()
    assert download.value.suggested_filename == "run-1.html"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "--accent-tint" in text
    assert "/static/" not in text
    page.locator(".sheet a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("a-long-name")
    viewer = here.token_for(Role.REVIEWER)
    assert here.page("/runs/1/report").status_code == 200
    refused = here.ask("GET", "/runs/1/report/file", token=viewer)
    assert refused.status_code == 403
