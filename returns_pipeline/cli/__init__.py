"""The command line: one module a command group. `main` turns every error into a sentence and an exit code."""

import sys

import typer

from returns_pipeline.cli import (
    access,
    data,
    db,
    demo,
    doctor,
    evaluate,
    images,
    models,
    processes,
    requests,
    runs,
    status,
    train,
    web,
)
from returns_pipeline.errors import PipelineError
from returns_pipeline.private_files import denied

app = typer.Typer(
    help="Classifies the photos of returned items: from an intake folder to a report, without losing any.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("up")(processes.up)
app.add_typer(db.app, name="db")
app.command("scan")(requests.scan)
app.command("classify")(requests.classify)
app.add_typer(runs.app, name="runs")
app.add_typer(images.app, name="images")
app.command("retry")(requests.retry)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.add_typer(train.app, name="train")
app.command("evaluate")(evaluate.evaluate)
app.command("accuracy")(evaluate.accuracy)
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.command("web")(web.web)
app.add_typer(access.users_app, name="users")
app.add_typer(access.tokens_app, name="tokens")
for command in (processes.worker, processes.beat, processes.flower):
    app.command(context_settings=processes.PASS_ON)(command)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a wrong setting or a refused request.
    """
    try:
        try:
            app()
        except PermissionError as error:
            raise denied(error) from error
    except PipelineError as fault:
        sys.stderr.write(f"Error: {fault.message}\n")
        if fault.advice:
            sys.stderr.write(f"{fault.advice}\n")
        sys.exit(fault.exit_code)
