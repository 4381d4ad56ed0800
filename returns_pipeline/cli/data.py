"""`returns-pipeline data`: writes data sets as image files, and checks photos before a training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.options import MOST, Json

if TYPE_CHECKING:
    from returns_pipeline.training.labelled.checks import Findings

app = typer.Typer(
    help="Write data sets as image files; check photos before a training.", no_args_is_help=True
)


@app.command("fashion-mnist")
def fashion_mnist(
    out: Annotated[Path, typer.Option(help="Folder for the images; it is created if needed.")],
    split: Annotated[
        Literal["train", "test"], typer.Option(help="60,000 training or 10,000 test images.")
    ] = "test",
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Only the first N images.")] = None,
) -> None:
    """Write Fashion-MNIST as PNG files named image_{i}_label_{label}.png."""
    from returns_pipeline.report.words import counted
    from returns_pipeline.training.labelled import fashion_mnist as dataset

    data = dataset.load(split)
    count = sum(1 for _ in dataset.write_png(data.images[:limit], data.labels[:limit], out))
    console.print_line(f"{counted(count, 'image')} of the {split} split, in {out.absolute()}.")


@app.command("from-csv")
def from_csv(
    file: Annotated[Path, typer.Argument(help="CSV file with the header `label,pixel1,…`.")],
    out: Annotated[Path, typer.Option(help="Folder for the images; it is created if needed.")],
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Only the first N images.")] = None,
    flat: Annotated[
        bool, typer.Option("--flat", help="Write all images to one folder, without a folder for each label.")
    ] = False,
) -> None:
    """Write a CSV file of grey pixels, one image in each line, as PNG files in a folder for each label."""
    from returns_pipeline.report.words import counted
    from returns_pipeline.training.labelled import from_csv as pixels

    with console.progress_bar("Writing") as advance:
        count = 0
        for count, _ in enumerate(pixels.write_png(file, out, limit=limit, flat=flat), start=1):
            advance(count, limit)
    console.print_line(f"{counted(count, 'image is', 'images are')} in {out.absolute()}.")


@app.command("from-reviews")
def from_reviews(
    out: Annotated[Path, typer.Argument(help="A new folder for the photos.")],
    as_json: Json = False,
) -> None:
    """Write the photos that people reviewed as class folders; the random sample apart, to judge by."""
    from returns_pipeline.cli.reviewed_data import write

    written = write(out)
    if as_json:
        console.print_json(written._asdict())
        return
    from returns_pipeline.report.words import counted

    console.print_line(f"{counted(written.reviewed, 'photo')} to train on, in {out.absolute() / 'reviewed'}.")
    console.print_line(f"{counted(written.audit, 'photo')} to judge by, in {out.absolute() / 'audit'}.")
    console.print_line(f"{counted(written.none_of_these, 'photo')} of none of the categories.")
    console.print_line(f"Not written: {counted(written.other, 'photo')} without a category.")
    if written.conflicts:
        console.print_line(f"Reviews disagree on {counted(written.conflicts, 'photo')}: see conflicts.csv.")
    if written.left_out:
        console.print_line(f"{counted(written.left_out, 'photo')} cannot be written: see left-out.csv.")


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder for each label.")],
    mapping: Annotated[
        Path | None,
        typer.Option(help="CSV file (sub,main) or JSON file with the main category of each label."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read every photo and list what would spoil a training. Exit code 1 if there is anything."""
    from returns_pipeline.training.labelled import checks
    from returns_pipeline.training.labelled.folders import read_tree

    tree = read_tree(folder, mapping)
    with console.progress_bar("Checking") as advance:
        findings = checks.check(tree, advance)
    if as_json:
        console.print_json(_as_dict(findings))
    else:
        _print_findings(findings, folder)
    if findings.spoiling:
        raise typer.Exit(1)


def _as_dict(findings: "Findings") -> dict[str, object]:
    return {
        "labels": findings.labels.names,
        "main_categories": findings.labels.mains,
        "photos": {part: counts.tolist() for part, counts in findings.counts.items()},
        "unreadable": [
            {"path": str(file.path), "code": file.code, "detail": file.detail} for file in findings.unreadable
        ],
        "spoiling": findings.spoiling,
        "warnings": findings.warnings,
    }


def _print_findings(findings: "Findings", folder: Path) -> None:
    from rich.text import Text

    from returns_pipeline.terminal import Terminal, framed_table

    terminal = Terminal()
    terminal.print_line(f"Readable photos in {folder}")
    table = framed_table()
    labels = findings.labels
    columns = {"label": labels.names} | (
        {"main category": labels.mains} if labels.mains != labels.names else {}
    )
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for part in findings.counts:
        table.add_column(part, justify="right", no_wrap=True)
    for row, cells in enumerate(zip(*columns.values(), strict=True)):
        table.add_row(*cells, *(f"{counts[row]:,}" for counts in findings.counts.values()))
    table.add_section()
    totals = (f"{counts.sum():,}" for counts in findings.counts.values())
    table.add_row("all", *[""] * (len(columns) - 1), *totals)
    terminal.print_table(table)
    terminal.print_line(f"Photos of the largest and of the smallest label: {findings.imbalance:.1f} to 1")
    for file in findings.unreadable:
        terminal.print_line(f"{file.path}: {file.code}: {file.detail}")
    for style, sign, sentences in (
        ("red", "SPOILS", findings.spoiling),
        ("yellow", "note", findings.warnings),
    ):
        for sentence in sentences:
            terminal.print_line(Text(f"{sign:<6}", style), sentence)
    if not findings.spoiling:
        terminal.print_line(Text(f"{'ok':<6}", "green"), "Nothing here would spoil a training.")
