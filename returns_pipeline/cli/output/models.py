"""Models and their changes as tables for people and as plain values for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from returns_pipeline.cli.console import print_line
from returns_pipeline.records.models import ModelChange
from returns_pipeline.records.text import printable
from returns_pipeline.report.changes import Changes
from returns_pipeline.report.words import counted
from returns_pipeline.terminal import Terminal, plain_table
from returns_pipeline.usecases.models import Version

#: Changed files that are printed for people. JSON has all of them.
MAX_FILES = 20


def version_as_dict(version: Version) -> dict[str, Any]:
    """Return a version as the JSON that the command line prints."""
    return {
        "name": version.ref.name,
        "version": version.ref.version,
        "stage": version.stage,
        "shadow_share": version.row.shadow_share if version.row else None,
        "registered": version.row is not None,
        "on_disk": version.bundle is not None,
        "accuracy": version.metrics.get("accuracy"),
        "recipe": version.bundle.recipe if version.bundle else None,
        "created": version.created_at.isoformat() if version.created_at else None,
        "fault": version.fault or None,
    }


def bundle_as_dict(version: Version) -> dict[str, Any]:
    """Return the contents of the bundle; if it is not on disk, the metrics in the database."""
    bundle = version.bundle
    if bundle is None:
        return {"metrics": version.metrics}
    return {
        "folder": str(bundle.folder),
        "digest": bundle.digest,
        "labels": bundle.labels,
        "main_categories": bundle.main_categories,
        "input": asdict(bundle.input),
        "command": bundle.command,
        "data": bundle.data,
        "metrics": bundle.metrics,
    }


def change_as_dict(change: ModelChange) -> dict[str, Any]:
    """Return a change as the JSON that the command line prints."""
    return {**asdict(change), "changed_at": change.changed_at.isoformat()}


def changes_as_dict(changes: Changes) -> dict[str, Any]:
    """Return the differences between two versions as the JSON that the command line prints."""
    return {
        "both": changes.both,
        "same": changes.same,
        "changed": changes.changed,
        "unanswered": changes.unanswered,
        "transitions": [
            {"before": before, "after": after, "images": images}
            for before, after, images in changes.transitions
        ],
        "files": [pair._asdict() for pair in changes.files],
    }


def print_label_changes(changes: Changes) -> None:
    """Print the differences between two versions: counts, changes of label, files."""
    share = f" ({changes.changed / changes.both:.2%})" if changes.both else ""
    unanswered = f", {changes.unanswered:,} without a second prediction" if changes.unanswered else ""
    print_line(
        f"Both predicted {counted(changes.both, 'image')}: {changes.same:,} with the same label, "
        f"{changes.changed:,} with another{share}{unanswered}."
    )
    if changes.transitions:
        table = plain_table()
        table.add_column("before", overflow="fold")
        table.add_column("after", overflow="fold")
        table.add_column("images", justify="right", no_wrap=True)
        for before, after, images in changes.transitions:
            table.add_row(before, after, f"{images:,}")
        Terminal().print_table(table)
    for pair in changes.files:
        print_line(f"{pair.path}  {pair.before} -> {pair.after or 'no prediction'}")
    rest = changes.changed + changes.unanswered - len(changes.files)
    if rest:
        print_line(f"… and {counted(rest, 'more file')}.")


def print_versions(versions: Sequence[Version]) -> None:
    """Print a line for each version."""
    table = plain_table()
    for name in ("model", "stage", "accuracy", "recipe", "created, UTC"):
        table.add_column(name, justify="right" if name == "accuracy" else "left", no_wrap=True)
    for version in versions:
        stage = Text(str(version.stage), "green" if version.stage == "active" else "")
        if version.row and version.row.shadow_share:
            stage.append(f", shadow {version.row.shadow_share:.0%}", "default")
        table.add_row(
            str(version.ref),
            stage,
            _share(version.metrics.get("accuracy")),
            version.bundle.recipe if version.bundle else "cannot be used",
            f"{version.created_at:%Y-%m-%d %H:%M}" if version.created_at else "",
        )
    if versions:
        Terminal().print_table(table)
    else:
        print_line("There is no model.")
    for version in versions:
        if version.fault:
            print_line(f"{version.ref} cannot be used: {version.fault}")


def print_version(version: Version, changes: Sequence[ModelChange]) -> None:
    """Print one version, its metrics and its history."""
    bundle = version.bundle
    lines: dict[str, object] = {"Model": version.ref, "Stage": version.stage}
    if version.created_at:
        lines["Created"] = f"{version.created_at:%Y-%m-%d %H:%M} UTC"
    if bundle:
        size = bundle.input
        lines["Input"] = f"{size.height} x {size.width} x {size.channels}"
        lines["Labels"] = ", ".join(bundle.labels)
        lines["Recipe"] = bundle.recipe
        lines["Command"] = bundle.command
        lines["Folder"] = bundle.folder
        lines |= {f"Data, {name}": printable(value) for name, value in bundle.data.items()}
    else:
        lines["Fault"] = version.fault
    lines |= dict(version.metrics)
    width = max(map(len, lines)) + 1
    for name, value in lines.items():
        print_line(f"{name:<{width}} {value}")
    print_changes(changes)


def print_changes(changes: Sequence[ModelChange]) -> None:
    """Print a line for each change."""
    for change in changes:
        before = f"{change.before} -> " if change.before is not None else ""
        what = f"{change.action} {change.name} {before}{change.after or 'none'}"
        forced = ", forced" if change.forced else ""
        reason = f": {change.reason}" if change.reason else ""
        moment = f"{change.changed_at:%Y-%m-%d %H:%M:%S} UTC"
        print_line(f"{moment}  {what}{forced} ({change.who}){reason}")
    if not changes:
        print_line("There are no changes yet.")


def _share(value: Any) -> str:
    return f"{value:.2%}" if isinstance(value, int | float) else ""
