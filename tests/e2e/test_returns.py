"""Returns in a browser: found, decided, uploaded for; photos that came in before; who is told."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.usecases.runs import scan
from returns_pipeline.web.security.access import hash_password
from tests.return_rows import add_match, add_returns
from tests.support import write_images
from tests.web import Site, site

expect.set_options(timeout=30_000)
PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test
#: The folder for pictures of the pages, for people to look at.
SCREENSHOTS = os.environ.get("SCREENSHOTS")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, with returns of every verdict and photos of some."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        write_images(running.home.settings.incoming_dir, 20)
        context, queue = running.home.in_process()
        scan(context, "night")
        queue.deliver(context)
        with running.home.database.read() as connection:
            photos = list(connection.execute(sa.text("SELECT id FROM images ORDER BY id")).scalars())
        add_returns(running.home.database, 64, photos=photos)
        # Photos of R-0003 and R-0011 that came in before, with R-0001 and R-0002.
        add_match(running.home.database, photos[2], photos[0])
        add_match(running.home.database, photos[8], photos[1])
        for name in ("anna", "ben"):
            access.add_user(running.home.database, name, hash_password(PASSWORD), Role.REVIEWER)
        yield running


def window(here: Site, browser: Browser, name: str, **options: object) -> Page:
    """Return a new window of a person."""
    page = browser.new_context(base_url=here.url, **options).new_page()  # type: ignore[arg-type]
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tonight")
    return page


def press(page: Page, key: str) -> None:
    """Press a key as a person does: one within 200 ms of another is taken for a double press."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(210)
    page.keyboard.press(key)


def test_a_clerk_finds_a_return_and_decides_it_and_the_second_one_is_told(
    here: Site, browser: Browser
) -> None:
    """Found by a part of its number; the mismatch is said; a decision that was not seen is not replaced."""
    anna, ben = window(here, browser, "anna"), window(here, browser, "ben")
    press(anna, "b")
    anna.get_by_label("Number, order or customer").fill("0010")
    anna.keyboard.press("Enter")
    expect(anna.get_by_text("1 return", exact=True)).to_be_visible()
    anna.get_by_role("link", name="R-0010").click()
    expect(anna.get_by_role("heading", level=1)).to_have_text("Return R-0010")
    expect(anna.get_by_text("The photo shows: white.")).to_be_visible()
    ben.goto("/returns/R-0010")
    press(anna, "n")
    anna.keyboard.type("Wrong item")
    anna.keyboard.press("Escape")
    press(anna, "r")
    expect(anna.get_by_text("1 return decided")).to_be_visible()
    press(ben, "a")
    expect(ben.get_by_role("alert")).to_contain_text("anna has decided return R-0010 meanwhile")
    expect(ben.get_by_text("Wrong item")).to_be_visible()
    press(ben, "a")
    expect(ben.get_by_role("status")).to_contain_text("is stored")
    assert here.ask("GET", "/api/v1/returns?q=R-0010").json()["returns"][0]["decided_by"] == "ben"
    ben.get_by_role("button", name="Take the decision back").click()
    expect(ben.get_by_role("listitem").filter(has_text="The decision was taken back.")).to_have_count(1)


def test_returns_are_decided_one_by_one_and_together(here: Site, browser: Browser) -> None:
    """The worst come first; a key decides one and leads to the next; marked ones get one decision."""
    page = window(here, browser, "anna")
    page.goto("/returns")
    page.get_by_role("link", name="Returns to check, worst first").click()
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    first = page.get_by_role("heading", level=1).inner_text()
    press(page, "a")
    expect(page.get_by_role("heading", level=1)).not_to_have_text(first)
    expect(page.get_by_role("status")).to_contain_text(first.removeprefix("Return "))
    page.get_by_role("navigation").get_by_role("link", name=re.compile("Next")).click()
    page.goto("/returns?verdict=no+photo")
    boxes = page.get_by_role("checkbox")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_label("Note").fill("Asked by mail")
    page.get_by_role("button", name="Ask for another photo").click()
    expect(page.get_by_role("status").first).to_contain_text("2 returns decided")
    expect(page.get_by_text("another photo is needed").locator("visible=true")).to_have_count(2)


