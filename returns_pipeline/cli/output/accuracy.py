"""How often models are right, as tables for people and as plain values for JSON."""

from collections.abc import Sequence
from typing import Any

from returns_pipeline.cli.console import print_line
from returns_pipeline.records.accuracy import RECENT_DAYS, Estimate, ModelAccuracy
from returns_pipeline.report.words import right_labels, share_of_right
from returns_pipeline.terminal import Terminal, plain_table


def as_dict(found: Sequence[ModelAccuracy], left_out: int) -> dict[str, Any]:
    """Return the estimates as the JSON that the command line prints."""
    return {
        "days": RECENT_DAYS,
        "left_out": left_out,
        "versions": [
            {
                "model": str(each.model),
                "intake": each.intake,
                "recent": each.recent._asdict() if each.recent else None,
                "categories": [{"label": label, **of_label._asdict()} for label, of_label in each.categories],
                "weeks": [{"monday": monday.isoformat(), **week._asdict()} for monday, week in each.weeks],
            }
            for each in found
        ],
    }


def print_accuracy(found: Sequence[ModelAccuracy], left_out: int) -> None:
    """Print a sentence, the categories and the weeks of each version and intake."""
    for each in found:
        print_line(f"{each.model}, photos of {each.intake}" if each.intake else f"{each.model}, photos sent")
        if each.recent:
            print_line(f"{right_labels(each.recent)} (last {RECENT_DAYS} days)")
        _print_table("category", [(label, of_label) for label, of_label in each.categories])
        _print_table("week of", [(monday.isoformat(), week) for monday, week in each.weeks])
    if not found:
        print_line("No photo of this model was drawn for a review yet.")
    if left_out:
        print_line(f"Left out, because no sample of their sure photos is known: {left_out} runs.")


def _print_table(name: str, rows: Sequence[tuple[str, Estimate]]) -> None:
    if not rows:
        return
    table = plain_table()
    table.add_column(name, overflow="fold")
    for column in ("photos", "looked at", "right", "still to look at"):
        table.add_column(column, justify="right", no_wrap=True)
    for first, each in rows:
        more = f"{each.more:,}" if each.more else ""
        table.add_row(first, f"{each.photos:,}", f"{each.reviewed:,}", share_of_right(each), more)
    Terminal().print_table(table)
