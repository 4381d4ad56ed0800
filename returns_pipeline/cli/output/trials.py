"""Backbones that were tried, as a table for people and as plain values for JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from returns_pipeline.cli.console import print_line
from returns_pipeline.terminal import Terminal, plain_table

if TYPE_CHECKING:
    from returns_pipeline.training.trials.backbones import Tried
    from returns_pipeline.training.trials.choice import Choice
    from returns_pipeline.training.trials.run import Trial


def as_dict(trial: "Trial", choice: "Choice", command: str) -> dict[str, Any]:
    """Return the comparison as the JSON that the command line prints."""
    return {
        "trained": trial.trained,
        "judged": trial.judged,
        "backbones": [_row(each) for each in trial.tried],
        "missing": [each._asdict() for each in trial.missing],
        "best": choice.best.backbone,
        "choice": choice.chosen.backbone,
        "side": choice.chosen.size.height,
        "command": command,
    }


def _row(each: "Tried") -> dict[str, Any]:
    low, high = each.interval
    return {
        "backbone": each.backbone,
        "parameters": each.parameters,
        "input": asdict(each.size),
        "accuracy": each.accuracy,
        "low": low,
        "high": high,
        "milliseconds": each.milliseconds,
        "int8_milliseconds": each.int8_milliseconds,
        "bytes": each.file_bytes,
        "seconds": each.seconds,
    }


def print_trial(trial: "Trial", choice: "Choice", command: str) -> None:
    """Print the table, what could not be tried, and which backbone to train."""
    has_int8 = any(each.int8_milliseconds is not None for each in trial.tried)
    table = plain_table()
    table.add_column("backbone", overflow="fold")
    headings = ["parameters", "input", "right", "ms a photo", *(["in int8"] if has_int8 else []), "MB", "s"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for each in trial.tried:
        low, high = each.interval
        table.add_row(
            each.backbone,
            f"{each.parameters:,}",
            f"{each.size.width} x {each.size.height}",
            f"{each.accuracy:.1%} ({100 * low:.1f} to {100 * high:.1f})",
            f"{each.milliseconds:.1f}",
            *([f"{each.int8_milliseconds:.1f}"] if each.int8_milliseconds is not None else []),
            f"{each.file_bytes / 1e6:.1f}",
            f"{each.seconds:.0f}",
        )
    Terminal().print_table(table)
    print_line(
        f"A linear classifier on each, trained with {trial.trained:,} photos and judged on {trial.judged:,}, "
        "with 95 % intervals; a whole training gives other numbers. ms: CPU time on one core."
    )
    for missing in trial.missing:
        print_line(f"Not tried: {missing.backbone}. {missing.reason} {missing.advice}".rstrip())
    print_line(_reason(choice))
    print_line(f"To train it: {command}")


def _reason(choice: "Choice") -> str:
    chosen, best = choice
    if chosen is best:
        return f"Choose {_named(chosen)}: it is right most often, and no faster one is nearly as good."
    return (
        f"Choose {_named(chosen)}: {_named(best)} is right most often, but the difference is within one "
        f"standard error, and {_named(chosen)} takes {1 - chosen.cost / best.cost:.0%} less time."
    )


def _named(each: "Tried") -> str:
    return f"{each.backbone} ({each.size.width} x {each.size.height})"
