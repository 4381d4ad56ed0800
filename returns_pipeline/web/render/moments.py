"""Moments for people: in the installation's time zone, in the form of the reader's language."""

from datetime import datetime
from zoneinfo import ZoneInfo

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from returns_pipeline.languages import moment_text


@pass_context
def moment(context: Context, value: datetime | None, form: str = "minute") -> Markup:
    """Return an aware moment as a `time` element, in the page's `zone`; empty for None."""
    if value is None:
        return Markup()
    return time_element(value, context["zone"], form)


def time_element(value: datetime, zone: ZoneInfo, form: str = "minute") -> Markup:
    """Return an aware moment as a `time` element in a time zone; `form` is minute, second or long.

    `page.js` shows the same in the form of the browser's country.
    """
    local = value.astimezone(zone)
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(
        local.isoformat(timespec="seconds"), form, moment_text(value, zone, form)
    )
