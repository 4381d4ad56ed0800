"""The page Upload sends photos into the bucket itself, and through the web where the bucket refuses that."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Response, expect

from tests.objects import allow_browsers, contents
from tests.support import write_images
from tests.web import Site, site

expect.set_options(timeout=30_000)


@pytest.fixture
def here(tmp_path: Path, bucket: str) -> Iterator[Site]:
    """Run the web of an installation whose intake is in a bucket."""
    inside = {f"{name}_dir": f"{bucket}/{name}" for name in ("incoming", "archive", "quarantine")}
    with site(tmp_path / "site", with_workers=False, object_links="presigned", **inside) as found:
        yield found


@pytest.mark.parametrize("is_allowed", [True, False])
def test_photos_go_into_the_bucket(
    here: Site, s3: str, bucket: str, browser: Browser, tmp_path: Path, is_allowed: bool
) -> None:
    """With the documented rules of CORS no photo passes through the web; without them each arrives too."""
    if is_allowed:
        allow_browsers(s3, bucket, here.url)
    photos = write_images(tmp_path / "drawn", 5)
    context = browser.new_context(base_url=here.url)
    page = context.new_page()
    sent: list[str] = []
    errors: list[str] = []

    def note(response: Response) -> None:
        if response.request.method == "PUT" and response.ok:
            sent.append(response.url)

    page.on("response", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(f"/?token={here.token}")
    page.goto("/upload")
    page.locator("input[name=files]").set_input_files(photos)
    expect(page.locator("[data-counts]")).to_have_text("5 of 5 sent.")
    found = {key: content for key, content in contents(bucket, "incoming").items() if "/." not in key}
    assert sorted(found.values()) == sorted(path.read_bytes() for path in photos)
    assert {key.rpartition("/")[2] for key in found} == {path.name for path in photos}
    through_web = [url for url in sent if url.startswith(here.url)]
    assert len(through_web) == (0 if is_allowed else 5), sent
    assert len(sent) - len(through_web) == (5 if is_allowed else 0), sent
    # Chromium logs what the bucket refuses.
    assert bool(errors) != is_allowed, errors
    context.close()
