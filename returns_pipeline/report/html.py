"""Jinja as every page of this program uses it: escaped, and strict about names that are missing."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from returns_pipeline.languages import (
    category,
    current,
    date_text,
    decimal,
    gettext,
    moment_text,
    number,
    percent,
    plural,
    retold,
)
from returns_pipeline.records.text import printable_lines


@cache
def template_environment(package: str) -> Environment:
    """Return the environment of the templates in the folder `templates` of a package.

    A value is shown with escapes in place of characters that cannot be printed: a name cannot reverse the
    writing direction of its page. A value that a form sends back takes the filter `exact`.

    `{% trans %}`, `_()` and `ngettext()` speak the language of the request. A sentence is HTML of the
    template; its values are escaped. The global `language()` is the code of that language.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension adds it
    environment.globals |= {"gettext": _gettext, "_": _gettext, "ngettext": _ngettext, "language": current}
    environment.globals["design"] = design
    environment.filters |= {
        "exact": escape,
        "category": category,
        "retold": retold,
        "number": number,
        "decimal": decimal,
        "percent": percent,
        "day": date_text,
        "moment_in": moment_text,
    }
    return environment


@cache
def design() -> Markup:
    """Return the style sheet that pages and reports share, to be written into a `style` element."""
    text = files("returns_pipeline.report").joinpath("styles", "design.css").read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def _gettext(message: str, /, **values: Any) -> Markup:
    """Return a sentence of a template. Its values are `%(name)s`, so a `%` is written twice."""
    return _filled(gettext(message), values)


def _ngettext(one: str, several: str, num: int, /, **values: Any) -> Markup:
    """Return the form of a sentence for a number; values that are this number are shown with separators."""
    text = plural(one, several, num)
    shown = {name: number(num) if value is num else value for name, value in values.items()}
    return _filled(text, {"num": number(num), **shown})


def _filled(text: str, values: dict[str, Any]) -> Markup:
    return Markup(text) % {name: _shown(value) for name, value in values.items()}  # noqa: S704 - our own text


def _shown(value: Any) -> Any:
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value
