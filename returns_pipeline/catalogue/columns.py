"""The fields of a product, and which column or path of a file is which field."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.text import label_key

#: The fields of a product. Every other column is an attribute.
FIELDS = (
    "id",
    "title",
    "brand",
    "category",
    "price",
    "currency",
    "rating",
    "ratings",
    "stock",
    "description",
    "images",
)
#: Fields that several columns may make up.
_SEVERAL = frozenset({"category", "images"})

#: {field: the name or the path of its column}; of a field of _SEVERAL also a list of them.
ColumnMapping: TypeAlias = Mapping[str, str | list[str]]

#: Names that are recognised; of several columns that can be one field, the earlier name counts. Case, `_`,
#: `-`, `.` and spaces do not matter: `images.src` is the key `src` of an object, or of objects in a list.
_NAMES = {
    "id": "product id|product number|id|sku|article number|article id|article no|item number|item id|item no|"
    "number|product|article|item|code|handle|asin|gtin|ean|produkt id|produktnummer|artikelnummer|artikel nr|"
    "artikelnr|artikel id|art nr|bestellnummer|nummer|produkt|artikel",
    "title": "title|product title|product name|product display name|name|item name|article name|titel|"
    "bezeichnung|artikelbezeichnung|produktbezeichnung|produktname|artikelname",
    "brand": "brand|brand name|manufacturer|manufacturer name|vendor|marke|markenname|hersteller",
    "price": "price|current price|selling price|unit price|price amount|price value|amount|price current|"
    "sale price|regular price|list price|preis|verkaufspreis|vk preis|vk|bruttopreis|preis brutto",
    "currency": "currency|currency code|price currency|price currency code|währung|waehrung|währungscode",
    "rating": "rating|average rating|rating value|rating rate|rating average|avg rating|review rating|stars|"
    "bewertung|durchschnittsbewertung|bewertung durchschnitt|sterne",
    "ratings": "rating count|ratings count|number of ratings|num ratings|review count|reviews count|"
    "number of reviews|num reviews|ratings|anzahl bewertungen|bewertungen",
    "stock": "stock|stock quantity|quantity|quantity in stock|inventory|inventory quantity|qty|"
    "available quantity|in stock|availability|bestand|lagerbestand|menge|lager|auf lager|verfügbar|"
    "verfügbarkeit",
    "description": "description|product description|long description|body html|short description|"
    "beschreibung|produktbeschreibung|langbeschreibung|kurzbeschreibung",
}
#: The columns of a category's path, from the widest to the narrowest.
_LEVELS = (
    "category path|category|category name|categories|categories name|product category|product type|"
    "google product category|kategoriepfad|kategorie|warengruppe|produktkategorie|produktgruppe|"
    "category 1|kategorie 1",
    "main category|master category|department|hauptkategorie",
    "sub category|subcategory|category 2|unterkategorie|kategorie 2",
    "article type|category 3|artikeltyp|artikelart|kategorie 3",
)
#: Columns with pictures; a number may follow. Those of the second line count if no other has one.
_PICTURES = (
    "images|image|pictures|picture|photos|photo|image link|image links|image url|image urls|images url|"
    "image src|images src|image path|image file|picture url|img|img url|additional image link|"
    "additional images|bild|bilder|bild url|bilder url|bildpfad|bilddatei|bildlink",
    "thumbnail|thumbnail url|thumb|vorschaubild",
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNIT = re.compile(r"\s*(?:\([^)]*\)|\[[^]]*\]| in (?:eur|euro|€|usd|\$|gbp|£|chf))$", re.IGNORECASE)
_NUMBERED = re.compile(r" ?[0-9]{1,2}$")


class Naming(NamedTuple):
    """What each column of a header is. `places` has the places of the columns of each field, in order.

    `attributes` are the other columns, and those that are a level of the category: (name, place).
    """

    header: tuple[str, ...]
    places: Mapping[str, Sequence[int]]
    attributes: Sequence[tuple[str, int]]


def _key(name: str) -> str:
    name = _UNIT.sub("", name.strip().removeprefix("g:"))
    return label_key(_HUMP.sub(" ", name).replace(".", " ").replace("#", " "))


def _ranks(names: str) -> dict[str, int]:
    return {_key(name): rank for rank, name in enumerate(names.split("|"))}


_RANKS = {field: _ranks(names) for field, names in _NAMES.items()}
_LEVEL_RANKS = [_ranks(names) for names in _LEVELS]
_PICTURE_RANKS = [_ranks(names) for names in _PICTURES]


def naming_of(header: Sequence[str], mapping: ColumnMapping, *, is_partial: bool = False) -> Naming:
    """Return what each column is. A column of the `mapping` is found whatever its name.

    Raises RefusedError if no column has the ids, or, unless `is_partial`, if the mapping names a column that
    the header does not have.
    """
    keys = [_key(name) for name in header]
    places: dict[str, list[int]] = {}
    for field, columns in mapping.items():
        for column in [columns] if isinstance(columns, str) else columns:
            if _key(column) in keys:
                places.setdefault(field, []).append(keys.index(_key(column)))
            elif not is_partial:
                raise RefusedError(
                    "The mapping says that the column of {field} is {column}, which the file does not have.",
                    "It has: {found}.",
                    field=field,
                    column=column,
                    found=_listed(header),
                )
    used = {place for found in places.values() for place in found}
    free = {place: key for place, key in enumerate(keys) if place not in used}
    for field, ranks in _RANKS.items():
        known = [place for place, key in free.items() if key in ranks]
        if field not in mapping and known:
            best = min(known, key=lambda place: ranks[keys[place]])
            places[field] = [best]
            del free[best]
    levels: list[int] = []
    if "category" not in mapping:
        levels = _levels(free)
        places |= {"category": levels} if levels else {}
    if "images" not in mapping and (pictures := _pictures(free)):
        places["images"] = pictures
    if "id" not in places:
        raise RefusedError(
            "No column has the ids of the products. The file has: {found}.",
            'Name it `id`, or use a mapping like {{"id": "Art.-Nr."}}: '
            "`returns-pipeline catalogue import FILE --mapping MAPPING.json`.",
            found=_listed(header),
        )
    plain = {place for field, found in places.items() for place in found if field != "category"}
    # A column that only says the category is no attribute; one that says a level of it is.
    plain |= {place for place in places.get("category", ()) if place not in levels or _is_whole(keys[place])}
    attributes = [(header[p].strip(), p) for p in range(len(header)) if p not in plain and header[p].strip()]
    return Naming(tuple(header), places, attributes)


def exact(fields: Iterable[str], attributes: Iterable[str]) -> Naming:
    """Return the naming of values that a program names itself: first those of FIELDS, then attributes."""
    known, others = tuple(fields), tuple(attributes)
    places = {field: (place,) for place, field in enumerate(known)}
    return Naming(
        (*known, *others), places, [(name, len(known) + place) for place, name in enumerate(others)]
    )


def recognised(header: Sequence[str], mapping: ColumnMapping) -> int:
    """Return how many columns are a field."""
    try:
        naming = naming_of(header, mapping, is_partial=True)
    except RefusedError:
        return 0
    return sum(map(len, naming.places.values()))


def _levels(free: Mapping[int, str]) -> list[int]:
    found = []
    for ranks in _LEVEL_RANKS:
        known = [place for place, key in free.items() if key in ranks]
        if known:
            found.append(min(known, key=lambda place: ranks[free[place]]))
    return found


def _is_whole(key: str) -> bool:
    return key in _LEVEL_RANKS[0]


def _pictures(free: Mapping[int, str]) -> list[int]:
    for ranks in _PICTURE_RANKS:
        found = [place for place, key in free.items() if key in ranks or _NUMBERED.sub("", key) in ranks]
        if found:
            return sorted(found, key=lambda place: (ranks.get(free[place], len(ranks)), place))
    return []


def checked_mapping(value: object) -> dict[str, str | list[str]]:
    """Return a mapping as {field: column, or columns}. Raises RefusedError for anything else."""
    if isinstance(value, dict) and value and all(_is_mapped(*each) for each in value.items()):
        return dict(value)
    raise RefusedError(
        "A mapping is a JSON object with the name of a column, or a path, for each field. Fields: {fields}.",
        'For example: {{"id": "Art.-Nr.", "price": "price.amount", "category": ["group", "type"]}}.',
        fields=", ".join(FIELDS),
    )


def _is_mapped(field: object, columns: object) -> bool:
    if field in _SEVERAL and isinstance(columns, list):
        return bool(columns) and all(isinstance(column, str) and column for column in columns)
    return field in FIELDS and isinstance(columns, str) and bool(columns)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] or "(empty)" for name in names[:20])
    return shown if len(names) <= 20 else f"{shown}, …"
