"""`make screenshots`: the README's pictures, from a real installation with the shipped model and samples."""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from returns_pipeline.settings import PROJECT_ROOT
from tests.support import SAMPLES
from tests.web import closed_run, site

FOLDER = PROJECT_ROOT / "docs" / "screenshots"
#: The samples are spread over several runs, so that the last one can be compared with the usual.
_RUNS = 6


def take(page: Page, name: str) -> None:
    """Write a picture of the window."""
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(FOLDER / f"{name}.webp", quality=85, method=6)


def main() -> None:
    """Classify the samples in several runs, then take pictures of four pages."""
    FOLDER.mkdir(exist_ok=True)
    chosen = {"models_dir": PROJECT_ROOT / "models", "model": "fashion-mnist", "runtime": "auto"}
    with (
        tempfile.TemporaryDirectory() as folder,
        site(Path(folder), **chosen) as here,
        sync_playwright() as playwright,
    ):
        samples = sorted(path for path in SAMPLES.iterdir() if path.suffix in {".png", ".jpg"})
        for number in range(_RUNS):
            for path in samples[number::_RUNS]:
                shutil.copy(path, here.home.settings.incoming_dir)
            closed_run(here, 0)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(base_url=here.url, viewport={"width": 1100, "height": 800})
        page.goto(f"/?token={here.token}")
        take(page, "tonight")
        page.goto("/runs/2")
        take(page, "run")
        page.goto("/review")
        take(page, "review")
        page.goto("/try")
        page.locator("input[type=file]").set_input_files(next(SAMPLES.glob("*_label_9.png")))
        page.locator("#why").wait_for()
        page.set_viewport_size({"width": 1100, "height": 1060})
        take(page, "try")
        browser.close()


if __name__ == "__main__":
    main()
