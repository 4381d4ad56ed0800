"""`returns-pipeline runs`: what happened."""

from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database
from returns_pipeline.cli.options import MOST, MOST_ID, Json

app = typer.Typer(help="Runs: what happened.", no_args_is_help=True)


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="Number of runs.")] = 20, as_json: Json = False
) -> None:
    """Show the newest runs."""
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.store import runs

    found = runs.latest(open_database(), limit)
    if as_json:
        console.print_json([output.run_as_dict(run) for run in found])
    else:
        output.print_runs(found)


@app.command("show")
def show_run(
    run_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=MOST_ID)], as_json: Json = False
) -> None:
    """Show one run in numbers."""
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.store import runs

    run = runs.existing(open_database(), run_id)
    if as_json:
        console.print_json(output.run_as_dict(run))
    else:
        output.print_run(run)
