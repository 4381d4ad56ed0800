"""Returns are imported from files, line by line, on both databases."""

# ruff: noqa: S608 - every value in these statements is of this file

import csv
import json
import os
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from openpyxl import Workbook
from pyarrow import parquet

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.returns import ImportCounts, ReturnAction
from returns_pipeline.store import return_imports, return_mappings, returns, tables
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import customers, judging, manifests, runs
from returns_pipeline.usecases.manifests import Imported, import_file
from tests.support import Installation, write_images

HEADER = ("number", "order", "expected", "customer", "date", "note")
ROWS = [
    ("R-1", "B1", "dark", "K1", "2026-11-01", "torn"),
    ("R-2", "B2", "Bright", "K2", "01.11.2026", ""),
    ("R-3", "B3", "white", "K1", "2026-11-03", 'with; a "quote"\nand two lines'),
]


def write_csv(path: Path, rows: Sequence[Sequence[str]], delimiter: str = ";") -> Path:
    """Write a manifest as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([HEADER, *rows])
    return path


def take(home: Installation, path: Path, **mapping: str) -> Imported:
    """Import a manifest."""
    return import_file(home.settings, home.database, path, "ann", mapping)


def queued(database: Database) -> list[str]:
    """Return the numbers of the returns that wait for judging."""
    query = sa.select(tables.returns.c.number).join(tables.returns_to_judge)
    with database.read() as connection:
        return sorted(connection.execute(query).scalars())


def forms(folder: Path) -> dict[str, Path]:
    """Write the same manifest in every form."""
    found = {"csv": write_csv(folder / "a.csv", ROWS), "tab": write_csv(folder / "a.txt", ROWS, "\t")}
    book = Workbook()
    assert book.active is not None
    for row in (HEADER, *ROWS):
        book.active.append(row)
    book.active["E2"] = date(2026, 11, 1)
    book.save(folder / "a.xlsx")
    lines = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in ROWS]
    (folder / "a.jsonl").write_text("\n".join(lines))
    columns = {name: [row[place] for row in ROWS] for place, name in enumerate(HEADER)}
    parquet.write_table(pa.table(columns), folder / "a.parquet")
    return found | {each: folder / f"a.{each}" for each in ("xlsx", "jsonl", "parquet")}


def test_every_form_says_the_same_and_a_second_import_changes_nothing(
    home: Installation, tmp_path: Path
) -> None:
    """The first import adds, all further ones in any form change nothing and queue nothing."""
    for place, (form, path) in enumerate(forms(tmp_path).items()):
        counts = take(home, path).counts
        expected = ImportCounts(3, added=3) if place == 0 else ImportCounts(3, unchanged=3)
        assert counts == expected, form
    found = returns.find(home.database, "R-2")
    assert found is not None
    assert (found.expected_label, found.announced_on, found.note) == ("bright", date(2026, 11, 1), None)
    assert found.due_at is not None
    assert (found.due_at.date() - date(2026, 11, 1)).days == home.settings.missing_days
    third = returns.find(home.database, "R-3")
    assert third is not None
    assert third.note == ROWS[2][5]
    assert queued(home.database) == []
    imports = return_imports.latest(home.database, 10)
    assert [each.counts.unchanged for each in imports] == [3, 3, 3, 3, 0]
    assert all(each.finished_at for each in imports)


def test_a_changed_line_updates_its_return_and_judges_it(home: Installation, tmp_path: Path) -> None:
    """Only what changed is written; a column that the file does not have keeps its values."""
    take(home, write_csv(tmp_path / "a.csv", ROWS))
    (tmp_path / "b.csv").write_text("RMA;Kategorie;Datum\nR-1;dim;\nR-2;bright;2026-11-05\nR-3;white;\n")
    counts = take(home, tmp_path / "b.csv").counts
    assert counts == ImportCounts(3, changed=2, unchanged=1)
    # Both were judged in the same step.
    assert queued(home.database) == []
    first, second = (returns.find(home.database, number) for number in ("R-1", "R-2"))
    assert first is not None
    assert second is not None
    assert (first.expected_label, first.customer, first.note) == ("dim", "K1", "torn")
    assert second.due_at is not None
    assert (second.due_at.date() - date(2026, 11, 5)).days == home.settings.missing_days
    changes = [
        each for each in returns.history(home.database, first.id) if each.action != ReturnAction.VERDICT
    ]
    (event,) = changes
    assert (event.action, event.who) == (ReturnAction.CHANGED, "ann")
    assert event.detail["before"] == {"expected_label": "dark"}
    assert event.detail["after"] == {"expected_label": "dim"}


def test_a_bad_line_is_refused_alone(home: Installation, tmp_path: Path) -> None:
    """Each bad line has its number in the file, its return and its reason; the good ones are taken."""
    (tmp_path / "a.csv").write_text(
        "number;expected;date;note\n"
        "R-1;dark;2026-11-01;fine\n"
        ";dark;2026-11-01;\n"
        "R-3;brihgt;2026-11-01;\n"
        "R-4;dark;11/31/2026;\n"
        'R-5;dark;2026-11-01;"not closed\n'
        'R-6;dark;2026-11-01;a 5" screen\n'
        f"R-7;dark;2026-11-01;{'x' * 2001}\n"
        f"{'R' * 101};dark;2026-11-01;\n"
        "R-9;dark;2026-11-01;fine;too;many\n"
        "R-1;dim;2026-11-01;other\n"
        "R-1;dark;2026-11-01;fine\n"
        f"R-12;dark;2026-11-01;{'y' * 70_000}\n"
        "R-13;dark\n"
    )
    found = take(home, tmp_path / "a.csv")
    assert found.counts == ImportCounts(13, added=3, unchanged=1, refused=9)
    by_line = {each.line: each for each in found.refused}
    assert sorted(by_line) == [3, 4, 5, 6, 8, 9, 10, 11, 13]
    assert by_line[4].number == "R-3"
    assert "bright" in by_line[4].reason
    assert "quotation mark" in by_line[6].reason
    assert return_imports.faults(home.database, found.import_id) == found.refused
    for number in ("R-1", "R-6", "R-13"):
        assert returns.find(home.database, number) is not None, number
    again = take(home, tmp_path / "a.csv").counts
    assert again == ImportCounts(13, unchanged=4, refused=9)


def test_encodings_are_recognised(sqlite_home: Installation, tmp_path: Path) -> None:
    """UTF-8 with and without a mark, UTF-16 and Windows-1252 give the same umlauts."""
    text = "Rücksendung,Titel\nR-{0},Hüte für Mädchen\n"
    for place, encoding in enumerate(("utf-8", "utf-8-sig", "utf-16", "cp1252")):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(text.format(place).encode(encoding))
        assert take(sqlite_home, path).encoding == encoding.removesuffix("-sig")
        found = returns.find(sqlite_home.database, f"R-{place}")
        assert found is not None
        assert found.title == "Hüte für Mädchen"


def test_a_mapping_names_columns_and_is_saved(home: Installation, tmp_path: Path) -> None:
    """A mapping wins over recognised names; a saved one is found by its name, an unknown one is refused."""
    (tmp_path / "a.csv").write_text("Vorgang,Number,Was\nR-1,7,dark\n")
    mapping = {"number": "Vorgang", "expected": "Was"}
    return_mappings.save(home.database, "shop", {"number": "x"})
    return_mappings.save(home.database, "shop", mapping)
    assert take(home, tmp_path / "a.csv", **return_mappings.find(home.database, "shop")).counts.added == 1
    assert returns.find(home.database, "R-1") is not None
    with pytest.raises(NotFoundError):
        return_mappings.find(home.database, "other")
    with pytest.raises(RefusedError, match="Missing"):
        take(home, tmp_path / "a.csv", number="Missing")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"colour,size\nred,3\n"),
        ("a.csv", b"number,rma\n1,2\n"),
        ("a.xlsx", b"PK\x03\x04 no archive"),
        ("a.parquet", b"PAR1 no table"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("a.json", b'[{"number": "R-1"}]'),
        ("a.bin", b"\x7fELF\x00\x00"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_whole(
    sqlite_home: Installation, tmp_path: Path, name: str, content: bytes
) -> None:
    """A sentence says why, and no import is stored."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RefusedError):
        take(sqlite_home, tmp_path / name)
    assert return_imports.latest(sqlite_home.database, 1) == []


