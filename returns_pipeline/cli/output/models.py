"""Models and their changes as tables for people and as plain values for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from returns_pipeline.cli.console import plain_table, print_line
from returns_pipeline.records.models import ModelChange
from returns_pipeline.report.changes import Changes
from returns_pipeline.report.words import counted
from returns_pipeline.usecases.models import Version

#: Changed files that are printed for people. JSON has all of them.
MAX_FILES = 20

_console = Console()


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
    _console.print(
        f"Both predicted {counted(changes.both, 'image')}: {changes.same:,} with the same label, "
        f"{changes.changed:,} with another{share}{unanswered}.",
        soft_wrap=True,
        highlight=False,
    )
    if changes.transitions:
        table = plain_table()
        table.add_column("before")
        table.add_column("after")
        table.add_column("images", justify="right")
        for before, after, images in changes.transitions:
            table.add_row(Text(before), Text(after), f"{images:,}")
        _console.print(table)
    for pair in changes.files:
        # A file name may contain bytes that are not UTF-8.
        path = pair.path.encode("utf-8", "backslashreplace").decode()
        print_line(f"{path}  {pair.before} -> {pair.after or 'no prediction'}")
    rest = changes.changed + changes.unanswered - len(changes.files)
    if rest:
        _console.print(f"… and {counted(rest, 'more file')}.", highlight=False)


def print_versions(versions: Sequence[Version]) -> None:
    """Print a line for each version."""
    table = plain_table()
    for name in ("model", "stage", "accuracy", "recipe", "created, UTC"):
        table.add_column(name, justify="right" if name == "accuracy" else "left", no_wrap=True)
    for version in versions:
        stage = f"[green]{version.stage}[/]" if version.stage == "active" else str(version.stage)
        if version.row and version.row.shadow_share:
            stage += f", shadow {version.row.shadow_share:.0%}"
        table.add_row(
            Text(str(version.ref)),
            stage,
            _share(version.metrics.get("accuracy")),
            Text(version.bundle.recipe if version.bundle else "no bundle on disk"),
            f"{version.created_at:%Y-%m-%d %H:%M}" if version.created_at else "",
        )
    _console.print(table if versions else "There is no model.")


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
        lines |= {f"Data, {name}": value for name, value in bundle.data.items()}
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
        _console.print("There are no changes yet.")


def _share(value: Any) -> str:
    return f"{value:.2%}" if isinstance(value, int | float) else ""
