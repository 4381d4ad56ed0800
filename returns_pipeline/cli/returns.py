"""`returns-pipeline returns`: what was expected, and whether it came."""

import typer

from returns_pipeline.cli.return_decisions import decide, show
from returns_pipeline.cli.verdicts import evaluate

app = typer.Typer(help="Returns: what was expected, and whether it came.", no_args_is_help=True)
app.command("show")(show)
app.command("decide")(decide)
app.command("evaluate")(evaluate)
