"""`returns-pipeline returns`: what was expected, and whether it came."""

import typer

from returns_pipeline.cli.verdicts import evaluate

app = typer.Typer(help="Returns: what was expected, and whether it came.", no_args_is_help=True)
app.command("evaluate")(evaluate)
