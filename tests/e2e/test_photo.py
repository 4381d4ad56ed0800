"""What a person does with one photo: looks at every pixel, walks through its list, takes it along."""

import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

from returns_pipeline.records.access import Role
from tests.faults.night import until
from tests.support import write_images
from tests.web import Site, closed_run, site

expect.set_options(timeout=30_000)
#: The browser's camera: a moving pattern.
_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation with a closed run of five photos, a damaged one among them."""
    with site(tmp_path_factory.mktemp("site")) as running:
        stream = io.BytesIO()
        Image.effect_noise((1500, 2000), 80).convert("RGB").save(stream, "JPEG", quality=90)
        folder = running.home.settings.incoming_dir / "monday"
        folder.mkdir()
        (folder / "return-4711.jpg").write_bytes(stream.getvalue())
        (folder / "cut.jpg").write_bytes(stream.getvalue()[:300_000])
        write_images(running.home.settings.incoming_dir, 3)
        closed_run(running, 0)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Debian's Chromium with a camera; skipped where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *_CAMERA])
        yield started
        started.close()


@pytest.fixture
def page(here: Site, browser: Browser) -> Iterator[Page]:
    """Give a window of an operator; an error of a script or a refused resource fails the test."""
    context = browser.new_context(base_url=here.url, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if _is_error(line) else None)
    page.goto(f"/?token={here.token}")
    yield page
    context.close()
    assert errors == []


def _is_error(line: ConsoleMessage) -> bool:
    # Chromium logs a connection that a test breaks off, and the page of a deleted photo, which is 410.
    expected = ("ERR_CONNECTION_RESET", "410 (Gone)")
    return line.type == "error" and not any(each in line.text for each in expected)


def _id_of(here: Site, name: str) -> int:
    found = here.ask("GET", "/api/v1/images").json()["images"]
    return next(int(image["id"]) for image in found if image["name"] == name)


def test_a_photo_is_seen_in_every_pixel_and_saved(here: Site, page: Page) -> None:
    """A click or `z` shows the original's own pixels, a second one the whole; it is saved under its name."""
    page.goto(f"/images/{_id_of(here, 'return-4711.jpg')}")
    photo = page.locator(".zoom img")
    before = photo.evaluate("photo => [photo.naturalWidth, photo.clientWidth]")
    assert before[0] == 600
    page.keyboard.press("z")
    expect(page.locator(".zoom.full")).to_be_visible()
    expect(photo).to_have_js_property("naturalWidth", 1500)
    assert photo.evaluate("photo => photo.clientWidth") == 1500
    photo.click()
    expect(page.locator(".zoom.full")).to_have_count(0)
    assert photo.evaluate("photo => photo.clientWidth") <= before[1] + 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the original").click()
    assert download.value.suggested_filename == "return-4711.jpg"
    archived = next(here.home.settings.archive_dir.rglob("*return-4711.jpg"))
    assert Path(download.value.path()).read_bytes() == archived.read_bytes()


def test_arrows_walk_through_the_list_that_a_photo_was_opened_from(page: Page) -> None:
    """`→` and `←` follow the list's filter and order, and the way back leads to that list."""
    page.goto("/runs/1?state=classified&order=doubt")
    names = page.locator(".grid figcaption .soft").all_inner_texts()
    page.locator(".grid a").first.click()
    for name in names[1:]:
        page.wait_for_timeout(300)
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    page.wait_for_timeout(300)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", level=1)).to_have_text(names[-2])
    page.get_by_role("link", name="run 1").click()
    expect(page.locator(".grid li")).to_have_count(len(names))


def test_a_damaged_photo_has_a_page_with_reason_next_step_and_label(here: Site, page: Page) -> None:
    """A person sees what can be read of it, labels it, stays in the list, and can try it again."""
    page.goto(f"/images/{_id_of(here, 'cut.jpg')}?state=quarantined")
    expect(page.get_by_text("The photo is damaged or its end is missing.")).to_be_visible()
    expect(page.get_by_text("incoming / monday")).to_be_visible()
    assert page.locator(".zoom img").evaluate("photo => photo.naturalWidth") == 600
    page.get_by_role("button", name="photograph again").click()
    expect(page).to_have_url(re.compile(r"\?state=quarantined$"))
    expect(page.locator(".steps li").last).to_contain_text("photograph again")
    for width in (390, 1200):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(page.url)
        found = [fault["id"] for fault in Axe().run(page).response["violations"]]
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tonight")


