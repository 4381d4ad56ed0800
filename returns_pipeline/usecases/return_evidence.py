"""Which return a photo belongs to, from what is known of it. Pure functions; see docs/returns.md."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.codes import Code, CodeFormat
from returns_pipeline.records.number_patterns import NumberPattern
from returns_pipeline.records.returns import MOST_OF_NUMBER, LinkSource, return_number

#: Bar codes of products. They are the number of a return only if one was announced with it.
_OF_PRODUCTS = {CodeFormat.EAN13, CodeFormat.EAN8}
#: A folder of an upload whose sender named a return: `return=NUMBER`.
_GIVEN_FOLDER = "return="
#: Bytes of that folder's name.
_MOST_BYTES = 200
_DIGITS = re.compile(r"([0-9]+)")


class Standing(NamedTuple):
    """What is known of a number: whether such a return was announced, and whether it is still undecided."""

    announced: bool
    is_open: bool


class Shown(NamedTuple):
    """Which return the codes in a photo name: `number`, or several `numbers` of which none wins."""

    number: str | None = None
    numbers: tuple[str, ...] = ()


class InFolder(NamedTuple):
    """A photo among those of its folder. `is_readable`: it has a prediction, so its codes were read.

    `captured` sorts by time, None if unknown.
    """

    image_id: int
    name: str
    shown: Shown
    is_readable: bool
    captured: str | None = None


class SlipLink(NamedTuple):
    """What the slips of a folder say of a photo: it is one, or it came after one.

    Without a number, the photo came after one that may have been a slip and could not be read.
    """

    number: str | None
    is_slip: bool = False


class Link(NamedTuple):
    """Which return a photo belongs to, how that is known, and what contradicts, as `SOURCE: NUMBER; …`."""

    number: str | None = None
    source: str | None = None
    conflict: str | None = None


def shown_number(codes: Iterable[Code], standing: Mapping[str, Standing]) -> Shown:
    """Return the return that the codes in a photo name.

    The number of an open return wins, then that of an announced one, then any number that is not a product's.
    Several that are equally strong name none.
    """
    numbers = {number: code.format for code in codes if (number := return_number(code.text))}
    unknown = Standing(announced=False, is_open=False)
    ranks = (
        [number for number in numbers if standing.get(number, unknown).is_open],
        [number for number in numbers if standing.get(number, unknown).announced],
        [number for number, form in numbers.items() if form not in _OF_PRODUCTS],
    )
    best = sorted(next((rank for rank in ranks if rank), []))
    return Shown(best[0]) if len(best) == 1 else Shown(None, tuple(best))


def slips_of(photos: Iterable[InFolder]) -> dict[int, SlipLink]:
    """Return what the slips of one folder say of its photos, by the image's id.

    A photo with a code opens a group, which ends at the next photo with another number. If photos without a
    code follow in the group, each photo with its code is a slip. A group without such photos has no slip,
    unless at least half of the folder's groups have them: then its first photo is one, and its item was not
    photographed or shows its label too. A photo that could not be read may have been a slip: it ends its
    group.
    """
    groups: list[tuple[list[int], list[int], str]] = []
    found: dict[int, SlipLink] = {}
    is_unclear = False
    number: str | None = None
    for photo in in_order(photos):
        if photo.shown.number is not None:
            is_unclear = False
            if photo.shown.number != number:
                number = photo.shown.number
                groups.append(([], [], number))
            groups[-1][0].append(photo.image_id)
        elif photo.shown.numbers or not photo.is_readable:
            is_unclear = is_unclear or number is not None
            number = None
        elif number is not None:
            groups[-1][1].append(photo.image_id)
        elif is_unclear:
            found[photo.image_id] = SlipLink(None)
    has_slips = 2 * sum(bool(after) for _, after, _ in groups) >= len(groups)
    for with_code, after, number in groups:
        slips = with_code if after else with_code[:1] if has_slips else []
        found.update({image_id: SlipLink(number, is_slip=True) for image_id in slips})
        found.update({image_id: SlipLink(number) for image_id in after})
    return found


def in_order(photos: Iterable[InFolder]) -> list[InFolder]:
    """Return the photos of a folder in the order in which they were taken, then by name.

    A photo without a time follows the one before it by name. Numbers in names count as numbers.
    """
    named = sorted(photos, key=_name_key)
    first = next((photo.captured for photo in named if photo.captured), "")
    times: list[str] = []
    for photo in named:
        times.append(photo.captured or (times[-1] if times else first or ""))
    order = sorted(range(len(named)), key=lambda place: (times[place], place))
    return [named[place] for place in order]


def _name_key(photo: InFolder) -> tuple[list[tuple[int, str]], str]:
    parts = _DIGITS.split(photo.name.casefold())
    # (number, text): a number sorts before text, and 9 before 10.
    return [(int(part[:18]), "") if part.isascii() and part.isdigit() else (-1, part) for part in parts], (
        photo.name
    )


def number_in(pattern: NumberPattern | None, names: Iterable[str]) -> str | None:
    """Return the number that the pattern finds in the first of these names in which it finds one."""
    if pattern is None:
        return None
    for name in names:
        found = pattern.find(name)
        if found and (number := return_number(found)):
            return number
    return None


def folders_of(path: str, root: str | None) -> list[str]:
    """Return the names of a photo's folders below `root`, the innermost first; without one, of the last."""
    folder = path.rpartition("/")[0]
    inside = folder[len(root) + 1 :] if root and folder.startswith(f"{root}/") else ""
    if root is not None and (inside or folder == root):
        return [name for name in reversed(inside.split("/")) if name]
    return [folder.rpartition("/")[2]]