def test_a_photo_that_came_in_before_is_decided_by_keys_and_the_second_one_is_told(
    here: Site, browser: Browser
) -> None:
    """Both photos and returns are shown; a decision is stored, refused to who did not see it, taken back."""
    anna, ben = window(here, browser, "anna"), window(here, browser, "ben")
    anna.goto("/returns/R-0003")
    pair = anna.get_by_role("region", name=re.compile("^Photo .* and photo"))
    expect(pair.get_by_role("img")).to_have_count(2)
    expect(pair.get_by_role("link", name="Return R-0001")).to_be_visible()
    expect(pair.get_by_text("The later photo is mirrored.")).to_be_visible()
    ben.goto("/returns/R-0003")
    press(anna, "x")
    expect(pair.get_by_text("different photos", exact=True)).to_be_visible()
    expect(anna.get_by_role("listitem").filter(has_text="are different.")).to_have_count(1)
    press(ben, "s")
    expect(ben.get_by_role("alert")).to_contain_text("anna has decided meanwhile")
    press(ben, "s")
    expect(ben.get_by_text("the same photo", exact=True)).to_be_visible()
    press(ben, "w")
    expect(ben.get_by_text("Is it the same photo?")).to_be_visible()
    press(ben, "v")
    expect(ben.get_by_role("heading", level=1)).to_have_text("Review")
    press(ben, "j")
    expect(ben.get_by_role("heading", level=1)).to_have_text("Photos that came in before")
    expect(ben.get_by_role("region", name=re.compile("^Photo"))).to_have_count(2)
    press(ben, "x")
    expect(ben.get_by_role("status")).to_contain_text("is stored")
    expect(ben.get_by_role("region", name=re.compile("^Photo"))).to_have_count(1)


def test_photos_are_uploaded_for_one_return(here: Site, browser: Browser, tmp_path: Path) -> None:
    """The number that is typed before the photos are chosen is that of their return."""
    page = window(here, browser, "anna")
    (photo,) = write_images(tmp_path, 1, start=40)
    page.goto("/upload")
    page.get_by_label("Return number, if all these photos are of one return").fill("R-0007")
    page.locator("input[name=files]").set_input_files(photo)
    expect(page.locator("[data-counts]")).to_have_text("1 of 1 sent.")
    context, queue = here.home.in_process()
    scan(context, "uploaded")
    queue.deliver(context)
    page.goto("/returns/R-0007")
    expect(page.get_by_text("the number was sent with it")).to_be_visible()
    expect(page.get_by_text("No photo of this return has come in.")).to_have_count(0)


PAGES = {
    "matches": "/matches",
    "review": "/review",
    "image": "/images/9",
    "reused": "/returns/R-0011",
    "returns": "/returns",
    "one": "/returns/R-0002",
    "missing": "/returns/R-0007",
    "none": "/returns?q=nothing",
    "first": "/",
}


def test_pages_of_returns_are_accessible(here: Site, browser: Browser) -> None:
    """By axe-core's rules, light and dark."""
    for scheme in ("light", "dark"):
        page = window(here, browser, "anna", color_scheme=scheme)
        for name, path in PAGES.items():
            page.goto(path)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{name}: {found.generate_report()}"


@pytest.mark.skipif(not SCREENSHOTS, reason="for people to look at: SCREENSHOTS names a folder")
def test_screenshots(here: Site, browser: Browser) -> None:
    """Write every page for desk and phone, light and dark, and in German."""
    sizes = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
    for size, scheme, language in (
        ("desk", "light", "en"),
        ("desk", "dark", "de"),
        ("phone", "light", "de"),
        ("phone", "dark", "en"),
    ):
        page = window(here, browser, "anna", viewport=sizes[size], color_scheme=scheme)
        page.set_extra_http_headers({"Accept-Language": language})
        for name, path in PAGES.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            picture = Path(str(SCREENSHOTS)) / f"{name}-{size}-{scheme}-{language}.png"
            page.screenshot(path=picture, full_page=True)
