"""`returns-pipeline retention`: what is older than it may be kept, and its removal by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import Json

if TYPE_CHECKING:
    from returns_pipeline.records.removal import OldRunCounts, RetentionCounts
    from returns_pipeline.usecases.strays import Strays

#: Why the rows of an old run are kept, by KeptRun.
_KEPT_RUNS = {
    "has photos": "its photos are not removed yet",
    "stays in intake": "a photo could not be moved out of its intake",
    "waits for review": "a photo waits for a review",
    "has open return": "a return is not decided",
    "is evidence": "a photo of a return that is not decided repeats one of its photos",
    "has files to remove": "the file of a deleted photo is still there",
    "is newest": "it has the newest photo or the newest review",
}


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed; change nothing.")
    ] = False,
    with_strays: Annotated[
        bool,
        typer.Option("--strays", help="Remove also old files of these folders that belong to no image."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove the photos that are older than RETURNS_KEEP_DAYS now. Their results stay.

    Photos that wait for a review, and those of runs that are not finished, are kept. With
    RETURNS_KEEP_ROWS_DAYS, the rows of older runs are removed too; counts and categories of a run stay.
    """
    from returns_pipeline.photos.sources import Sources
    from returns_pipeline.usecases import old_runs, retention, strays

    settings, database = open_installation()
    photos = Sources()
    oldest = None
    if dry_run:
        counts, oldest = retention.preview(settings, database)
        rows = old_runs.preview(settings, database)
    else:
        counts = retention.remove_all(settings, database, photos)
        rows = old_runs.remove_all(settings, database)
    found = strays.look(settings, database, photos, removes_old=with_strays and not dry_run)
    if as_json:
        console.print_json(
            {
                "dry_run": dry_run,
                "keep_days": settings.keep_days,
                **counts._asdict(),
                "oldest": oldest.isoformat() if oldest else None,
                "keep_rows_days": settings.keep_rows_days,
                "rows": rows._asdict(),
                "strays": [_as_dict(each) for each in found],
            }
        )
        return
    verb = "Would remove" if dry_run else "Removed"
    for line in _lines(verb, counts):
        console.print_line(line)
    if oldest:
        console.print_line(f"The oldest came in on {oldest:%Y-%m-%d}.")
    if settings.keep_rows_days:
        for line in _row_lines(verb, rows):
            console.print_line(line)
    for each in found:
        if each.files:
            console.print_line(_stray_line(each))


def _lines(verb: str, counts: "RetentionCounts") -> list[str]:
    from returns_pipeline.report.words import RETENTION_KEPT, counted

    removed = counted(counts.removed, "photo")
    places = f"archive {counts.archive:,}, quarantine {counts.quarantine:,}, spool {counts.spool:,}"
    lines = [f"{verb} {removed}, {counts.size:,} bytes: {places}."]
    return lines + [
        sentence.format(count=f"{count:,}")
        for name, sentence in RETENTION_KEPT.items()
        if (count := getattr(counts, name))
    ]


def _row_lines(verb: str, rows: "OldRunCounts") -> list[str]:
    from returns_pipeline.report.words import counted

    lines = [f"{verb} the rows of {counted(rows.runs, 'run')}, {counted(rows.images, 'photo')}."]
    return lines + [
        f"Kept the rows of {counted(count, 'run')}: {_KEPT_RUNS[reason]}."
        for reason, count in rows.kept.items()
    ]


def _stray_line(each: "Strays") -> str:
    from returns_pipeline.report.words import counted

    found = f"{each.folder}: {counted(each.files, 'file')} of no image, {each.size:,} bytes"
    return f"{found}; removed {each.removed:,}." if each.removed else f"{found}."


def _as_dict(each: "Strays") -> dict[str, Any]:
    return {**each._asdict(), "oldest": each.oldest.isoformat() if each.oldest else None}