def named_return(text: object) -> str | None:
    """Return the number that a sender named; None if it is empty. Raises RefusedError if it is none."""
    if text is None or text == "":
        return None
    number = return_number(text) if isinstance(text, str) else None
    if number is None:
        raise RefusedError(
            "The number of the return cannot be one.",
            "It has 1 to {most} printable characters.",
            most=MOST_OF_NUMBER,
        )
    return number


def given_folder(number: str) -> str | None:
    """Return the folder of an upload whose sender named a return; None if the number is too long for one."""
    # No point, because a name that ends with one is another name on some file systems.
    name = _GIVEN_FOLDER + quote(number, safe=" ()+,@#").replace(".", "%2E")
    return name if len(name) <= _MOST_BYTES else None


def given_in(folders: Sequence[str]) -> str | None:
    """Return the return that the sender of an upload named, from the folders of the photo."""
    # INTAKE/uploads/DAY-PERSON/return=NUMBER/…, see usecases.intake_uploads.
    if len(folders) < 3 or folders[-1] != "uploads" or not folders[-3].startswith(_GIVEN_FOLDER):
        return None
    return return_number(unquote(folders[-3].removeprefix(_GIVEN_FOLDER)))


def linked(
    given: str | None, shown: Shown, slip: SlipLink | None, folder: str | None, name: str | None
) -> Link:
    """Return the link of a photo from what is known of it, the strongest first. See docs/returns.md."""
    known: list[tuple[LinkSource, str]] = []
    if given is not None:
        known.append((LinkSource.GIVEN, given))
    if shown.number is not None:
        is_slip = slip is not None and slip.is_slip
        known.append((LinkSource.THE_SLIP if is_slip else LinkSource.CODE, shown.number))
    elif slip is not None and slip.number is not None:
        known.append((LinkSource.SLIP, slip.number))
    if folder is not None:
        known.append((LinkSource.FOLDER, folder))
    if name is not None:
        known.append((LinkSource.FILE_NAME, name))
    number, source = (known[0][1], known[0][0]) if known else (None, None)
    against = [f"{each}: {other}" for each, other in known if other != number]
    if number not in shown.numbers:
        against += [f"{LinkSource.CODE}: {other}" for other in shown.numbers]
    if slip is not None and slip.number is None and shown.number is None and number is None:
        against.append(f"{LinkSource.SLIP}: ?")
    if shown.number is not None and source is LinkSource.GIVEN and slip is not None and slip.is_slip:
        # A slip counts for nothing, also if its sender named the return.
        source = LinkSource.THE_SLIP
    return Link(number, source.value if source else None, "; ".join(against) or None)
