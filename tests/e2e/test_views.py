"""Lists in a browser: saved as views, labelled as a whole, sent as files, and used by keys."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.web.pages.table import navigation
from returns_pipeline.web.security.access import hash_password
from tests.web import Site, closed_run, site

expect.set_options(timeout=30_000)
PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test
_COUNT = 130


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation with a closed run of more photos than two pages show."""
    with site(tmp_path_factory.mktemp("site")) as running:
        closed_run(running, _COUNT)
        for role in Role:
            access.add_user(running.home.database, role, hash_password(PASSWORD), role)
        yield running


@pytest.fixture
def page(here: Site, browser: Browser) -> Iterator[Page]:
    """Give a window of a reviewer; an error of a script fails the test."""
    context = browser.new_context(base_url=here.url, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    log_in(page, "reviewer")
    yield page
    context.close()
    assert errors == []


def log_in(page: Page, name: str) -> None:
    """Fill in the form."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tonight")


def press(page: Page, key: str) -> None:
    """Press a key as a person does: one within 200 ms of another is taken for a double press."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(210)
    page.keyboard.press(key)


def test_a_view_is_saved_shared_and_found_by_another_person(page: Page) -> None:
    """A shared view is on the first page of every person, with its filters; a relative day stays relative."""
    page.goto("/search?q=today&state=classified")
    press(page, "w")
    page.keyboard.type("Usable today")
    page.get_by_label("Everyone sees it").check()
    page.keyboard.press("Enter")
    expect(page.locator("summary", has_text="Views: Usable today")).to_be_visible()
    press(page, "w")
    page.get_by_label("Name of the view").fill("Usable today")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Replace the view Usable today?")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name="Log out").click()
    log_in(page, "viewer")
    page.get_by_role("navigation", name="Saved views").get_by_role("link", name="Usable today").click()
    expect(page).to_have_url(re.compile(r"/search\?q=today&state=classified$"))
    expect(page.get_by_label("State")).to_have_value("classified")
    page.goto("/views")
    expect(page.get_by_role("link", name="Usable today")).to_be_visible()
    expect(page.get_by_role("button", name="Rename")).to_have_count(0)


def test_every_page_lists_its_keys(page: Page) -> None:
    """`?` opens a list of the keys of the page with their words; Escape closes it; no key has two uses."""
    paths = [each.path for each in navigation(Role.REVIEWER)]
    for path in [*paths, "/search?q=image", "/runs/1", "/images/1", "/review/grid?of=all&run=1&label=dark"]:
        page.goto(path)
        keys = page.evaluate("[...document.querySelectorAll('[data-key]')].map((each) => each.dataset.key)")
        assert len(keys) == len(set(keys)), path
        # As German keyboards send it: `?` is Shift + ß.
        press(page, "Shift+?")
        shown = page.get_by_role("dialog", name="Keys of this page")
        expect(shown).to_be_visible()
        rows = [row.split("\t") for row in shown.locator("tbody tr").all_inner_texts()]
        assert all(key and words for key, words in rows), rows
        expected = {"/", "?", "t", "l"} | ({"x", "c"} if "q=image" in path or "grid" in path else set())
        assert {key.strip() for key, _ in rows} >= expected, path
        page.keyboard.press("Escape")
        expect(shown).to_be_hidden()
    press(page, "Shift+?")
    faults = Axe().run(page).response["violations"]
    assert [each["id"] for each in faults if each["impact"] in {"serious", "critical"}] == []
    page.get_by_role("button", name="Close").click()
    press(page, "l")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_many_photos_of_a_search_are_labelled_and_taken_back(page: Page) -> None:
    """A range is marked by keys; all that match are labelled after a question; one undo each."""
    page.goto("/search?q=run+1")
    total = page.get_by_role("status").first
    expect(total).to_contain_text(f"{_COUNT} photos")
    page.locator(".pick input").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("[data-marked]")).to_have_text("Marked: 3")
    page.locator(".pick input").nth(5).click(modifiers=["Shift"])
    expect(page.locator("[data-marked]")).to_have_text("Marked: 6")
    page.get_by_label("The marked photos are").select_option("none of these")
    page.get_by_role("button", name="Save for the marked").click()
    expect(page.locator(".toast")).to_contain_text("6 corrected.")
    press(page, "u")
    expect(page.locator(".toast")).to_contain_text("Taken back: 6 photos.")
    page.get_by_label("The marked photos are").select_option("dark")
    page.get_by_role("button", name="Save for all that match").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Save {_COUNT} photos as “dark”?")
    page.get_by_role("button", name=f"Yes, all {_COUNT}").click()
    expect(page.locator(".toast")).to_contain_text("accepted")
    expect(page.get_by_text("reviewed", exact=True)).to_have_count(60)
    press(page, "u")
    expect(page.locator(".toast")).to_contain_text(f"Taken back: {_COUNT} photos.")
    expect(page.get_by_text("reviewed", exact=True)).to_have_count(0)


def test_a_download_has_exactly_the_filtered_photos(page: Page) -> None:
    """The file of a filtered run and of a search has the rows that the list counts."""
    for address in ("/runs/1?label=dark", "/search?q=run+1&label=dark"):
        page.goto(address)
        expect(page.get_by_role("status").first).not_to_contain_text("ounting")
        shown = re.match(r"([\d,]+) photo", page.get_by_role("status").first.inner_text())
        assert shown, address
        page.get_by_text("Download these photos as a list").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON lines").click()
        lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
        assert len(lines) == int(shown[1].replace(",", ""))
        assert {json.loads(line)["final_label"] for line in lines} == {"dark"}
        assert download.value.suggested_filename.startswith("returns-20")
        assert "dark" in download.value.suggested_filename


def test_arrows_lead_through_lists_and_photos(page: Page) -> None:
    """← and → turn the pages of a run and of a sorted search, and lead from photo to photo of the search."""
    for address in ("/runs/1?order=sure", "/search?q=run+1&order=name"):
        page.goto(address)
        first = page.locator("figcaption").first.inner_text()
        press(page, "ArrowRight")
        expect(page.locator("figcaption").first).not_to_have_text(first)
        press(page, "ArrowRight")
        expect(page.locator(".grid li")).to_have_count(_COUNT - 120)
        press(page, "ArrowLeft")
        expect(page.locator(".grid li")).to_have_count(60)
        press(page, "ArrowLeft")
        expect(page.locator("figcaption").first).to_have_text(first)
    names = page.locator("figcaption .soft").all_inner_texts()
    page.locator(".grid a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(names[0])
    press(page, "ArrowRight")
    expect(page.get_by_role("heading", level=1)).to_have_text(names[1])
    page.get_by_role("link", name="Back to the search").click()
    expect(page).to_have_url(re.compile("order=name"))
