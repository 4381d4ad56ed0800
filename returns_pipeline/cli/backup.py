"""`returns-pipeline backup` and `restore`: copies of the whole installation."""

from pathlib import Path
from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.options import Json

WithoutDatabase = Annotated[
    bool,
    typer.Option("--without-database", help="Only the folders: the database is copied by other means."),
]


def backup(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the backup. One from before is brought up to date.")
    ],
    without_database: WithoutDatabase = False,
    as_json: Json = False,
) -> None:
    """Copy the database and the folders, also while photos are classified."""
    from returns_pipeline.cli.installation import open_installation
    from returns_pipeline.host import backup

    settings, database = open_installation()
    done = backup.back_up(settings, database, folder.absolute(), with_database=not without_database)
    if as_json:
        console.print_json({"folder": str(folder.absolute()), **done._asdict()})
        return
    content = "the folders" if without_database else "the database and the folders"
    console.print_line(f"{folder} has {content}: {done.files:,} files, of which {done.copied:,} are new.")
    for place in done.left_out:
        console.print_note(f"{place} is not copied: let the store keep versions or a replica.")


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup.")],
    without_database: WithoutDatabase = False,
    as_json: Json = False,
) -> None:
    """Bring a backup back into empty folders and an empty database, before any worker starts.

    Ends with 1 if photos are missing, and names them.
    """
    from returns_pipeline.host.restore import restore
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database

    settings = load_settings()
    database = Database(settings.database_url)
    found = restore(settings, database, folder.absolute(), with_database=not without_database)
    if as_json:
        console.print_json(found._asdict())
    else:
        console.print_line(
            f"Restored {found.kept:,} photos that were moved, {found.waiting:,} that wait, and "
            f"{found.others:,} other files."
        )
        if found.returned:
            console.print_line(
                f"{found.returned:,} photos that an object store archived after the backup wait in it again."
            )
        for path in found.missing:
            console.print_line(f"Missing: {path}")
    if found.missing:
        raise typer.Exit(1)
