"""How often a model is right, in sentences."""

from returns_pipeline.languages import decimal, gettext, ngettext
from returns_pipeline.records.accuracy import WANTED, Estimate


def right_labels(found: Estimate) -> str:
    """Return the share of right labels with its interval, and how many photos are missing if it is wide."""
    about: dict[str, object] = {"share": share_of_right(found), "wanted": decimal(100 * WANTED, 0)}
    if not found.more:
        return gettext("Right labels: {share}", **about)
    if found.right is None:
        return ngettext(
            "Right labels: not known yet; {count} more photo must be reviewed for ±{wanted} %",
            "Right labels: not known yet; {count} more photos must be reviewed for ±{wanted} %",
            found.more,
            **about,
        )
    return ngettext(
        "Right labels: {share}; {count} more photo must be reviewed for ±{wanted} %",
        "Right labels: {share}; {count} more photos must be reviewed for ±{wanted} %",
        found.more,
        **about,
    )


def share_of_right(found: Estimate) -> str:
    """Return the share with its interval, `96.2 % (94.8 to 97.3)`; empty if it is not known."""
    if found.right is None:
        return ""
    ends = {"low": decimal(100 * found.low), "high": decimal(100 * found.high)}
    return gettext("{right} % ({low} to {high})", right=decimal(100 * found.right), **ends)
