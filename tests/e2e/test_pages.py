"""What people do in a morning, in a real browser with real workers; every page is accessible."""

import itertools
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.records.access import Role
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import access, review_queue
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.runs import newest_night
from returns_pipeline.web.pages.table import navigation
from returns_pipeline.web.security.access import hash_password
from tests.faults.night import until
from tests.support import write_images, write_stub_bundle
from tests.web import Site, closed_run, site

expect.set_options(timeout=30_000)
PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test
#: Milliseconds after which a page takes keys that press buttons, and some more.
_PAUSE = 300
#: The folder for pictures of the pages, for people to look at.
SCREENSHOTS = os.environ.get("SCREENSHOTS")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation with two closed runs; every photo in them waits for a review."""
    with site(tmp_path_factory.mktemp("site"), review_threshold=0.9, audit_share=1.0) as running:
        closed_run(running, 40)
        (running.home.settings.incoming_dir / "<b>bold.png").write_bytes(b"no picture")
        closed_run(running, 30, start=100)
        for role in Role:
            access.add_user(running.home.database, role, hash_password(PASSWORD), role)
        yield running


@pytest.fixture
def page(here: Site, browser: Browser) -> Iterator[Page]:
    """Give a new window; an error of a script or a refused resource fails the test."""
    context = browser.new_context(base_url=here.url, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if _is_error(line) else None)
    yield page
    context.close()
    assert errors == []


def _is_error(line: ConsoleMessage) -> bool:
    # Chromium logs each refused log-in as an error too.
    return line.type == "error" and not re.search(r"status of (401|429)", line.text)


def log_in(page: Page, name: str = "operator") -> None:
    """Fill in the form."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tonight")


def accepts_keys(page: Page) -> None:
    """Wait until a key counts: one within 200 ms of another is taken for a double press."""
    page.wait_for_load_state("domcontentloaded")
    page.wait_for_timeout(210)


