"""Finds pictures and links on a shop's pages: by CSS rules, or by JSON-LD (schema.org) without any rule."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from parsel import Selector
from scrapy.http import TextResponse

from returns_pipeline.collecting.job import Rules

#: Where elements keep an address: `srcset` is left out, because `src` has the same picture.
_ATTRIBUTES = ("content", "href", "data-src", "src")
#: Levels of objects inside of objects; a page may nest them without end.
_MOST_LEVELS = 20
_PRODUCTS = frozenset({"Product", "ProductGroup", "ProductModel", "IndividualProduct"})


class Found(NamedTuple):
    """A picture on a page: its address as the page writes it, its category and licence, perhaps empty."""

    address: str
    category: str
    licence: str


def pictures(response: TextResponse, rules: Rules) -> Iterator[Found]:
    """Yield the pictures of a page."""
    stated = list(_json_ld(response))
    category = _category(response, rules, stated)
    if rules.image:
        for address in addresses(response, rules.image):
            yield Found(address, category, rules.licence)
        return
    for product in (each for each in stated if _types(each) & _PRODUCTS):
        own = category if rules.label or rules.category else _text(product.get("category")) or category
        for image in _list(product.get("image")):
            licence = _text(image.get("license")) if isinstance(image, dict) else ""
            for address in _image_addresses(image):
                yield Found(address, own, licence or rules.licence)


def links(response: TextResponse, rules: Rules) -> Iterator[str]:
    """Yield the addresses that a page leads to: by the rules; else the items of a list and its next page."""
    for rule in rules.links:
        yield from addresses(response, rule)
    if rules.links:
        return
    for each in _json_ld(response):
        if "ItemList" in _types(each):
            for element in _list(each.get("itemListElement")):
                yield from filter(None, [_address_of_item(element)])
    yield from response.css("a[rel~=next]::attr(href), link[rel~=next]::attr(href)").getall()


def addresses(response: TextResponse, rule: str) -> Iterator[str]:
    """Yield what a CSS rule selects: `a.next::attr(href)`, or the address of each element of `img.main`."""
    for found in response.css(rule):
        if not _is_element(found):
            yield found.get().strip()
            continue
        yield from [found.attrib[name].strip() for name in _ATTRIBUTES if found.attrib.get(name)][:1]


def _category(response: TextResponse, rules: Rules, stated: Iterable[dict[str, Any]]) -> str:
    if rules.label:
        return rules.label
    if rules.category:
        found = response.css(rules.category)
        texts = (
            " ".join(each.xpath("string()" if _is_element(each) else ".").getall()).strip() for each in found
        )
        return next(filter(None, texts), "")
    for each in stated:
        if "BreadcrumbList" in _types(each):
            names = [
                name for element in _list(each.get("itemListElement")) if (name := _name_of_item(element))
            ]
            # The last one is the page itself.
            return names[-2] if len(names) > 1 else ""
    return ""


def _is_element(found: Selector) -> bool:
    """Whether a rule selected an element, and not an attribute or a text."""
    return not isinstance(found.root, str)


def _json_ld(response: TextResponse) -> Iterator[dict[str, Any]]:
    """Yield every object of a page's JSON-LD, those inside of others too."""
    for script in response.xpath("//script[contains(@type, 'application/ld+json')]/text()").getall():
        try:
            content = json.loads(script, strict=False)
        except (ValueError, RecursionError):
            continue
        yield from _objects(content, _MOST_LEVELS)


def _objects(content: object, levels: int) -> Iterator[dict[str, Any]]:
    if levels and isinstance(content, list):
        for each in content:
            yield from _objects(each, levels - 1)
    elif levels and isinstance(content, dict):
        yield content
        for each in content.values():
            if isinstance(each, list | dict):
                yield from _objects(each, levels - 1)


def _types(content: dict[str, Any]) -> set[str]:
    return {
        str(name).removeprefix("https://schema.org/").removeprefix("http://schema.org/")
        for name in _list(content.get("@type"))
    }


def _image_addresses(image: object) -> Iterator[str]:
    if isinstance(image, str):
        yield image.strip()
    elif isinstance(image, dict):
        found = next((image[key] for key in ("contentUrl", "url", "@id") if image.get(key)), None)
        yield from (each.strip() for each in _list(found) if isinstance(each, str))


def _address_of_item(element: object) -> str:
    if not isinstance(element, dict):
        return element if isinstance(element, str) else ""
    item = element.get("item")
    return _text(element.get("url")) or (
        _text(item.get("url") or item.get("@id")) if isinstance(item, dict) else _text(item)
    )


def _name_of_item(element: object) -> str:
    if not isinstance(element, dict):
        return ""
    item = element.get("item")
    return _text(element.get("name")) or (_text(item.get("name")) if isinstance(item, dict) else "")


def _text(value: object) -> str:
    """Return a text, or that of the first element of a list, or the name of an object."""
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    if isinstance(value, dict):
        return _text(value.get("name") or value.get("url") or value.get("@id"))
    return value.strip() if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
