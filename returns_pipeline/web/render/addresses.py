"""What templates write for files of this server: addresses with the hash of the content, and symbols."""

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from returns_pipeline.web.static_files import static_address


@pass_context
def static(context: Context, name: str) -> str:
    """Return the address of a style sheet, a script or a picture of the pages."""
    return static_address(context["root"], name)


@pass_context
def icon(context: Context, name: str) -> Markup:
    """Return a symbol of `icons.svg`; it says nothing that the words beside it do not say."""
    address = static_address(context["root"], "icons.svg")
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(address, name)
