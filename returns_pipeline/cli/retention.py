"""`returns-pipeline retention`: what is older than RETURNS_KEEP_DAYS, and its removal by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import Json

if TYPE_CHECKING:
    from returns_pipeline.records.removal import RetentionCounts
    from returns_pipeline.usecases.strays import Strays


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

    Photos that wait for a review, and those of runs that are not finished, are kept.
    """
    from returns_pipeline.photos.sources import Sources
    from returns_pipeline.usecases import retention, strays

    settings, database = open_installation()
    photos = Sources()
    oldest = None
    if dry_run:
        counts, oldest = retention.preview(settings, database)
    else:
        counts = retention.remove_all(settings, database, photos)
    found = strays.look(settings, database, photos, removes_old=with_strays and not dry_run)
    if as_json:
        console.print_json(
            {
                "dry_run": dry_run,
                "keep_days": settings.keep_days,
                **counts._asdict(),
                "oldest": oldest.isoformat() if oldest else None,
                "strays": [_as_dict(each) for each in found],
            }
        )
        return
    verb = "Would remove" if dry_run else "Removed"
    for line in _lines(verb, counts):
        console.print_line(line)
    if oldest:
        console.print_line(f"The oldest came in on {oldest:%Y-%m-%d}.")
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


def _stray_line(each: "Strays") -> str:
    from returns_pipeline.report.words import counted

    found = f"{each.folder}: {counted(each.files, 'file')} of no image, {each.size:,} bytes"
    return f"{found}; removed {each.removed:,}." if each.removed else f"{found}."


def _as_dict(each: "Strays") -> dict[str, Any]:
    return {**each._asdict(), "oldest": each.oldest.isoformat() if each.oldest else None}