def _intake(here: Site) -> dict[str, bytes]:
    """Return the uploaded files that a scan sees, by their place below the day's folder."""
    root = here.home.settings.incoming_dir / "uploads"
    return {
        "/".join(path.relative_to(root).parts[1:]): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_files_and_folders_are_uploaded_and_known_ones_are_not(
    here: Site, page: Page, tmp_path: Path
) -> None:
    """A folder keeps its subfolders, a lost connection costs no byte, and what came in before is named."""
    folder = tmp_path / "returns"
    (folder / "inner").mkdir(parents=True)
    known = next(here.home.settings.archive_dir.rglob("*image_0_*"))
    (folder / "known.png").write_bytes(known.read_bytes())
    (folder / "empty.png").write_bytes(b"")
    large = os.urandom(9 * 2**20)
    (folder / "inner" / "large.jpg").write_bytes(large)
    page.goto("/upload")
    lost: list[str] = []

    def lose(route: Route) -> None:
        # The second part arrives, and its response is lost.
        if route.request.method == "PUT" and len(lost) < 2:
            lost.append(route.request.url)
            if len(lost) == 2:
                route.fetch()
                route.abort("connectionreset")
                return
        route.fallback()

    page.route("**/api/v1/uploads/*", lose)
    page.locator("[data-folder]").set_input_files(folder)
    counts = page.locator("[data-counts]")
    expect(counts).to_have_text("1 of 3 sent. Came in before: 1. Not accepted: 1.")
    expect(page.locator(".files")).to_contain_text("returns/empty.png: The file is empty.")
    expect(page.locator(".files a")).to_contain_text("photo")
    assert len(lost) == 2
    assert _intake(here) == {"returns/inner/large.jpg": large}
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found] == []


def test_without_https_the_page_computes_the_same_digest(page: Page) -> None:
    """Where browsers offer no digest, the page's own is the same, however long the last block is."""
    page.goto("/upload")
    found = page.evaluate(
        """async () => {
            const mine = [];
            for (let length = 0; length < 200; length += 1) {
                const bytes = crypto.getRandomValues(new Uint8Array(length));
                const right = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
                const plain = plainDigest(bytes);
                if (right.join() !== plain.join()) mine.push(length);
            }
            return mine;
        }"""
    )
    assert found == []


def test_three_items_are_photographed_and_classified(here: Site, page: Page) -> None:
    """The shutter takes photo after photo; "now" classifies them without waiting for the night."""
    before = len(_intake(here))
    page.goto("/upload")
    page.get_by_role("button", name="Open the camera").click()
    expect(page.get_by_role("button", name="Take the photo")).to_be_focused()
    page.wait_for_timeout(300)
    for number in range(1, 4):
        page.get_by_role("button", name="Take the photo").click()
        expect(page.locator("[data-counts]")).to_contain_text(f"of {number} sent")
    expect(page.locator("[data-counts]")).to_contain_text("3 of 3 sent")
    page.get_by_role("button", name="Close the camera").click()
    assert len(_intake(here)) == before + 3
    page.get_by_role("button", name="Classify the photos now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tonight")

    def photographed() -> list[dict[str, object]]:
        found = here.ask("GET", "/api/v1/images?state=classified").json()["images"]
        return [image for image in found if str(image["name"]).startswith("camera-")]

    until(lambda: len(photographed()) == 3)


def test_an_admin_deletes_a_photo(here: Site, page: Page) -> None:
    """One question says what goes; then page, list, search and picture say that the photo was deleted."""
    image = _id_of(here, next(each["name"] for each in _listed(here) if each["name"].startswith("image_0")))
    name = next(each["name"] for each in _listed(here) if each["id"] == image)
    page.goto(f"/images/{image}")
    page.get_by_role("link", name="Delete this photo").click()
    expect(page.get_by_role("heading", name="Delete this photo?")).to_be_visible()
    expect(page.get_by_text(name)).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Delete for ever").click()
    expect(page.get_by_text(f"Image {image} was deleted by local")).to_be_visible()
    page.goto("/runs/1")
    expect(page.locator(".badge.deleted")).to_be_visible()
    assert name not in page.content()
    assert here.ask("GET", f"/api/v1/images/{image}/thumbnail").status_code == 410
    assert here.ask("GET", f"/api/v1/images?q={name}").json()["total"] == 0
    viewer = here.token_for(Role.OPERATOR)
    assert here.ask("DELETE", f"/api/v1/images/{image}", viewer).status_code == 403
    assert here.ask("DELETE", f"/api/v1/images/{image}").status_code == 410


def _listed(here: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = here.ask("GET", "/api/v1/images").json()["images"]
    return found
