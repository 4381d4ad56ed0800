"""`returns-pipeline doctor`: whether everything is there that a night needs."""

import json
from dataclasses import asdict
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Check everything a night needs and say what to do about what is wrong. Exit code 3 on a fault."""
    from returns_pipeline.cli import output
    from returns_pipeline.host.doctor import examine
    from returns_pipeline.settings import load_settings

    checks = examine(load_settings())
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        output.print_checks(checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(3)
