"""`returns-pipeline doctor`: whether everything that the nightly scan needs is there."""

from dataclasses import asdict

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.options import Json


def doctor(as_json: Json = False) -> None:
    """Check everything that the nightly scan needs; advise on each fault. Exit code 3 on a fault."""
    from returns_pipeline.cli.output.status import print_checks
    from returns_pipeline.host.doctor import examine
    from returns_pipeline.settings import load_settings

    checks = examine(load_settings())
    if as_json:
        console.print_json([asdict(check) for check in checks])
    else:
        print_checks(checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(3)
