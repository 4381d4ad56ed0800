"""What leaves the program as text: on every terminal, to every kind of output, in every sheet."""

import csv
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from returns_pipeline.cli.commands import app
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.access import Role
from returns_pipeline.records.text import printable
from returns_pipeline.report.csv_table import from_text
from returns_pipeline.settings import load_settings
from returns_pipeline.store import access, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.models import register
from returns_pipeline.usecases.runs import scan
from tests.commands import Output
from tests.databases import write_migrated_sqlite
from tests.support import CLI, Installation, write_images, write_stub_bundle

#: Names that a terminal, a sheet or a page would obey.
NAMES = (
    "=1+1_label_0",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1",
    "'=1",
    "\N{FULLWIDTH EQUALS SIGN}1",
    "a;=1",
    "\t=1",
    "\x1b[31mred",
    "\x9b31mred",
    "\x1b]0;title\x07",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\N{ZERO WIDTH SPACE}zero",
    "two\nlines",
    "back\rward",
    "[bold]b",
    "[link=http:x]l[",
    ":smile:",
    "鞋" * 40,
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{WOMAN}",
    os.fsdecode(b"caf\xe9"),
)

_ODD = "[red]\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}\n"

#: Every command that only reads, with arguments for the installation below.
READING = {
    "status": [],
    "doctor": [],
    "accuracy": ["reports/run-1/results.csv"],
    "catalogue imports": [],
    "catalogue status": [],
    "runs list": [],
    "runs show": ["1"],
    "images list": ["--run", "1"],
    "models list": [],
    "models show": ["stub/1"],
    "models compare": ["stub/1", "--shadow"],
    "models history": [],
    "models proposals": [],
    "models accuracy": ["stub"],
    "data check": ["photos"],
    "notify list": [],
    "feed status": [],
    "users list": [],
    "tokens list": [],
    "audit list": [],
    "returns imports": [],
}
#: The others: they change something, run for long, or need a model.
OTHERS = {
    *("demo", "up", "scan", "classify", "retry", "evaluate", "web", "worker", "beat", "flower", "db upgrade"),
    *("backup", "restore"),
    *(
        "train fashion-mnist",
        "train fashion-mnist-plus",
        "train quick",
        "train cnn",
        "train transfer",
        "train outfit",
    ),
    *("models register", "models promote", "models rollback", "models shadow"),
    *(
        "data fashion-mnist",
        "data from-csv",
        "data from-reviews",
        "models quantize",
        "models retrain",
        "models familiarity",
        "users add",
        "users password",
        "users role",
        "users disable",
    ),
    *("notify test", "notify retry", "notify secret", "users enable", "tokens add", "tokens revoke"),
    *("feed retry", "images delete", "retention", "returns evaluate", "returns show", "returns decide"),
    *(
        "returns import",
        "returns delete-customer",
        "returns evaluate-reuse",
        "returns evaluate-products",
        "catalogue import",
        "catalogue show",
        "catalogue remove",
    ),
    *("plan", "collect", "events import", "events forget", "recommendations show", "recommendations learn"),
    *("recommendations evaluate", "catalogue embed", "catalogue evaluate", "train embedding"),
}


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
        return
    for name, child in children.items():
        yield from _commands(child, (*path, name))


