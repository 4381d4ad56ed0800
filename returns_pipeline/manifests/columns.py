"""The fields of a manifest, and which column of a file is which field."""

from collections.abc import Mapping, Sequence

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.text import label_key

#: The fields of a line, in this order. `expected` is a label or a main category.
FIELDS = ("number", "order", "expected", "main", "product", "title", "customer", "date", "note")

#: Names of columns that are recognised; case, `_`, `-`, `.` and spaces do not matter.
_NAMES = {
    "number": "number|return|return number|return no|return id|rma|rma number|rma no|rma id|nummer|retoure|"
    "retourennummer|retouren nr|retourennr|retoure nr|retournummer|rücksendenummer|rücksendung|rma nummer",
    "order": "order|order number|order no|order id|bestellung|bestellnummer|bestell nr|auftrag|"
    "auftragsnummer|auftrags nr",
    "expected": "expected|expected label|label|category|expected category|erwartet|erwartete kategorie|"
    "kategorie|warengruppe",
    "main": "main|main category|expected main label|expected main category|main label|hauptkategorie|"
    "erwartete hauptkategorie",
    "product": "product|product id|product number|sku|article|article number|item|item number|produkt|"
    "produktnummer|artikel|artikelnummer|artikel nr",
    "title": "title|product name|product title|name|description|titel|bezeichnung|artikelbezeichnung|"
    "produktname|artikelname",
    "customer": "customer|customer id|customer number|customer reference|customer no|kunde|kundennummer|"
    "kunden nr|kundenreferenz",
    "date": "date|announced|announced on|return date|datum|angemeldet|angemeldet am|retourendatum|"
    "ankündigung",
    "note": "note|notes|comment|remark|reason|return reason|notiz|bemerkung|kommentar|grund|retourengrund|"
    "anmerkung",
}


def _key(name: str) -> str:
    return label_key(name.replace(".", " ").replace("#", " "))


_FIELD_OF = {_key(name): field for field, names in _NAMES.items() for name in names.split("|")}


def fields_of(header: Sequence[str], mapping: Mapping[str, str]) -> list[str | None]:
    """Return the field of each column; None for a column that no field needs.

    `mapping` has the name of a column for each field that it names; the others are recognised. Raises
    RefusedError if a column of the mapping is missing, if two columns are the same field, or if no column
    has the numbers.
    """
    keys = [_key(name) for name in header]
    named = {_key(column): field for field, column in mapping.items()}
    for field, column in mapping.items():
        if _key(column) not in keys:
            raise RefusedError(
                "The mapping says that the column of {field} is {column}, which the file does not have.",
                "It has: {found}.",
                field=field,
                column=column,
                found=_listed(header),
            )
    found = [
        named.get(key) or (None if _FIELD_OF.get(key) in mapping else _FIELD_OF.get(key)) for key in keys
    ]
    for field in FIELDS:
        if found.count(field) > 1:
            twice = [name for name, each in zip(header, found, strict=True) if each == field]
            raise RefusedError(
                "More than one column can be {field}: {found}.",
                "Choose one with a mapping: `returns-pipeline returns import FILE --mapping MAPPING.json`.",
                field=field,
                found=_listed(twice),
            )
    if "number" not in found:
        raise RefusedError(
            "No column has the numbers of the returns. The file has: {found}.",
            'Name it `number`, or use a mapping like {{"number": "RMA"}}: '
            "`returns-pipeline returns import FILE --mapping MAPPING.json`.",
            found=_listed(header),
        )
    return found


def recognised(header: Sequence[str], mapping: Mapping[str, str]) -> int:
    """Return how many columns are a field."""
    known = {_key(column) for column in mapping.values()} | _FIELD_OF.keys()
    return sum(_key(name) in known for name in header)


def checked_mapping(value: object) -> dict[str, str]:
    """Return a mapping as {field: column}. Raises RefusedError for anything else."""
    if (
        not isinstance(value, dict)
        or not value
        or not all(field in FIELDS for field in value)
        or not all(isinstance(column, str) and column for column in value.values())
    ):
        raise RefusedError(
            "A mapping is a JSON object with the name of a column for each field. Fields: {fields}.",
            'For example: {{"number": "RMA", "expected": "Article group"}}.',
            fields=", ".join(FIELDS),
        )
    return dict(value)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] or "(empty)" for name in names[:20])
    return shown if len(names) <= 20 else f"{shown}, …"
