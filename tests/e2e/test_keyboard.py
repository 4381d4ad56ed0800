"""Everything that people do on the pages can be done without a mouse."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.web.security.access import hash_password
from tests.e2e.test_pages import PASSWORD, accepts_keys
from tests.support import write_images
from tests.web import Site, closed_run, site

#: Presses of Tab after which an element counts as out of reach.
_MOST_TABS = 150


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation with a closed run; its photos wait for a review."""
    with site(tmp_path_factory.mktemp("site"), review_threshold=0.9, audit_share=1.0) as running:
        closed_run(running, 30)
        access.add_user(running.home.database, "anna", hash_password(PASSWORD), Role.ADMIN)
        yield running


@pytest.fixture
def page(here: Site, browser: Browser) -> Iterator[Page]:
    """Give a window whose mouse cannot be used, with the log-in typed."""
    context = browser.new_context(base_url=here.url, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tonight")
    yield page
    context.close()


def reach(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus. Each stop has a visible mark."""
    page.wait_for_load_state("domcontentloaded")
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            style = "getComputedStyle(document.activeElement)"
            # A box that is drawn by its label marks the label.
            is_marked = (
                f"{style}.outlineStyle !== 'none' || {style}.opacity === '0' || {style}.clipPath !== 'none'"
            )
            assert page.evaluate(is_marked), f"{selector} shows no focus"
            return
    raise AssertionError(f"{selector} cannot be reached")


def press(page: Page, key: str) -> None:
    """Press a key that a page uses."""
    accepts_keys(page)
    page.keyboard.press(key)


def test_a_photo_is_found_corrected_and_undone_by_keys(page: Page) -> None:
    """Search, photo, correction, undo and the overlay of keys need no mouse."""
    press(page, "/")
    page.keyboard.type("image")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/search"))
    reach(page, ".grid a[href*='/images/']")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/images/"))
    press(page, "c")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".badge.reviewed").first).to_be_visible()
    press(page, "u")
    expect(page.locator(".badge.reviewed")).to_have_count(0)
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    before = page.url
    press(page, "ArrowRight")
    expect(page).not_to_have_url(before)


def test_photos_are_reviewed_by_keys(page: Page) -> None:
    """One by one and many together: accept, mark, undo."""
    press(page, "v")
    expect(page).to_have_url(re.compile("/review"))
    press(page, "Enter")
    # The next page must be there before the next key is pressed.
    page.wait_for_load_state("networkidle")
    press(page, "u")
    page.wait_for_load_state("networkidle")
    press(page, "g")
    expect(page).to_have_url(re.compile("/review/grid"))
    reach(page, ".chips a")
    page.keyboard.press("Enter")
    expect(page.locator(".marks input").first).to_be_attached()
    # The page takes Enter when each photo has been visible for a moment.
    page.wait_for_load_state("networkidle")
    press(page, " ")
    page.wait_for_timeout(600)
    press(page, "Enter")
    expect(page.locator(".toast")).to_be_visible()
    press(page, "u")
    expect(page.locator(".toast")).to_contain_text("Taken back")


def test_a_list_is_filtered_and_saved_by_keys(page: Page) -> None:
    """A run's photos are filtered, marked and labelled, and the list is saved as a view."""
    press(page, "l")
    expect(page).to_have_url(re.compile("/runs"))
    reach(page, "td a[href*='/runs/']")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/runs/1"))
    reach(page, "select[name=label]")
    page.keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile("label=."))
    press(page, "w")
    reach(page, "input[name=name]")
    page.keyboard.type("By keys")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("label=."))
    reach(page, ".pick input")
    page.keyboard.press(" ")
    press(page, "c")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_be_visible()
    press(page, "u")
    expect(page.locator(".toast")).to_contain_text("Taken back")
    press(page, "t")
    expect(page.get_by_role("link", name="By keys")).to_be_visible()


def test_photos_are_sent_and_tried_by_keys(here: Site, page: Page) -> None:
    """Upload, scan and "try one" need no mouse: the button of a file opens the browser's own dialog."""
    (photo,) = write_images(here.home.settings.home / "by-keys", 1, start=900)
    press(page, "p")
    expect(page).to_have_url(re.compile("/upload"))
    reach(page, "input[name=files]")
    with page.expect_file_chooser() as chooser:
        press(page, "Enter")
    chooser.value.set_files(photo)
    expect(page.locator("[data-counts]")).to_contain_text("1")
    press(page, "y")
    expect(page).to_have_url(re.compile("/try"))
    reach(page, "input[type=file]")
    with page.expect_file_chooser() as chooser:
        press(page, "Enter")
    chooser.value.set_files(photo)
    expect(page.locator(".verdict, .notice").first).to_be_visible()


def test_people_are_managed_by_keys(page: Page) -> None:
    """An admin adds a user, reads the audit log, changes the own language and logs out."""
    press(page, "e")
    expect(page).to_have_url(re.compile("/users"))
    reach(page, "main input[name=name]")
    page.keyboard.type("bert")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("bert")
    press(page, "d")
    expect(page).to_have_url(re.compile("/audit"))
    expect(page.locator("main")).to_contain_text("bert")
    press(page, "o")
    expect(page).to_have_url(re.compile("/account"))
    reach(page, "select[name=language]")
    page.keyboard.type("Deutsch")
    page.keyboard.press("Enter")
    reach(page, "select[name=language] ~ button, form[action$='/account/language'] button")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.keyboard.press("Control+Home")
    page.reload()
    reach(page, "form[action$='/logout'] button")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/login"))
