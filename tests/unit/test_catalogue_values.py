"""What a shop writes in a file of products, and what is understood."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.catalogue import values
from returns_pipeline.catalogue.columns import checked_mapping, naming_of
from returns_pipeline.catalogue.lines import flattened
from returns_pipeline.catalogue.pictures import Picture, picture_of, read_picture
from returns_pipeline.errors import ImageFault, RefusedError


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ("1.299,00 €", "1299.00", "EUR"),
        ("12.99", "12.99", None),
        ("12,99", "12.99", None),
        ("EUR 12,5", "12.50", "EUR"),
        ("$1,299.00", "1299.00", "USD"),
        ("1'299.50 CHF", "1299.50", "CHF"),
        ("1 299,00 zł", "1299.00", "PLN"),
        ("12,- €", "12.00", "EUR"),
        ("1.299", "1299.00", None),
        ("0.999", "1.00", None),
        ("1.234.567,8", "1234567.80", None),
        (9.99, "9.99", None),
        (Decimal("1.299"), "1.30", None),
        (7, "7.00", None),
    ],
)
def test_a_price_in_any_usual_form(written: Any, amount: str, currency: str | None) -> None:
    """Decimals by point or comma, thousands by point, comma, apostrophe or blank, the currency beside it."""
    assert values.money(written) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    "written",
    [
        "=1+1",
        "-5",
        "abc",
        "1.2.3",
        "1,2,3.4",
        "12 99 EUR USD",
        "1e5",
        "EUR 5 USD",
        "9" * 30,
        "NaN",
        float("nan"),
        float("inf"),
        -1.0,
        True,
        "12 Fluffs",
    ],
)
def test_what_is_no_price_is_refused(written: Any) -> None:
    """A formula, a negative, an endless or an ambiguous number is never taken for a price."""
    with pytest.raises(ValueError, match=r"price|currency"):
        values.money(written)


def test_numbers_and_words_of_stock_and_rating() -> None:
    """A stock may be a word; less than nothing is nothing; a rating is from 0 to 5."""
    found = [values.stock_of(each) for each in ("12", 3.0, "1.200", "auf Lager", "Out of Stock", "-3", "")]
    assert found == [12, 3, 1200, None, 0, 0, None]
    assert [values.rating_of(each) for each in ("4,5", "4.5/5", 5, "")] == [4.5, 4.5, 5.0, None]
    for wrong in ("5.1", "-1", "good"):
        with pytest.raises(ValueError, match="rating"):
            values.rating_of(wrong)
    for no_count in ("1.5", "many", 2**40):
        with pytest.raises(ValueError, match="whole number"):
            values.stock_of(no_count)


def test_a_path_of_a_category() -> None:
    """Levels of several columns, or one path with any usual separator; a slash in a level is no level."""
    assert values.path_of(["Apparel", "Topwear", "Topwear"], 300) == "Apparel/Topwear"
    assert values.path_of(["Food > Tea/Coffee > Green"], 300) == "Food/Tea & Coffee/Green"
    assert values.path_of([["Women", "Shoes"]], 300) == "Women/Shoes"
    assert values.path_of(["", None], 300) is None


def test_a_text_is_clean() -> None:
    """Characters that show nothing are left out, control characters are refused."""
    assert values.text("title", " a\u200b \n b\xa0c ", 300) == "a b c"
    assert values.text("description", "a\n\n b ", 300, is_long=True) == "a\n\nb"
    for odd in ("a\x00b", "a\x1b[31m", "a\ud800"):
        with pytest.raises(ValueError, match="character"):
            values.text("title", odd, 300)


def test_columns_are_recognised_in_english_and_german() -> None:
    """The best name of a field counts, others are attributes; levels of a category are attributes too."""
    naming = naming_of(
        ["Art.-Nr.", "Bezeichnung", "Preis (€)", "VK", "Hauptkategorie", "Bild 2", "Bild", "x"], {}
    )
    fields = {field: [naming.header[place] for place in found] for field, found in naming.places.items()}
    assert fields == {
        "id": ["Art.-Nr."],
        "title": ["Bezeichnung"],
        "price": ["Preis (€)"],
        "category": ["Hauptkategorie"],
        "images": ["Bild", "Bild 2"],
    }
    assert [name for name, _ in naming.attributes] == ["VK", "Hauptkategorie", "x"]
    both = naming_of(["sku", "id", "images.src", "thumbnail"], {})
    assert (both.places["id"], both.places["images"]) == ([1], [2])
    with pytest.raises(RefusedError, match="No column has the ids"):
        naming_of(["titel", "preis"], {})


def test_a_mapping_names_columns_and_paths() -> None:
    """What a mapping names is found whatever its name; a wrong mapping is refused with its form."""
    naming = naming_of(["a.b", "id", "c", "d"], {"id": "a.b", "category": ["d", "c"]})
    assert (naming.places["id"], naming.places["category"]) == ([0], [3, 2])
    wrong_ones: list[object] = [{}, [], {"name": "x"}, {"price": ["a", "b"]}, {"id": ""}]
    for wrong in wrong_ones:
        with pytest.raises(RefusedError, match="A mapping is"):
            checked_mapping(wrong)
    with pytest.raises(RefusedError, match="does not have"):
        naming_of(["id"], {"price": "cost"})


def test_objects_within_objects_become_flat() -> None:
    """Names are paths; a list of objects is a list for each key; no depth is endless."""
    deep: Any = 1
    for _ in range(50):
        deep = {"x": deep}
    found = flattened(
        {
            "a": {"b": 1},
            "attributes": {"colour": "red", "id": 7},
            "id": 5,
            "i": [{"s": 1}, {"s": 2, "t": [3]}],
            "d": deep,
        }
    )
    assert {name: found[name] for name in ("a.b", "colour", "attributes.id", "id", "i.s", "i.t")} == {
        "a.b": 1,
        "colour": "red",
        "attributes.id": 7,
        "id": 5,
        "i.s": [1, 2],
        "i.t": [3],
    }
    assert max(name.count(".") for name in found) < 10


@pytest.mark.parametrize(
    "address",
    [
        "../x.jpg",
        "a/../../x.jpg",
        "/etc/passwd",
        "..\\x.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,x",
        "javascript:alert(1)",
        "https://",
        "http:///x",
        "a\x00b.jpg",
        "C:\\x.jpg",
        "x" * 3000,
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(address: str, tmp_path: Path) -> None:
    """Only addresses of the web and paths below the folder are pictures."""
    with pytest.raises(ValueError, match="picture"):
        picture_of(address, (tmp_path,))


def test_a_picture_is_read_below_its_folder_alone(tmp_path: Path) -> None:
    """A link, a folder or a pipe in place of a picture is never opened, wherever it stands in the path."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a.jpg").write_bytes(b"secret")
    shop = tmp_path / "shop"
    (shop / "images").mkdir(parents=True)
    (shop / "images/a.jpg").write_bytes(b"picture")
    (shop / "images/link.jpg").symlink_to(secret / "a.jpg")
    (shop / "linked").symlink_to(secret)
    os.mkfifo(shop / "images/pipe.jpg")
    found = picture_of(f"{shop}/images/a.jpg", (shop,))
    assert found == picture_of("images\\a.jpg", (shop,)) == Picture(str(shop), "images/a.jpg")
    assert picture_of("//cdn.example/a.jpg", ()) == Picture(None, "https://cdn.example/a.jpg")
    assert read_picture(str(shop), "images/a.jpg", 100) == b"picture"
    for address in (
        "images/link.jpg",
        "linked/a.jpg",
        "images",
        "images/pipe.jpg",
        "../secret/a.jpg",
        "/etc/passwd",
        "",
        "no",
    ):
        with pytest.raises(ImageFault):
            read_picture(str(shop), address, 100)
    with pytest.raises(ImageFault):
        read_picture(str(shop), "images/a.jpg", 3)
