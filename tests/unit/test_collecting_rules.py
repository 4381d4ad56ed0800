"""The rules of collecting that need no site: hosts, categories, and what a page says."""

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.http import HtmlResponse

from returns_pipeline.collecting.job import Rules
from returns_pipeline.collecting.pages import Found, links, pictures
from returns_pipeline.photos.intake_rules import is_skipped
from returns_pipeline.public_hosts import AllowedHosts, is_public
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.written_folders import Folders, folder_name


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",  # noqa: S104 - not bound to
            "100.100.100.200",
        ),
        *(
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1%eth0",
            "fd00:ec2::254",
            "ff02::1",
        ),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:db8::1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    """An address of a machine, a network, a cloud's metadata, or one that leads to such, is not public."""
    assert not is_public(address)


def test_an_allowed_host_is_allowed_with_its_port_alone() -> None:
    """A host is allowed by its name, whatever its address is, with one port or with all."""
    allowed = AllowedHosts.parse(["shop.internal:8000", "[::1]", "10.0.0.5"])
    assert allowed.permits("SHOP.internal.", 8000, "10.0.0.9")
    assert not allowed.permits("shop.internal", 8001, "10.0.0.9")
    assert not allowed.permits("other.internal", 8000, "10.0.0.9")
    assert allowed.permits("::1", 1, "::1")
    assert allowed.permits("10.0.0.5", 443, "10.0.0.5")
    assert allowed.permits("anywhere", 80, socket.inet_ntoa(bytes([8, 8, 8, 8])))


@given(st.text(max_size=300))
def test_a_category_becomes_one_safe_folder(category: str) -> None:
    """A folder's name is one visible path component that a training reads as the same label."""
    name = folder_name(category)
    if not name:
        return
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|')
    assert name[0] not in ".=+-@"
    assert len(name.encode()) <= 255
    assert not is_skipped(name)
    assert names.parse(name).label == name


def test_categories_of_shops() -> None:
    """The last level counts; spellings of one label are one folder; numbers and `train` are no trap."""
    folders = Folders(["T-Shirts"])
    assert folders.of("Clothes > Tops > t_shirts ") == "T-Shirts"
    assert folders.of("../../etc/passwd") == "etc_passwd"
    assert folders.of("501 Jeans") == "_501 Jeans_"
    assert folders.of("Train") == "_Train_"
    assert folders.of("Tränen\u202e") == "Tränen"
    assert folders.of(" > ") == folders.of("…") == folders.of("") == ""


def _page(*stated: object, body: str = "") -> HtmlResponse:
    scripts = "".join(f"<script type='application/ld+json'>{json.dumps(each)}</script>" for each in stated)
    html = f"<html><body>{scripts}{body}</body></html>"
    return HtmlResponse("https://shop.example/a/b", body=html.encode(), encoding="utf-8")


def test_products_are_found_in_every_form_of_json_ld() -> None:
    """Pictures are texts, lists and objects; a category is a text, an object or the breadcrumbs'."""
    crumbs = {
        "@type": "BreadcrumbList",
        "itemListElement": [{"item": {"name": name}} for name in ("Home", "Coats", "This coat")],
    }
    product = {
        "@type": ["Product", "Thing"],
        "image": ["a.jpg", {"@type": "ImageObject", "contentUrl": "b.jpg", "license": "https://cc.example/"}],
    }
    variant = {"@type": "https://schema.org/ProductGroup", "hasVariant": [
        {"@type": "Product", "category": {"name": "Hats"}, "image": {"url": ["c.jpg"]}}]}  # fmt: skip
    found = list(pictures(_page([crumbs, product], {"@graph": [variant]}), Rules(licence="own")))
    assert found == [
        Found("a.jpg", "Coats", "own"),
        Found("b.jpg", "Coats", "https://cc.example/"),
        Found("c.jpg", "Hats", "own"),
    ]


def test_rules_select_elements_and_attributes() -> None:
    """A rule for an element takes its address or its text; one with `::attr` takes the attribute."""
    page = _page(
        body="<a class='p' href='/1'>1</a><img class='big' src='x.jpg' data-src='big.jpg'>"
        "<nav><b>Home</b> <b>Bags <i>new</i></b></nav><meta property='og:image' content='m.jpg'>"
    )
    rules = Rules(links=("a.p", "img::attr(src)"), image="img.big, meta", category="nav b:last-child")
    assert list(pictures(page, rules)) == [Found("big.jpg", "Bags new", ""), Found("m.jpg", "Bags new", "")]
    assert list(links(page, rules)) == ["/1", "x.jpg"]


@pytest.mark.parametrize(
    "script", ["[" * 100_000, '{"@type": "Product", "image": 3}', "null", "{", '{"@graph": 1}']
)
def test_damaged_json_ld_is_no_product(script: str) -> None:
    """What is no valid JSON-LD has no pictures and no links, and no error."""
    body = f"<script type='application/ld+json'>{script}</script>"
    assert not list(pictures(_page(body=body), Rules()))
    assert not list(links(_page(body=body), Rules()))
