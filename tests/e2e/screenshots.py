"""`make screenshots`: the README's pictures, from a real installation with the shipped model and samples.

With a folder as its argument it writes every page there instead, for desk and phone, light and dark, in each
language.
"""

import io
import itertools
import shutil
import sys
import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from returns_pipeline.languages import LANGUAGES
from returns_pipeline.records.runs import RunKind
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.store.tables import runs
from returns_pipeline.usecases.schedule import night_request
from tests.products import add_products, product
from tests.support import SAMPLES
from tests.web import Site, closed_run, site

FOLDER = PROJECT_ROOT / "docs" / "screenshots"
#: The samples are spread over several nights, so that the last one can be compared with the usual.
_NIGHTS = 6


#: Every page, by the name of its picture.
PAGES = {
    "tonight": "/",
    "returns": "/returns",
    "matches": "/matches",
    "products": "/products",
    "product": "/products/SHIRT-1",
    "return": "/returns/R-4711",
    "lookalikes": "/lookalikes",
    "runs": "/runs",
    "run": "/runs/6",
    "run-unusable": "/runs/6?state=quarantined",
    "run-report": "/runs/6/report",
    "changes": "/nights/6",
    "review": "/review",
    "review-many": "/review/grid?of=all&run=5&label=Bag",
    "upload": "/upload",
    "try": "/try",
    "models": "/models",
    "evaluation": "/models/fashion-mnist/2/evaluation",
    "promote": "/models/clothing/1/promote",
    "search": "/search",
    "found": "/search?q=image",
    "found-nothing": "/search?q=nothing-has-this-name",
    "image": "/images/20?why=1",
    "delete": "/images/20/delete",
    "users": "/users",
    "audit": "/audit",
    "account": "/account",
    "missing": "/no-such-page",
}
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def take_all(browser: Browser, here: Site, folder: Path) -> None:
    """Write every page, as a desk and a phone show it, light and dark, in each language."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme, language in itertools.product(_SCHEMES, LANGUAGES):
        for device, width, height in (("desk", 1440, 900), ("phone", 390, 844)):
            kind = f"{device}-{scheme}-{language}"
            context = browser.new_context(
                base_url=here.url,
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                locale=language,
                has_touch=device == "phone",
                is_mobile=device == "phone",
            )
            page = context.new_page()
            page.goto("/login")
            page.screenshot(path=folder / f"log-in-{kind}.png")
            page.goto(f"/?token={here.token}")
            for name, path in PAGES.items():
                page.goto(path)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"{name}-{kind}.png", full_page=True)
            context.close()


def take_for_readme(browser: Browser, here: Site) -> None:
    """Write the four pictures of the README."""
    FOLDER.mkdir(exist_ok=True)
    page = browser.new_page(base_url=here.url, viewport={"width": 1280, "height": 860})
    page.goto(f"/?token={here.token}")
    take(page, "tonight")
    page.goto("/runs/2")
    take(page, "run")
    page.goto("/review")
    take(page, "review")
    page.goto("/try")
    page.locator("input[type=file]").set_input_files(next(SAMPLES.glob("*_label_9.png")))
    page.locator("#why").wait_for()
    page.set_viewport_size({"width": 1280, "height": 1060})
    take(page, "try")


def take(page: Page, name: str) -> None:
    """Write a picture of the window."""
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.save(FOLDER / f"{name}.webp", quality=85, method=6)


def spread_over_nights(here: Site) -> None:
    """Date the runs of the last minute as consecutive nights at 02:00, the last one of them today."""
    with here.home.database.write() as connection:
        for run in connection.execute(sa.select(runs.c.id, runs.c.opened_at, runs.c.closed_at)).all():
            opened_at = run.opened_at.replace(hour=2, minute=0) - timedelta(days=_NIGHTS - run.id)
            values = {
                "opened_at": opened_at,
                "closed_at": opened_at + (run.closed_at - run.opened_at),
                "request_id": night_request(opened_at),
            }
            connection.execute(
                sa.update(runs).where(runs.c.id == run.id).values(kind=RunKind.NIGHTLY, **values)
            )


def sell(here: Site) -> None:
    """Add shirts, one of which was returned: the others can replace it."""
    shirts = [
        product(
            f"SHIRT-{number}",
            title=f"{colour} shirt",
            brand="Acme",
            attributes={"article type": "Shirt", "colour": colour},
            price=Decimal(18 + number),
            rating=3.5 + number / 5,
            ratings=40 * number,
        )
        for number, colour in enumerate(("White", "Blue", "White", "Black", "Red", "White"))
    ]
    add_products(here.home.database, shirts)
    here.ask("PUT", "/api/v1/returns/R-4711", json={"product": "SHIRT-1"})


def main() -> None:
    """Classify the samples in several nights, then take the pictures."""
    models = PROJECT_ROOT / "models"
    chosen: dict[str, Any] = {"models_dir": models, "model": "fashion-mnist", "runtime": "auto"}
    with (
        tempfile.TemporaryDirectory() as folder,
        site(Path(folder), **chosen) as here,
        sync_playwright() as playwright,
    ):
        samples = sorted(path for path in SAMPLES.iterdir() if path.suffix in {".png", ".jpg"})
        for number in range(_NIGHTS):
            for path in samples[number::_NIGHTS]:
                shutil.copy(path, here.home.settings.incoming_dir)
            if number == _NIGHTS - 1:
                (here.home.settings.incoming_dir / "return-4711.png").write_bytes(b"no picture")
            closed_run(here, 0)
        spread_over_nights(here)
        sell(here)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if len(sys.argv) > 1:
            take_all(browser, here, Path(sys.argv[1]))
        else:
            take_for_readme(browser, here)
        browser.close()


if __name__ == "__main__":
    main()