def test_after_the_log_in_the_wanted_page_comes(page: Page) -> None:
    """The page that was asked for comes after the log-in; numbers add up; names are escaped."""
    page.goto("/runs/2?state=quarantined")
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_label("Name").fill("viewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/runs/2\?state=quarantined"))
    expect(page.locator(".grid li")).to_have_count(1)
    expect(page.locator(".grid")).to_contain_text("<b>bold.png")
    expect(page.get_by_role("button", name=re.compile("again"))).to_have_count(0)
    page.get_by_role("link", name="Tonight").click()
    expect(page.get_by_text("31", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.goto("/models")
    expect(page).to_have_url(re.compile("/login"))


def test_guessing_passwords_is_limited(page: Page) -> None:
    """After several failures each further log-in is refused, with the reason."""
    page.goto("/login")
    for _ in range(7):
        page.get_by_label("Name").fill("nobody")
        page.get_by_label("Password").fill("guess")
        with page.expect_response("**/login") as answer:
            page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
    assert answer.value.status == 429
    expect(page.get_by_role("alert")).to_contain_text("Wait a minute")


def test_an_open_run_is_followed_to_its_end(here: Site, page: Page) -> None:
    """The page of an open run becomes the page of the finished run, without a key pressed."""
    log_in(page)
    write_images(here.home.settings.incoming_dir, 400, start=1000)
    run_id = None
    job = here.ask("POST", "/api/v1/scans").json()
    while run_id is None:
        run_id = here.ask("GET", f"/api/v1/jobs/{job['id']}").json()["run"]
    page.goto(f"/runs/{run_id}")
    expect(page.get_by_text(", finished")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 401


def press(page: Page, key: str) -> None:
    """Press a key as a person does."""
    accepts_keys(page)
    page.keyboard.press(key)


def test_ten_reviews_by_keyboard_and_an_undo(here: Site, page: Page) -> None:
    """Enter accepts, a number chooses, s skips, u undoes; no review is lost or counted twice."""
    log_in(page, "reviewer")
    page.goto("/review")
    before = review_queue.counts(here.home.database)
    for number in range(10):
        name = page.locator("figcaption").inner_text()
        press(page, "2" if number == 3 else "Enter")
        expect(page.locator("figcaption")).not_to_have_text(name)
    done = review_queue.counts(here.home.database)
    assert done.waiting == before.waiting - 10
    assert done.doubts + done.audits == before.doubts + before.audits + 10
    right = done.doubts_right + done.audits_right - before.doubts_right - before.audits_right
    assert right == 9
    last = page.locator("figcaption").inner_text()
    press(page, "u")
    expect(page.locator("figcaption")).not_to_have_text(last)
    assert review_queue.counts(here.home.database).waiting == before.waiting - 9
    again = page.locator("figcaption").inner_text()
    press(page, "s")
    expect(page.locator("figcaption")).not_to_have_text(again)
    press(page, "c")
    expect(page.get_by_label("Another category")).to_be_focused()
    page.get_by_label("Another category").select_option("white")
    press(page, "Enter")
    expect(page.locator("figcaption")).not_to_have_text(last)
    assert review_queue.counts(here.home.database).waiting == before.waiting - 10


def test_two_enters_within_200_ms_decide_one_photo(here: Site, page: Page) -> None:
    """The second key press was meant for the photo that the reviewer saw."""
    log_in(page, "reviewer")
    page.goto("/review")
    waiting = review_queue.waiting(here.home.database)
    name = page.locator("figcaption").inner_text()
    # The clock stands still, so that a busy machine does not put 200 ms between the two.
    page.clock.set_fixed_time(utc_now())
    page.keyboard.press("Enter")
    expect(page.locator("figcaption")).not_to_have_text(name)
    second = page.locator("figcaption").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    expect(page.locator("figcaption")).to_have_text(second)
    assert review_queue.waiting(here.home.database) == waiting - 1


def test_a_page_of_photos_is_accepted_by_keyboard_and_taken_back(here: Site, page: Page) -> None:
    """Marked photos are put aside, the others accepted; a double Enter accepts one page; u takes all back.

    An Enter before the photos are shown does nothing, and takes nothing from the next key, however soon that
    comes.
    """
    log_in(page, "reviewer")
    before = review_queue.counts(here.home.database)
    # The clock stands still: every key comes within 200 ms of the one before, on a busy machine too.
    began = utc_now()
    page.clock.set_fixed_time(began)
    held: list[Route] = []
    page.route("**/thumbnail", lambda route: held.append(route))
    page.goto("/review/grid?of=all&run=2&label=dark", wait_until="domcontentloaded")
    photos = page.locator(".marks li")
    shown = photos.count()
    assert 4 < shown <= 10
    accept = page.get_by_role("button", name="Accept")
    page.keyboard.press("Enter")
    expect(accept).to_be_disabled()
    for each in held:
        each.continue_()
    page.unroute("**/thumbnail")
    expect(accept).to_be_enabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(accept).to_contain_text(f"Accept {shown - 1}, put 1 aside")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    toast = page.get_by_role("status")
    expect(toast).to_contain_text(f"{shown - 1} accepted, 1 put aside")
    expect(photos).to_have_count(0)
    page.clock.set_fixed_time(began + timedelta(seconds=1))
    page.keyboard.press("u")
    expect(toast).to_contain_text(f"Taken back: {shown} photos.")
    expect(photos).to_have_count(shown)
    assert review_queue.counts(here.home.database) == before


def test_marked_photos_get_one_category(page: Page) -> None:
    """On the page of a run several photos are corrected together; the filter stays, and an undo works."""
    log_in(page, "reviewer")
    page.goto("/runs/2?label=white")
    accepts_keys(page)
    photos = page.locator(".grid li")
    shown = photos.count()
    for number in range(2):
        page.get_by_role("checkbox").nth(number).check()
    page.keyboard.press("c")
    page.get_by_label("The marked photos are").select_option("none of these")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("2 corrected.")
    expect(page).to_have_url(re.compile("label=white"))
    expect(photos).to_have_count(shown - 2)
    page.get_by_role("button", name="Undo").click()
    expect(photos).to_have_count(shown)
    log_out_and_in_as_viewer(page)
    page.goto("/runs/2")
    expect(page.get_by_role("checkbox")).to_have_count(0)


def log_out_and_in_as_viewer(page: Page) -> None:
    """Continue as a person who may only look."""
    page.get_by_role("button", name="Log out").click()
    log_in(page, "viewer")


def test_a_photo_and_its_answers_fit_on_a_phone(here: Site, browser: Browser) -> None:
    """Nothing is scrolled, each target is large enough for a finger, and a swipe to the right accepts."""
    context = browser.new_context(
        base_url=here.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    log_in(page, "reviewer")
    page.goto("/review")
    answers = page.locator(".now button:not(.hidden), .now select")
    boxes = [box for each in answers.all() if (box := each.bounding_box()) is not None]
    photo = page.locator("img.photo").bounding_box()
    assert photo is not None
    assert photo["height"] > 300
    assert len(boxes) == 4 + 2 + 3 + 2
    assert min(box["height"] for box in boxes) >= 44
    # A model with five best categories needs one more row.
    assert max(box["y"] + box["height"] for box in boxes) < 844 - 50
    name = page.locator("figcaption").inner_text()
    touch = context.new_cdp_session(page)
    for kind, moved in (("touchStart", 0), ("touchMove", 60), ("touchMove", 120), ("touchEnd", None)):
        points = [] if moved is None else [{"x": 150 + moved, "y": photo["y"] + 100}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator("figcaption")).not_to_have_text(name)
    context.close()


def test_a_photo_is_tried(here: Site, page: Page) -> None:
    """A chosen photo is sent without a button; its prediction is explained."""
    log_in(page, "reviewer")
    photo = write_images(here.home.settings.home / "mine", 1, 3)[0]
    page.goto("/try")
    page.locator("input[type=file]").set_input_files(photo)
    expect(page.get_by_role("status")).to_contain_text("stub/1")
    expect(page.locator("img.photo").first).to_be_visible()
    expect(page.get_by_alt_text(re.compile("what the model looked at"))).to_be_visible()
    expect(page.locator(".grid li")).to_have_count(3)
    page.locator(".grid a").first.click()
    page.get_by_role("link", name="Why does").click()
    expect(page.get_by_alt_text(re.compile("what the model looked at"))).to_be_visible()


def test_a_photo_is_found_by_a_part_of_its_name(page: Page) -> None:
    """The key / goes to the search box; a filter applies when it is chosen; pages lead on and back."""
    log_in(page, "viewer")
    page.goto("/runs/1")
    page.keyboard.press("/")
    expect(page.get_by_label("Search photos")).to_be_focused()
    page.keyboard.type("MAGE_129_lab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 photo · Searched for: name contains")).to_be_visible()
    expect(page.locator(".grid li")).to_have_count(1)
    page.locator(".grid a").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("image_129_label")
    page.keyboard.press("/")
    page.keyboard.type("<b>bold")
    page.keyboard.press("Enter")
    expect(page.locator(".grid")).to_contain_text("<b>bold.png")
    page.goto("/search?q=run+2")
    page.get_by_label("State").select_option("unusable")
    expect(page).to_have_url(re.compile("q=run\\+2&state=quarantined"))
    expect(page.locator(".grid li")).to_have_count(1)
    page.goto("/search?q=image&order=oldest")
    first = page.locator("figcaption").first.inner_text()
    page.wait_for_timeout(_PAUSE)
    page.keyboard.press("ArrowRight")
    expect(page.locator("figcaption").first).not_to_have_text(first)
    page.wait_for_timeout(_PAUSE)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("figcaption").first).to_have_text(first)


def test_a_model_is_promoted_and_rolled_back(here: Site, page: Page) -> None:
    """Each change asks first, and is listed with its person and reason."""
    write_stub_bundle(here.home.settings.models_dir, version=2)
    log_in(page)
    page.goto("/models")
    page.get_by_role("link", name="Promote …").click()
    page.get_by_label("Why").fill("it is <newer>")
    page.get_by_role("button", name="Promote").click()
    rows = page.locator("main tbody").last
    expect(rows).to_contain_text("it is <newer>")
    expect(rows).to_contain_text("operator")
    page.get_by_role("link", name="Roll back …").click()
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator("tbody").first).to_contain_text("used before")


def test_a_viewer_is_not_led_to_pages_that_refuse(page: Page) -> None:
    """A viewer's navigation has no page for reviewers, and such a page refuses in a sentence."""
    log_in(page, "viewer")
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links).to_have_text(["Tonight", "Returns", "Products", "Runs", "Models", "Account"])
    refused = page.request.get("/review", headers={"Accept": "text/html"})
    assert refused.status == 403
    assert "viewer is a viewer; this needs a reviewer." in refused.text()


