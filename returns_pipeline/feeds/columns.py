"""Which column of a feed has the addresses, and which the numbers of the returns."""

from collections.abc import Iterable, Mapping, Sequence

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.text import label_key, printable

#: Names of columns of picture addresses without capitals and separators, the usual ones first.
ADDRESSES = (
    *("image", "imageurl", "imagelink", "images", "picture", "pictureurl", "photo", "photourl"),
    *("address", "url", "src", "thumbnail", "link"),
)
_NUMBERS = ("return", "returnnumber", "returnno", "returnid", "rma", "rmanumber", "retourennummer", "number")


def column(header: Iterable[object], usual: Sequence[str]) -> str | None:
    """Return the column that has the first of the usual names; None without one."""
    found: Mapping[str, str] = {_key(name): name for name in header if isinstance(name, str)}
    return next((found[name] for name in usual if name in found), None)


def columns_of(header: Sequence[str]) -> tuple[str, str | None]:
    """Return the columns of the addresses and of the returns. Raises RefusedError without the first."""
    address = column(header, ADDRESSES)
    if address is None:
        raise RefusedError(
            "The feed has no column of addresses. It has: {found}.",
            "Name it `image_url`.",
            found=printable(", ".join(header))[:500],
        )
    return address, column(header, _NUMBERS)


def recognised(header: Sequence[str]) -> int:
    """Return how many columns are known."""
    return sum(_key(name) in {*ADDRESSES, *_NUMBERS} for name in header)


def _key(name: str) -> str:
    return label_key(name.replace(".", " ")).replace(" ", "")
