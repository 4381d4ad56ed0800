"""Products whose pictures are in a bucket: imported, shown, and found by a photo."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from returns_pipeline.records.places import folder_of
from returns_pipeline.store import spaces
from returns_pipeline.usecases import catalogue, embedding
from returns_pipeline.usecases.catalogue import ImportOptions
from tests import places
from tests.spaces import write_catalogue, write_space
from tests.support import Installation
from tests.web import Site, site

_PRODUCTS = 16


@pytest.fixture
def shop(tmp_path: Path, bucket: str) -> Path:
    """Give the file of sixteen products; their pictures are in the bucket only, named in three ways."""
    folder = write_catalogue(tmp_path / "shop", _PRODUCTS)
    for picture in (folder / "images").iterdir():
        places.write(folder_of(f"{bucket}/shop/images/{picture.name}"), picture.read_bytes())
    (folder / "images").rename(tmp_path / "drawn")
    lines = ["id,title,category,image"]
    for number in range(_PRODUCTS):
        named = (f"images/{number}.png", f"{bucket}/shop/images/{number}.png", rf"images\{number}.png")
        lines.append(f"{number},Item {number},Apparel,{named[number % 3]}")
    (folder / "products.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path, bucket: str) -> Iterator[Site]:
    """Give a site with real workers whose catalogue's pictures are in the bucket."""
    write_space(tmp_path / "spaces")
    spaces_dir, pictures = tmp_path / "spaces", f"{bucket}/shop"
    with site(
        tmp_path / "site", spaces_dir=spaces_dir, catalogue_dir=pictures, worker_processes=1
    ) as running:
        yield running


def test_pictures_in_a_bucket_are_shown_and_found(
    here: Site, shop: Path, bucket: str, tmp_path: Path
) -> None:
    """Every picture has its vector, a page shows it, a photo finds its product; a change is followed."""
    done = here.home.json("catalogue", "import", str(shop))
    assert (done["added"], done["refused"], done["embedding_chunks"]) == (_PRODUCTS, 0, 1), done
    deadline = time.monotonic() + 60
    while spaces.active(here.home.database) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for number in range(_PRODUCTS):
        _, (picture,) = catalogue.existing(here.home.database, str(number))
        assert (picture.state, picture.folder) == ("embedded", f"{bucket}/shop"), picture
        assert picture.address == f"images/{number}.png"

    page = here.page("/products/5").text
    _, (picture,) = catalogue.existing(here.home.database, "5")
    thumbnail = f"/api/v1/product-images/{picture.id}/thumbnail"
    assert thumbnail in page
    before = here.ask("GET", thumbnail)
    assert before.headers["Content-Type"] == "image/webp"
    assert "X-Placeholder" not in before.headers

    photo = tmp_path / "drawn" / "5.png"
    found = here.ask("POST", "/api/v1/products/search", files={"file": photo.open("rb")})
    first = found.json()["products"][0]
    assert (first["product"]["id"], first["similarity"]) == ("5", pytest.approx(1, abs=0.01))
    assert "Item 5" in here.page("/lookalikes", "POST", files={"file": photo.open("rb")}).text

    object_5 = folder_of(f"{bucket}/shop/images/5.png")
    places.write(object_5, (tmp_path / "drawn" / "6.png").read_bytes())
    assert here.ask("GET", thumbnail).content != before.content
    places.remove(object_5)
    assert here.ask("GET", thumbnail).headers["X-Placeholder"] == "1"


def test_a_picture_outside_of_the_folder_is_refused(
    sqlite_home: Installation, bucket: str, tmp_path: Path
) -> None:
    """Another bucket, another folder and a way out are refused with a sentence; a missing one is unusable."""
    write_space(tmp_path / "spaces")
    chosen = {"catalogue_dir": folder_of(f"{bucket}/shop"), "spaces_dir": tmp_path / "spaces"}
    home = replace(sqlite_home, settings=sqlite_home.settings.model_copy(update=chosen))
    lines = ["id,image", f"1,{bucket}/other/1.png", "2,s3://another/1.png", f"3,{bucket}/shop/../a.png"]
    lines += ["4,images/missing.png"]
    file = tmp_path / "wrong.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = catalogue.import_path(home.settings, home.database, file, "ann", ImportOptions({}))
    assert (done.counts.added, done.counts.refused) == (1, 3), done
    assert all("picture" in each.reason for each in done.refused), done.refused
    context, queue = home.in_process()
    embedding.begin(context)
    queue.deliver(context)
    picture = catalogue.existing(home.database, "4")[1][0]
    assert (picture.state, bool(picture.reason)) == ("unusable", True)
