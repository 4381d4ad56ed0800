"""One line of a catalogue, unchecked, and the digest that tells whether it was taken before."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from returns_pipeline.catalogue.columns import ColumnMapping, Naming, exact, naming_of
from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.catalogue import MOST_OF_ID, RefusedProduct, product_id_of

#: Part of every digest: raised when the same line gives another product.
_FORM = b"1"
_DIGEST_BYTES = 16
#: Objects within objects; what lies deeper is kept as text.
_MOST_DEPTH = 5
#: Keys of lines whose naming is remembered. The objects of a file have few choices of keys.
_MOST_KNOWN = 1000

_NO_ID = N_("The line has no id of a product.")
_ODD_ID = N_("The id has more than {most} characters, or one that cannot be printed.").format(most=MOST_OF_ID)


class ProductLine(NamedTuple):
    """A line with its id. `values` are those of the header of its naming. Equal digests: equal lines."""

    number: int
    product_id: str
    digest: bytes
    naming: Naming
    values: Sequence[Any]


class Lines:
    """Makes lines of the values of a file."""

    def __init__(self, source: str, mapping: ColumnMapping, context: Sequence[object]) -> None:
        """`context` is what else decides what a line says: the folders of its pictures, its currency."""
        self._source, self._mapping = source, mapping
        self._context = repr([dict(mapping), *context]).encode("utf-8", "surrogateescape")
        self._known: dict[tuple[str, ...], tuple[Naming, Callable[[], Any]]] = {}

    def of_values(
        self, number: int, header: tuple[str, ...], values: Sequence[Any], *, is_partial: bool = False
    ) -> ProductLine | RefusedProduct:
        """Return a line. Raises RefusedError if its header has no ids; see `columns.naming_of`."""
        naming, begun = self._known.get(header) or self._learn(header, is_partial)
        return self._line(number, naming, begun(), values)

    def _line(
        self, number: int, naming: Naming, digest: "hashlib.blake2b", values: Sequence[Any]
    ) -> ProductLine | RefusedProduct:
        given = values[naming.places["id"][0]]
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        written = str(given) if isinstance(given, (str, int)) and not isinstance(given, bool) else ""
        product_id = product_id_of(written)
        if product_id is None:
            reason = _ODD_ID if written.strip() else _NO_ID
            return RefusedProduct(self._source, number, written[:MOST_OF_ID], reason)
        digest.update(repr(values).encode("utf-8", "surrogateescape"))
        return ProductLine(number, product_id, digest.digest(), naming, values)

    def of_object(self, number: int, value: Mapping[str, Any]) -> ProductLine | RefusedProduct:
        """Return the line of an object, whose objects within are flat: `dimensions.width`."""
        flat = flattened(value)
        try:
            return self.of_values(number, tuple(flat), tuple(flat.values()), is_partial=True)
        except RefusedError:
            return RefusedProduct(self._source, number, "", _NO_ID)

    def of_fields(
        self, number: int, fields: Mapping[str, Any], attributes: Mapping[str, Any]
    ) -> ProductLine | RefusedProduct:
        """Return the line of what a program sends; it has an id. No name is recognised but FIELDS."""
        naming = exact(fields, attributes)
        return self._line(
            number, naming, self._begun(naming.header), (*fields.values(), *attributes.values())
        )

    def _learn(self, header: tuple[str, ...], is_partial: bool) -> tuple[Naming, Callable[[], Any]]:
        naming = naming_of(header, self._mapping, is_partial=is_partial)
        begun = self._begun(header)
        if len(self._known) < _MOST_KNOWN:
            self._known[header] = naming, begun.copy
        return naming, begun.copy

    def _begun(self, header: tuple[str, ...]) -> "hashlib.blake2b":
        begun = hashlib.blake2b(_FORM + self._context, digest_size=_DIGEST_BYTES)
        begun.update(repr(header).encode("utf-8", "surrogatepass"))
        return begun


def flattened(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without objects within.

    `{"a": {"b": 1}}` is `a.b`. A list of objects is a list for each of their keys: `images.src`.
    """
    found: dict[str, Any] = {}
    _flatten("", value, 0, found, value)
    return found


def _flatten(name: str, value: Any, depth: int, found: dict[str, Any], top: Mapping[str, Any]) -> None:
    if depth > _MOST_DEPTH and isinstance(value, (dict, list)):
        found[name] = json.dumps(value, ensure_ascii=False, default=str)
    elif isinstance(value, dict):
        prefix = f"{name}." if name else ""
        for key, each in value.items():
            # What a file calls attributes is not repeated in each name.
            is_clear = name == "attributes" and key not in top
            _flatten(key if is_clear else f"{prefix}{key}", each, depth + 1, found, top)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for each in value:
            inner: dict[str, Any] = {}
            _flatten(name, each, depth + 1, inner, top)
            for key, part in inner.items():
                listed = found.setdefault(key, [])
                if isinstance(listed, list):
                    listed.extend(part if isinstance(part, list) else [part])
    elif isinstance(value, list):
        found[name] = [
            json.dumps(each, ensure_ascii=False, default=str) if isinstance(each, list) else each
            for each in value
        ]
    else:
        found[name] = value
