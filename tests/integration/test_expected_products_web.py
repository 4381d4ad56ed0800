"""Pages, REST and files show how a return's photo compares with its product."""

import csv
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.store import (
    spaces,
)
from tests.integration.test_expected_products import PRODUCTS, calibrate, label_of
from tests.spaces import write_catalogue, write_space
from tests.web import Site, site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the products."""
    return write_catalogue(tmp_path_factory.mktemp("shop"), PRODUCTS)


@pytest.fixture(scope="module")
def here(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a site with real workers whose catalogue is embedded."""
    spaces_dir = tmp_path_factory.mktemp("spaces")
    write_space(spaces_dir)
    with site(tmp_path_factory.mktemp("site"), spaces_dir=spaces_dir, worker_processes=1) as running:
        assert running.home.json("catalogue", "import", str(folder))["embedding_chunks"] == 1
        _wait(lambda: spaces.active(running.home.database))
        calibrate(running.home.database)
        yield running


def _wait(happened: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_pages_and_files_show_both_pictures(here: Site, folder: Path) -> None:
    """The page has the photo, the expected product and the other one; REST and files have the same facts."""
    photo = folder / "images" / "6.png"
    sent = {"product": "2", "expected": label_of(photo)}
    assert here.ask("PUT", "/api/v1/returns/R-5", json=sent).ok
    with photo.open("rb") as stream:
        assert here.ask("POST", "/predict", files={"file": stream}, data={"return": "R-5"}).ok

    def judged() -> dict[str, Any] | None:
        found: dict[str, Any] = here.ask("GET", "/api/v1/returns/R-5").json()
        return found if found["verdict_reason"] == "other product" else None

    facts = _wait(judged)["verdict_detail"]["product"]
    assert (facts["product"], facts["other"]) == ("2", "6")
    page = here.page("/returns/R-5").text
    panel = page.partition('id="compared"')[2].partition("</section>")[0]
    for address in (f"/images/{facts['image']}/", f"/product-images/{facts['picture']}/"):
        assert address in panel
    assert panel.index('/products/2"') < panel.index('/products/6"')
    assert f"/product-images/{facts['other_picture']}/" in panel
    assert "altered pictures" in page
    for address in set(re.findall(r'src="([^"]+thumbnail[^"]*)"', panel)):
        assert here.ask("GET", address.replace("&amp;", "&")).ok

    (listed,) = here.ask("GET", "/api/v1/returns").json()["returns"]
    assert (listed["found_product"], listed["likeness"], listed["found_likeness"]) == (
        "6",
        facts["likeness"],
        facts["other_likeness"],
    )
    exported = here.ask("GET", "/api/v1/returns/export").text
    (row,) = csv.DictReader(exported.splitlines())
    assert (row["product"], row["found_product"], "product 6" in row["reason"]) == ("2", "6", True)
    assert here.ask("GET", "/api/v1/returns/export?format=xlsx").ok
