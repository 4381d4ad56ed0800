"""Words for two photos that are the same: what a person decided, and what differs."""

from typing import Protocol

from returns_pipeline.languages import N_, Words, gettext
from returns_pipeline.records.likeness import MatchDecision, MatchKind, PhotoChange, StoredMatch

#: What a person decided about two photos.
DECISIONS = Words(
    {
        MatchDecision.CONFIRMED: N_("the same photo"),
        MatchDecision.DISMISSED: N_("different photos"),
        MatchDecision.UNKNOWN: N_("unknown"),
    }
)

#: How the later photo differs from the earlier one.
CHANGES = Words(
    {
        PhotoChange.MIRRORED: N_("The later photo is mirrored."),
        PhotoChange.TURNED: N_("The later photo is turned."),
        PhotoChange.CROPPED: N_("The later photo is cropped."),
        PhotoChange.FRAMED: N_("The later photo has a frame."),
        PhotoChange.BRIGHTER: N_("The later photo is brighter."),
        PhotoChange.DARKER: N_("The later photo is darker."),
        PhotoChange.UNKNOWN: N_("The later photo was changed."),
    }
)


class _Photo(Protocol):
    """A photo of a match, see `store.match_lists.MatchedPhoto`."""

    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def number(self) -> str | None: ...
    @property
    def order_number(self) -> str | None: ...
    @property
    def customer(self) -> str | None: ...


def differences(stored: StoredMatch, photo: _Photo, earlier: _Photo) -> list[str]:
    """Return what is equal and what differs between two photos and their returns, in sentences."""
    if stored.match.kind is MatchKind.EXACT:
        found = [gettext("Both files are equal.")]
    else:
        found = [CHANGES[each] for each in stored.match.changes]
        if not found:
            found.append(gettext("Both show the same picture; the later file was saved again."))
        if _pixels(photo) != _pixels(earlier):
            found.append(gettext("The later photo has another size."))
    if photo.number is None or earlier.number is None:
        return found
    for mine, theirs, equal, other in (
        (photo.order_number, earlier.order_number, _SAME_ORDER, _OTHER_ORDER),
        (photo.customer, earlier.customer, _SAME_CUSTOMER, _OTHER_CUSTOMER),
    ):
        if mine and theirs:
            found.append(gettext(equal if mine == theirs else other))
    return found


_SAME_ORDER = N_("Both returns are of the same order.")
_OTHER_ORDER = N_("The returns are of different orders.")
_SAME_CUSTOMER = N_("Both returns are of the same customer.")
_OTHER_CUSTOMER = N_("The returns are of different customers.")


def _pixels(photo: _Photo) -> tuple[int, ...]:
    return tuple(sorted((photo.width or 0, photo.height or 0)))
