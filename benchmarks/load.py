"""`make load`: how fast single photos and batches over HTTP get their predictions, beside other servers.

Clients: wrk, each of whose connections sends its next request when it has a response; and requests at fixed
moments, whether or not earlier ones have a response, which show the waiting time of a server that stalls.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.data.fashion import write_images
from benchmarks.serving.clients import Waits, wrk
from benchmarks.serving.goals import Compared, judged
from benchmarks.serving.measuring import MANY, Figures, Plan, measure
from benchmarks.serving.site import bento_command, peer, plain_command, site
from returns_pipeline.errors import PipelineError
from tests.databases import postgres_server
from tests.web import free_port

_PHOTOS = 200
_WARM_SECONDS = 3.0
#: Most seconds of 20 requests a second on the second database.
_STEADY_SECONDS = 60


def load(
    seconds: Annotated[
        float, typer.Option(min=1, help="How long wrk sends, for each number of clients.")
    ] = 10,
    steady: Annotated[
        float, typer.Option(min=0, help="Seconds of 20 requests a second; 0: leave this part out.")
    ] = 300,
    night: Annotated[
        int, typer.Option(min=0, help="Images of a night beside requests; 0: leave this part out.")
    ] = 500_000,
    postgresql: Annotated[bool, typer.Option(help="Measure on PostgreSQL too.")] = True,
    bento: Annotated[
        Path | None, typer.Option(help="Python of an environment with bentoml, openvino and pillow.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Print the table of goals with reached or missed. Exit code 1 on a wrong response."""
    console = Console(highlight=False, width=110)
    console.print(machine.as_line(machine.describe()))
    try:
        found = _measured(Plan(seconds, steady, night), bento, console.print, postgresql=postgresql)
    except PipelineError as fault:
        console.print(f"Error: {fault}", style="red")
        sys.exit(1)
    table = Table("what", "goal", "measured", "")
    for line in judged(found):
        table.add_row(line.what, line.goal, line.figure, line.verdict)
    console.print(table)
    if output:
        output.write_text(json.dumps(_named(found), indent=2), encoding="utf-8")


def _named(figures: Any) -> Any:
    """Return named tuples within named tuples as objects of JSON."""
    if not hasattr(figures, "_asdict"):
        return figures
    return {name: _named(value) for name, value in figures._asdict().items()}


def _measured(plan: Plan, bento: Path | None, say: Callable[[str], None], *, postgresql: bool) -> Compared:
    with tempfile.TemporaryDirectory(prefix="returns-load-") as name:
        folder = Path(name)
        photos = folder / "photos"
        write_images(photos, _PHOTOS)
        plain = _peer("plain FastAPI process", plain_command, photos, plan, say)
        other = None
        if bento:
            other = _peer("BentoML", lambda port: bento_command(bento, port), photos, plan, say)
        here = _site(folder / "sqlite", None, photos, plan, say)
        there = None
        if postgresql:
            with postgres_server() as url:
                short = plan._replace(steady_seconds=min(plan.steady_seconds, _STEADY_SECONDS), night=0)
                there = _site(folder / "postgresql", url, photos, short, say)
    return Compared(here, plain, other, there)


def _peer(
    title: str, command: Callable[[int], list[str]], photos: Path, plan: Plan, say: Callable[[str], None]
) -> Waits:
    port = free_port()
    with peer(port, command(port)):
        wrk(port, photos, 8, _WARM_SECONDS)
        waits = wrk(port, photos, MANY, plan.seconds)
    say(f"{title}, {MANY} clients: {waits.predicted:.0f} predictions/s, p50 {waits.p50:.1f} ms")
    return waits


def _site(home: Path, url: str | None, photos: Path, plan: Plan, say: Callable[[str], None]) -> Figures:
    with site(home, url) as settings:
        say("PostgreSQL:" if url else "SQLite:")
        return measure(settings, photos, plan, say)


if __name__ == "__main__":
    typer.run(load)