@pytest.fixture(scope="module")
def odd_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Give an installation whose photos, labels, users and history have names that must not be obeyed."""
    folder = tmp_path_factory.mktemp("odd")
    bundle = write_stub_bundle(folder / "models")
    write_migrated_sqlite(folder / "home" / "returns.sqlite3")
    settings = load_settings(
        home=folder / "home", models_dir=folder / "models", model="stub", runtime="stub", settle_seconds=0
    )
    database = Database(settings.database_url)
    home = Installation(settings, database)
    for path, name in zip(write_images(settings.incoming_dir, len(NAMES)), NAMES, strict=True):
        path.rename(path.with_name(f"{name}.png"))
    (settings.incoming_dir / "\x1bempty.png").write_bytes(b"")
    context, queue = home.in_process()
    scan(context, "night")
    queue.deliver(context)
    for label in ("[red] a", "b"):
        write_images(settings.home / "photos" / label, 2)
        (settings.home / "photos" / label / "\x1btwo\nlines.png").write_bytes(b"")
    access.add_user(database, _ODD, "x" * 64, Role.VIEWER)
    access.add_token(database, _ODD, "x" * 64, Role.VIEWER)
    register(settings, database, bundle.folder, "odd", _ODD)
    with Processes(settings) as processes:
        processes.start_redis()
        yield home
    database.close()


def test_every_command_is_tried_or_named() -> None:
    """A new command is tried below, or it is named as one that does more than read."""
    assert {name for name, _ in _commands(get_command(app))} == set(READING) | OTHERS


def test_every_number_of_an_option_is_bounded() -> None:
    """No number is too large for a database or for a list: the command refuses it with its bounds."""
    for name, command in _commands(get_command(app)):
        for parameter in command.params:
            kind = getattr(parameter, "type_descriptor", None)
            if kind is not None and kind.annotation is int:
                bounds = kind.parameter_info
                assert bounds.min is not None, (name, parameter.name)
                assert bounds.max < 2**63, (name, parameter.name)


@pytest.mark.parametrize("command", READING)
def test_a_terminal_shows_names_and_obeys_none(odd_home: Installation, command: str) -> None:
    """What cannot be printed is an escape, in tables, lines and errors; markup in a name stays as it is."""
    done = odd_home.run(*command.split(), *READING[command], COLUMNS="300")
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    assert all(line.isprintable() for line in printed.split("\n")), printed
    if command == "images list":
        for name in NAMES:
            assert len(name) > 30 or printable(f"{name}.png") in printed, name
        assert len(printed.splitlines()) <= len(NAMES) + 8
    if command in {"users list", "tokens list"}:
        assert printable(_ODD) in printed
    if command == "models history":
        assert f"({printable(_ODD)})" in printed
    if command == "data check":
        assert "[red] a" in printed
        assert r"\x1btwo\nlines.png" in printed


@pytest.mark.parametrize("command", READING)
def test_every_kind_of_output_ends_with_a_code_and_without_a_traceback(
    odd_home: Installation, command: str
) -> None:
    """Narrow, without Unicode, full, closed, or left by its reader: a sentence or silence, no traceback."""
    words = [*command.split(), *READING[command]]
    narrow = odd_home.run(*words, COLUMNS="20", TERM="dumb", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert narrow.stdout.isascii()
    assert narrow.stdout
    full = odd_home.run(*words, to=Output.FULL)
    assert full.returncode == 1
    assert "The output cannot be written: No space left on device." in full.stderr
    left = odd_home.run(*words, to=Output.LEFT)
    assert left.returncode == 141
    assert "Error" not in left.stderr
    assert odd_home.run(*words, to=Output.CLOSED).returncode == 1
    assert "Traceback" not in narrow.stderr + full.stderr + left.stderr


def test_nothing_is_cut_off_in_a_narrow_terminal(odd_home: Installation) -> None:
    """A table that is wider than its terminal wraps; headings and numbers stay whole."""
    for columns in ("20", "40", "80"):
        table = odd_home.run("runs", "list", COLUMNS=columns).stdout
        assert "classified quarantined failed" in table
        assert "…" not in table
    assert max(map(len, table.splitlines())) <= 80
    shown = odd_home.run("runs", "show", "1", COLUMNS="20").stdout
    assert "quarantined" in shown
    assert "…" not in shown


def test_json_keeps_every_name_as_it_is(odd_home: Installation) -> None:
    """For programs a path is exact: it opens the file."""
    found = odd_home.json("images", "list", "--run", "1")
    assert {Path(image["path"]).name for image in found} >= {f"{name}.png" for name in NAMES}
    assert all(Path(image["archived_path"]).is_file() for image in found)


def test_a_sheet_computes_nothing_of_results_csv(odd_home: Installation) -> None:
    """No cell starts a formula, also after spaces, quotes and separators; each value can be had back."""
    run = runs.existing(odd_home.database, 1)
    assert run.csv is not None
    with run.csv.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    cells = {cell for row in rows for text in row.values() for cell in text.split(";")}
    assert not [
        cell
        for cell in cells
        if cell.lstrip(" \"'")[:1] in set("=+-@\t\N{FULLWIDTH EQUALS SIGN}") and cell[:1] != "'"
    ]
    assert {from_text(row["filename"]) for row in rows} >= {printable(f"{name}.png") for name in NAMES}
    assert all(0 <= float(row["probability"]) <= 1 for row in rows if row["probability"])
    assert odd_home.json("accuracy", str(run.csv))["n"] == 1


def test_a_version_that_no_database_takes_does_not_exist(odd_home: Installation) -> None:
    """The number of a version may be of any length."""
    for number in ("9" * 20, "9" * 5000):
        done = odd_home.run("models", "show", f"stub/{number}")
        assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr


@pytest.mark.parametrize(
    ("arguments", "started"),
    [(["users", "add", "ada"], b"Password"), (["data", "from-csv", "/dev/stdin", "--out", "out"], b"")],
)
def test_ctrl_c_ends_a_command_quietly(
    sqlite_home: Installation, arguments: list[str], started: bytes
) -> None:
    """While a command waits for input, Ctrl-C ends it with 130 and without a traceback."""
    process = subprocess.Popen(
        [*CLI, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=sqlite_home.environment(),
        cwd=sqlite_home.settings.home,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    printed = b""
    while started not in printed:
        printed += os.read(process.stdout.fileno(), 100)
    if not started:
        process.stdin.write(b"label,pixel1\n1,2\n")
        process.stdin.flush()
        while not list((sqlite_home.settings.home / "out").rglob("image_0_label_1.png")):
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed + rest
    assert b"Traceback" not in printed + rest
