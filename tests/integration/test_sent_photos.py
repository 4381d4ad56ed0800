"""Photos in the body of a request: batches, single photos, the forms of base64, bodies that are refused."""

import json
import textwrap
from collections.abc import Iterator

import pytest

from tests.support import LABELS, write_images
from tests.web import Site, batch_of, site

IMAGE = "image/png"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation to all tests of this module."""
    with site(tmp_path_factory.mktemp("site"), api_max_bytes=8 * 2**20) as running:
        yield running


def test_a_batch_is_classified_in_its_order(here: Site) -> None:
    """1,000 images in one request: the index of each label, in the order of the images."""
    images, right = batch_of(here, 1000, 5000)
    answer = here.ask("POST", "/process_batch", json={"images": images})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"predictions": right}


def test_a_client_of_the_old_services_needs_nothing_but_the_address(here: Site) -> None:
    """The address may hold the token, as its password."""
    import requests

    images, right = batch_of(here, 2, 100)
    address = here.url.replace("http://", f"http://token:{here.token}@")
    answer = requests.post(f"{address}/process_batch", json={"images": images}, timeout=180)
    assert answer.json() == {"predictions": right}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"images": "x"}', 400),
        (b'{"images": [1]}', 400),
        (b'{"images": ["%%%"]}', 400),
        (b'{"images": ["AAAA"]}', 400),
        (json.dumps({"images": ["AAAA"] * 1001}).encode(), 413),
    ],
)
def test_a_wrong_batch_is_refused_with_advice(here: Site, body: bytes, status: int) -> None:
    """Each wrong request has its own status and a sentence."""
    answer = here.ask("POST", "/process_batch", data=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


def test_details_include_unreadable_images(here: Site) -> None:
    """With details an unreadable image is null, with its code; without, the first one's position is named.

    Text that is not base64 is found before any image is sent to a worker.
    """
    (good,), (right,) = batch_of(here, 1, 200)
    body = {"images": [good, "AAAA", "%%"]}
    for images, position in ((body["images"], 2), ([good, "AAAA", good], 1)):
        refused = here.ask("POST", "/process_batch", json={"images": images})
        assert refused.status_code == 400, refused.text
        assert refused.json()["error"].startswith(f"Image {position} (counted from 0) cannot be read.")
    answer = here.ask("POST", "/process_batch?detail=1", json=body).json()
    assert answer["predictions"] == [right, None, None]
    assert [each.get("code") for each in answer["details"]] == [None, "not_an_image", "not_an_image"]
    assert "character 0 (counted from 0) is '%'" in answer["details"][2]["reason"]
    assert answer["details"][0]["label"] == LABELS[right]


def test_base64_may_have_any_form_that_programs_write(here: Site) -> None:
    """Line breaks, the alphabet of addresses, missing padding and data addresses: the same predictions."""
    images, right = batch_of(here, 4, 400)
    lined = "\r\n".join(textwrap.wrap(images[0], 76))
    other = images[1].translate(str.maketrans("+/", "-_")).rstrip("=")
    sent = [f"data:image/png;base64,{images[2]}", lined, other, f" {images[3]}\t"]
    answer = here.ask("POST", "/process_batch", json={"images": sent})
    assert answer.json() == {"predictions": [right[2], right[0], right[1], right[3]]}
    refused = here.ask("POST", "/process_batch", json={"images": [images[0], images[1] + "é"]})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("Image 1 (counted from 0) cannot be read. It is not base64")


def test_one_photo_has_every_field_of_the_two_head_service(here: Site) -> None:
    """Names, indices, probabilities, logits; without a file 400."""
    path = write_images(here.home.settings.home / "one", 1, 300)[0]
    answer = here.ask("POST", "/predict", files={"file": (path.name, path.read_bytes(), IMAGE)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    right = int(path.stem.rpartition("_")[2])
    assert found["predicted_subcategory"] == found["predicted_main_category"] == LABELS[right]
    assert found["predicted_subcategory_index"] == right
    assert found["sub_category_logits"].index(max(found["sub_category_logits"])) == right
    assert len(found["main_category_logits"]) == len(LABELS)
    for files in ({"other": ("a.png", b"x", IMAGE)}, {"file": ("", b"x", IMAGE)}):
        assert here.ask("POST", "/predict", files=files).status_code == 400


def test_too_large_a_body_is_refused_while_it_arrives(here: Site) -> None:
    """A body over the limit is 413, with and without a declared length."""
    most = here.home.settings.api_max_bytes
    parts = (b"x" * 2**20 for _ in range(most // 2**20 + 1))
    for body in (b"x" * (most + 1), parts):
        answer = here.ask("POST", "/process_batch", data=body)
        assert answer.status_code == 413
        assert answer.json()["advice"]
