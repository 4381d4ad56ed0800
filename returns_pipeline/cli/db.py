"""`returns-pipeline db`: the database's tables."""

import typer

from returns_pipeline.cli import console

app = typer.Typer(help="The database's tables.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `upgrade` a command of a group, though it is the only one."""


@app.command()
def upgrade() -> None:
    """Migrate the database to the tables of this version; create it if there is none."""
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database, safe

    database = Database(load_settings().database_url)
    database.upgrade()
    current, _ = database.revision()
    console.print_line(f"{safe(database.url)} is at revision {current}.")
