"""Evaluations and comparisons of models, as tables and lines for people."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_pipeline.cli.console import print_line, short_path
from returns_pipeline.report.words import counted
from returns_pipeline.terminal import Terminal, plain_table

if TYPE_CHECKING:
    from returns_pipeline.training.evaluation.comparison import Comparison

#: Most labels and files on a terminal; JSON and the page have all of them.
_MOST_LINES = 20


def print_classes(rows: list[dict[str, Any]]) -> None:
    """Print precision, recall and F1 of each label."""
    table = plain_table()
    table.add_column("label", overflow="fold")
    for heading in ("precision", "recall", "F1", "images"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shares = [f"{row[name]:.1%}" if row["support"] else "" for name in ("precision", "recall", "f1")]
        table.add_row(row["label"], *shares, f"{row['support']:,}")
    Terminal().print_table(table)


def print_evaluation(numbers: dict[str, Any]) -> None:
    """Print the numbers of an evaluation on labelled photos, and which files could not be read."""
    print_classes(numbers["per_class"])
    review, main = numbers["review"], numbers.get("main_accuracy")
    correct = "" if review["accuracy"] is None else f"; {review['accuracy']:.1%} of these are correct"
    lines = {
        "Model": numbers["model"],
        "Images": f"{numbers['n']:,}, and {len(numbers['unreadable']):,} unreadable files",
        "Accuracy": f"{numbers['accuracy']:.2%}" + ("" if main is None else f", main category {main:.2%}"),
        "Top 3": f"{numbers['top3_accuracy']:.2%}",
        "Loss": f"{numbers['loss']:.4f}",
        "ECE": f"{numbers['ece']:.4f}",
        "Review": f"{review['automatic']:.1%} need no review at threshold {review['rule']}{correct}",
        "Page": str(short_path(Path(numbers["report"]))),
    }
    for name, line in lines.items():
        print_line(f"{name:<9} {line}")
    unreadable = [f"{entry['path']}: {entry['detail']}" for entry in numbers["unreadable"]]
    if (more := len(unreadable) - _MOST_LINES) > 0:
        unreadable[_MOST_LINES:] = [f"{more:,} more; --json lists all of them"]
    for line in unreadable:
        print_line(f"unreadable  {line}")


def print_comparison(found: "Comparison", names: list[str]) -> None:
    """Print the labels on which two models differ most, and whether they differ significantly."""
    table = plain_table()
    table.add_column("label", overflow="fold")
    for heading in ("images", *names, "difference"):
        table.add_column(heading, justify="right", overflow="fold")
    shown = [row for row in found.labels if row.difference][:_MOST_LINES]
    for row in shown:
        shares = (f"{row.first:.1%}", f"{row.second:.1%}", f"{100 * row.difference:+.1f}")
        table.add_row(row.label, f"{row.images:,}", *shares)
    table.add_row(
        "all", f"{found.n:,}", f"{found.first:.1%}", f"{found.second:.1%}", f"{100 * found.difference:+.1f}"
    )
    Terminal().print_table(table)
    print_line(
        f"Only {names[0]} is correct on {counted(found.only_first, 'image')}, only {names[1]} on "
        f"{found.only_second:,}."
    )
    print_line(found.conclusion(*names))
