"""Jinja as every page of this program uses it: escaped, and strict about names that are missing."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from returns_pipeline.records.text import printable_lines


@cache
def template_environment(package: str) -> Environment:
    """Return the environment of the templates in the folder `templates` of a package.

    A value is shown with escapes in place of characters that cannot be printed: a name cannot reverse the
    writing direction of its page. A value that a form sends back takes the filter `exact`.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["exact"] = escape
    environment.globals["design"] = design
    return environment


@cache
def design() -> Markup:
    """Return the style sheet that pages and reports share, to be written into a `style` element."""
    text = files("returns_pipeline.report").joinpath("styles", "design.css").read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def _shown(value: Any) -> Any:
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value