def test_the_first_page_shows_the_last_night_and_not_a_later_scan(here: Site, page: Page) -> None:
    """Before the first night the newest scan is shown as a scan; from then on only nights are nights."""
    log_in(page)
    expect(page.get_by_text("No night has passed yet.")).to_be_visible()
    expect(page.get_by_role("heading", name="Newest photos")).to_be_visible()
    write_images(here.home.settings.incoming_dir, 12, start=2000)
    open_queue(here.home.settings).send(Task.SCAN, None, True)
    until(lambda: (found := newest_night(here.home.database)) is not None and found.csv is not None)
    night = newest_night(here.home.database)
    assert night is not None
    assert closed_run(here, 5, start=2100) > night.id
    page.goto("/")
    expect(page.get_by_role("heading", name="Last night")).to_have_text(f"Last night: run {night.id}")
    expect(page.locator(".cards dd").first).to_have_text("12")
    expect(page.get_by_text("No night has passed yet.")).to_have_count(0)


def test_the_interface_is_documented(page: Page) -> None:
    """The page of the OpenAPI document works without another server."""
    page.goto("/docs")
    expect(page.get_by_text("/process_batch")).to_be_visible()


def test_every_page_is_accessible(page: Page) -> None:
    """axe-core finds nothing serious on any page, in both schemes and widths, and none is too wide."""
    log_in(page, "admin")
    pages = {each.module: each.path for each in navigation(Role.ADMIN)}
    pages |= {
        "account": "/account",
        "user": "/users/person?name=viewer",
        "search": "/search?q=image",
        "search-help": "/search",
        "views": "/views",
        "run": "/runs/2",
        "image": "/images/40?why=1",
        "grid": "/review/grid?of=all&run=1&label=dark",
        "scope": "/review?run=1",
        "confirm": "/models/stub/rollback",
        "report": "/runs/2/report",
        "delete": "/images/40/delete",
        "try": "/try",
    }
    found = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for width, scheme in itertools.product((1200, 390), schemes):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        for name, path in pages.items():
            page.goto(path)
            page.wait_for_load_state("load")
            for fault in Axe().run(page).response["violations"]:
                if fault["impact"] in {"serious", "critical"}:
                    found.append((name, width, scheme, fault["id"], fault["nodes"][0]["html"]))
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
            if SCREENSHOTS:
                page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)
    assert found == []