def test_the_drop_folder_is_taken_before_the_night(home: Installation) -> None:
    """Settled files are imported and moved with a report; a broken one stops neither others nor the night."""
    folder = home.settings.manifest_dir
    folder.mkdir()
    write_csv(folder / "b good.csv", ROWS)
    (folder / "a broken.xlsx").write_bytes(b"PK\x03\x04")
    (folder / "c picture.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.csv").write_text("number\nR-9\n")
    settings = home.settings.model_copy(update={"settle_seconds": 0.05})
    context, _ = Installation(settings, home.database).in_process()
    write_images(home.settings.incoming_dir, 2)
    time.sleep(0.1)
    (run,) = runs.scan_night(context)
    assert run
    assert {path.name for path in folder.iterdir() if path.is_file()} == {".hidden.csv", ".lock"}
    done = sorted(path.name for path in (folder / "done").iterdir())
    assert [name.partition("-b ")[2] for name in done] == ["good.csv", "good.csv.report.json"]
    report: dict[str, Any] = json.loads((folder / "done" / done[1]).read_text())
    assert (report["added"], report["refused_lines"]) == (3, [])
    refused = [json.loads(path.read_text()) for path in (folder / "refused").glob("*.json")]
    assert len(refused) == 2
    assert all(each["error"] for each in refused)
    assert manifests.take_dropped(context) == []


def test_a_file_that_is_still_written_waits(sqlite_home: Installation) -> None:
    """A file that changed a moment ago is left for the next night."""
    folder = sqlite_home.settings.manifest_dir
    folder.mkdir()
    path = write_csv(folder / "a.csv", ROWS)
    settings = sqlite_home.settings.model_copy(update={"settle_seconds": 30.0})
    context, _ = Installation(settings, sqlite_home.database).in_process()
    os.utime(path, (0, 0))  # a copy program sets the time back
    assert manifests.take_dropped(context) == []
    assert path.exists()


