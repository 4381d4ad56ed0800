"""Which return a photo belongs to: order of evidence, slips, contradictions."""

import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.codes import Code
from returns_pipeline.usecases.return_evidence import (
    InFolder,
    Link,
    Shown,
    SlipLink,
    Standing,
    folders_of,
    given_folder,
    given_in,
    in_order,
    linked,
    named_return,
    shown_number,
    slips_of,
)

OPEN, DECIDED, PHOTO_ONLY = Standing(True, True), Standing(True, False), Standing(False, False)


def photo(number: int, code: str | None = None, captured: str | None = None) -> InFolder:
    """Return a photo of a folder; `?` as code is a photo that could not be read."""
    shown = Shown(code) if code not in {None, "?"} else Shown()
    return InFolder(number, f"IMG_{number}.jpg", shown, code != "?", captured)


def test_of_several_codes_the_open_return_wins() -> None:
    """An open return wins, then an announced one, then any number; equally strong ones name none."""
    codes = [Code("A", "qr"), Code("B", "qr"), Code("4006381333931", "ean13")]
    assert shown_number(codes, {"A": DECIDED, "B": OPEN}) == Shown("B")
    assert shown_number(codes, {"A": DECIDED, "B": PHOTO_ONLY}) == Shown("A")
    assert shown_number(codes, {"A": OPEN, "B": OPEN}) == Shown(None, ("A", "B"))
    assert shown_number(codes, {}) == Shown(None, ("A", "B"))
    assert shown_number(codes[1:], {}) == Shown("B")


def test_a_product_code_is_a_return_only_if_it_was_announced() -> None:
    """The EAN of the item itself opens no return."""
    ean = [Code("4006381333931", "ean13")]
    assert shown_number(ean, {}) == Shown()
    assert shown_number(ean, {"4006381333931": PHOTO_ONLY}) == Shown()
    assert shown_number(ean, {"4006381333931": OPEN}) == Shown("4006381333931")


def test_photos_after_a_slip_belong_to_it() -> None:
    """Up to the next slip; photos before the first slip belong to none."""
    found = slips_of([photo(1), photo(2, "A"), photo(3), photo(4), photo(5, "B"), photo(6)])
    assert found == {
        2: SlipLink("A", is_slip=True),
        3: SlipLink("A"),
        4: SlipLink("A"),
        5: SlipLink("B", is_slip=True),
        6: SlipLink("B"),
    }


def test_a_folder_of_items_with_their_labels_has_no_slips() -> None:
    """Where every photo shows a code, each is a photo of the item."""
    assert slips_of([photo(1, "A"), photo(2, "B"), photo(3, "C")]) == {}
    assert slips_of([photo(1, "A"), photo(2, "A"), photo(3, "B")]) == {}


def test_a_slip_without_an_item_is_still_a_slip() -> None:
    """Among slips, one that no photo follows counts for nothing; a second photo with its code is the item."""
    found = slips_of(
        [photo(1, "A"), photo(2), photo(3, "B"), photo(4, "C"), photo(5, "C"), photo(6, "D"), photo(7)]
    )
    assert found[3] == SlipLink("B", is_slip=True)
    assert found[4] == SlipLink("C", is_slip=True)
    assert 5 not in found


def test_an_unreadable_photo_may_have_been_a_slip() -> None:
    """What follows it belongs to no slip and says so, until the next slip."""
    found = slips_of([photo(1, "A"), photo(2), photo(3, "?"), photo(4), photo(5, "B"), photo(6)])
    assert found[2] == SlipLink("A")
    assert 3 not in found
    assert found[4] == SlipLink(None)
    assert found[6] == SlipLink("B")
    assert linked(None, Shown(), found[4], None, None) == Link(None, None, "slip: ?")


def test_photos_are_in_the_order_of_their_times_then_of_their_names() -> None:
    """The time counts before the name, numbers in names count as numbers, and a photo without time stays."""
    late, early = photo(1, captured="2026:05:04 10:00:02."), photo(30, captured="2026:05:04 10:00:01.")
    assert [each.image_id for each in in_order([late, early])] == [30, 1]
    assert [each.image_id for each in in_order([photo(10), photo(9), photo(100)])] == [9, 10, 100]
    mixed = [photo(1, captured="2"), photo(2), photo(3, captured="3"), photo(4, captured="1")]
    assert [each.image_id for each in in_order(mixed)] == [4, 1, 2, 3]


def test_the_strongest_evidence_counts_and_the_others_are_flagged() -> None:
    """Given, code, slip, folder, file name; whatever says another number is named."""
    slip = SlipLink("S")
    assert linked("G", Shown("C"), None, "F", "N") == Link("G", "given", "code: C; folder: F; file_name: N")
    assert linked(None, Shown("C"), None, "C", "N") == Link("C", "code", "file_name: N")
    assert linked(None, Shown("C"), SlipLink("C", True), None, None) == Link("C", "the_slip")
    assert linked(None, Shown(), slip, "S", None) == Link("S", "slip")
    assert linked(None, Shown(), None, "F", "F") == Link("F", "folder")
    assert linked(None, Shown(), None, None, "N") == Link("N", "file_name")
    assert linked(None, Shown(), None, None, None) == Link()


def test_two_equal_codes_are_not_guessed() -> None:
    """Other evidence may choose one of them; else the photo belongs to none and says why."""
    two = Shown(None, ("A", "B"))
    assert linked(None, two, None, None, None) == Link(None, None, "code: A; code: B")
    assert linked(None, two, None, "B", None) == Link("B", "folder")
    assert linked(None, two, None, "C", None) == Link("C", "folder", "code: A; code: B")


@pytest.mark.parametrize("number", ["RMA-1", "a/b", "..", "A.", "Ä%=?", "x" * 100])
def test_a_named_return_survives_the_folder_of_an_upload(number: str) -> None:
    """The folder's name is one on every file system, and gives the number back."""
    name = given_folder(number)
    assert name is not None
    assert not name.endswith(".")
    assert "/" not in name
    path = f"/in/uploads/2026-05-04-ann/{name}/sub/a.jpg"
    assert given_in(folders_of(path, "/in")) == number
    assert given_in(folders_of(f"/in/other/2026-05-04-ann/{name}/a.jpg", "/in")) is None


def test_a_number_that_cannot_be_one_is_refused() -> None:
    """A sender learns that the number is wrong; an empty field names none."""
    assert named_return(None) is None
    assert named_return("") is None
    assert named_return(" RMA-1 ") == "RMA-1"
    for wrong in ("x" * 101, "a\nb", 7):
        with pytest.raises(RefusedError):
            named_return(wrong)


def test_folders_are_those_below_the_intake() -> None:
    """The innermost first; what lies above the intake says nothing."""
    assert folders_of("/RMA-9/in/day/RMA-1/a.jpg", "/RMA-9/in") == ["RMA-1", "day"]
    assert folders_of("/RMA-9/in/a.jpg", "/RMA-9/in") == []
    assert folders_of("/other/RMA-1/a.jpg", None) == ["RMA-1"]