def test_a_customer_is_forgotten(home: Installation, tmp_path: Path) -> None:
    """Reference, order, note and photos are gone, the returns stay, and no import brings them back."""
    path = write_csv(tmp_path / "a.csv", ROWS)
    take(home, path)
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 3)
    runs.scan(context, "night")
    queue.deliver(context)
    first = returns.find(home.database, "R-1")
    assert first is not None
    with home.database.write() as connection:
        ids = list(connection.execute(sa.select(tables.images.c.id).limit(2)).scalars())
        connection.execute(
            sa.update(tables.images).where(tables.images.c.id.in_(ids)).values(return_id=first.id)
        )
    with home.database.write() as connection:
        returns.queue(connection, [first.id])
    judging.judge_queued(context)
    first = returns.find(home.database, "R-1")
    assert first is not None
    assert first.verdict
    done = customers.delete(home.settings, home.database, "K1", "ann")
    assert done == (2, 2, 0)
    judging.judge_queued(context)
    judged = returns.find(home.database, "R-1")
    assert judged is not None
    assert judged.verdict == first.verdict, "counts stand"
    assert len([each for each in home.settings.archive_dir.rglob("*") if each.is_file()]) == 1
    for number in ("R-1", "R-3"):
        found = returns.find(home.database, number)
        assert found is not None
        assert (found.customer, found.order_number, found.note) == (None, None, None)
        assert found.expected_label
    assert take(home, path).counts == ImportCounts(3, unchanged=3)
    with home.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                assert "K1" not in map(str, row), table.name
    with pytest.raises(NotFoundError):
        customers.delete(home.settings, home.database, "K1", "ann")


def test_a_return_that_a_photo_opened_is_announced_later(home: Installation, tmp_path: Path) -> None:
    """It keeps its row, gets its date, and is judged; opening it again finds the same row."""
    with home.database.write() as connection:
        opened = returns.ensure(connection, ["R-2", "R-8"], "code")
        assert returns.ensure(connection, ["R-8", "R-2"], "code") == opened
        assert returns.open_of(connection, ["R-2"]) == {}
    counts = take(home, write_csv(tmp_path / "a.csv", ROWS)).counts
    assert counts == ImportCounts(3, added=2, changed=1)
    found = returns.get(home.database, opened["R-2"])
    assert found is not None
    assert found.announced_on == date(2026, 11, 1)
    assert found.due_at is not None
    # It was announced longer ago than photos are waited for.
    actions = [each.action for each in returns.history(home.database, found.id)]
    assert actions == [ReturnAction.VERDICT, ReturnAction.IMPORTED]
    with home.database.write() as connection:
        assert returns.open_of(connection, ["R-2"]) == {"R-2": found.id}
    assert not returns.is_queued(home.database)


def test_the_commands_import_and_list(sqlite_home: Installation, tmp_path: Path) -> None:
    """`returns import` prints its counts and fails for refused lines; `returns imports` lists them."""
    path = write_csv(tmp_path / "a.csv", [*ROWS, ("R-4", "", "blue", "", "", "")])
    done = sqlite_home.run("returns", "import", str(path), "--json")
    assert done.returncode == 1, done.stderr
    printed = json.loads(done.stdout)
    assert (printed["added"], printed["refused"]) == (3, 1)
    assert printed["refused_lines"][0]["number"] == "R-4"
    (listed,) = sqlite_home.json("returns", "imports")
    assert (listed["source"], listed["lines"]) == ("a.csv", 4)
    assert len(sqlite_home.json("returns", "imports", "1")) == 1
    gone = sqlite_home.run("returns", "delete-customer", "K1", "--yes")
    assert (gone.returncode, "2 returns" in gone.stdout) == (0, True), gone.stderr


def test_lookups_use_an_index(home: Installation, tmp_path: Path) -> None:
    """A return is found by its number, the beginning of it, its order and its customer without a scan."""
    rows = [(f"R-{n}", f"B{n}", "dark", f"K{n}", "2026-11-01", "") for n in range(3000)]
    take(home, write_csv(tmp_path / "a.csv", rows))
    explain = "EXPLAIN QUERY PLAN" if home.database.is_sqlite else "EXPLAIN"
    with home.database.write() as connection:
        connection.exec_driver_sql("ANALYZE")
        for condition in (
            "number = 'R-7'",
            "number >= 'R-29' AND number < 'R-2:'",
            "order_number = 'B7'",
            "customer = 'K7'",
            "verdict IS NULL AND due_at IS NOT NULL AND due_at < '2020-01-01'",
        ):
            plan = connection.exec_driver_sql(f"{explain} SELECT id FROM returns WHERE {condition}")
            shown = "\n".join(str(row) for row in plan)
            assert "INDEX" in shown.upper(), (condition, shown)
            assert "SEQ SCAN" not in shown.upper(), (condition, shown)
            assert "SCAN RETURNS" not in shown.upper().replace("INDEX SCAN", ""), (condition, shown)
