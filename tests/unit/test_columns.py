"""The table of columns is what every output shows of an image; every code has words."""

import csv
import io
from datetime import UTC, datetime
from enum import StrEnum

import pytest

from returns_pipeline.cli.output.runs import print_images
from returns_pipeline.errors import FaultCode
from returns_pipeline.records.images import ImageResult, ImageState
from returns_pipeline.records.models import ModelAction, ModelStage
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.records.text import file_name, printable
from returns_pipeline.report import words
from returns_pipeline.report.columns import COLUMNS, Output, as_dict, columns_of, texts, values
from returns_pipeline.report.csv_table import writer
from returns_pipeline.store.browsing import PAGE_COLUMNS
from returns_pipeline.store.images import RESULT_COLUMNS

_REPORT = ["filename", "prediction", "label", "probability", "decision", "state", "code", "detail", "path"]
_FINAL = ["final_label", "final_source", "review_outcome", "reviewed_by", "reviewed_at", "received_at"]
IMAGE = ImageResult(
    id=7,
    path="/srv/in/a\nb.png",
    state=ImageState.CLASSIFIED,
    code=None,
    detail=None,
    archived_path="/srv/archive/7.png",
    label_index=1,
    label="Trouser",
    probability=0.123456789,
    main_label="Clothes",
    decision="review",
    main_probability=0.5,
    run_id=3,
    deleted_at=None,
    photo_removed_at=None,
    familiarity=0.25,
    final_label="Dress",
    final_source="person",
    review_outcome="label",
    reviewed_label="Dress",
    reviewer="ann",
    reviewed_at=datetime(2026, 5, 4, 8, 30, tzinfo=UTC),
    received_at=datetime(2026, 5, 4, 2, tzinfo=UTC),
)


def test_clients_find_the_columns_that_they_know() -> None:
    """Names and order of the files are an interface: they change on purpose only."""
    names = {output: [column.name for column in columns_of(output)] for output in Output}
    assert names[Output.REPORT] == [*_REPORT, "archived_path", *_FINAL, "familiarity"]
    assert names[Output.EXPORT] == [*_REPORT[:-1], *_FINAL, "run", "familiarity"]
    assert all(len(set(each)) == len(each) for each in names.values())


def test_every_field_is_filled_by_its_own_column() -> None:
    """Queries fill the fields by position: a column in another place would be another field."""
    assert (*RESULT_COLUMNS, *PAGE_COLUMNS) == ImageResult._fields
    assert tuple(PAGE_COLUMNS) == tuple(ImageResult._field_defaults)
    of_runs = {Output.REPORT, Output.EXPORT, Output.JSON, Output.TABLE}
    assert not [each.name for each in COLUMNS if each.field in PAGE_COLUMNS and each.outputs & of_runs]


def test_a_csv_row_is_one_line_with_six_digits() -> None:
    """A control character in a name makes no second row; a probability has a fixed number of digits."""
    stream = io.StringIO()
    write = writer(stream, Output.REPORT)
    write([IMAGE, IMAGE])
    write([])
    assert len(stream.getvalue().splitlines()) == 3
    row = next(csv.DictReader(io.StringIO(stream.getvalue())))
    assert (row["filename"], row["probability"]) == ("a\\nb.png", "0.123457")
    assert (row["path"], row["archived_path"]) == ("/srv/in/a\\nb.png", "/srv/archive/7.png")


def test_programs_get_values_and_people_get_words() -> None:
    """The REST interface has no folder of the server; a page has no code."""
    rest = as_dict(Output.REST, IMAGE)
    assert (rest["name"], rest["run"], rest["decision"], rest["probability"]) == (
        "a\\nb.png",
        3,
        "review",
        0.123456789,
    )
    assert not any("/srv" in str(value) for value in rest.values())
    page = dict(texts(Output.PAGE, IMAGE))
    assert (page["The model is"], page["Probability"], page["Reason"]) == ("unsure", "12.3 %", "")


@pytest.mark.parametrize("name", ["a.png", "a-photo-with-a-long-name-of-42-characters.png"])
def test_a_narrow_terminal_shows_every_word(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence that is wider than its column goes on in the next line; nothing is cut off."""
    monkeypatch.setenv("COLUMNS", "80")
    reason = "The content is not an image, even if the file name says so."
    print_images(
        [IMAGE._replace(path=f"/in/{name}", state=ImageState.QUARANTINED, label=None, detail=reason)]
    )
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert set(reason.split()) <= set(printed.split())
    assert "quarantined" in printed
    assert name in "".join(line[: printed.index("category")].strip() for line in printed.splitlines())


def test_a_column_without_images_is_empty() -> None:
    """A run without images has a header and no rows."""
    assert [list(each) for each in values(COLUMNS, [])] == [[] for _ in COLUMNS]


@pytest.mark.parametrize(
    ("codes", "table"),
    [
        (RunKind, words.RUN_KINDS),
        (RunState, words.RUN_STATES),
        (ImageState, words.IMAGE_STATES),
        (Decision, words.DECISIONS),
        (ModelStage, words.MODEL_STAGES),
        (ModelAction, words.MODEL_ACTIONS),
    ],
)
def test_every_code_has_words(codes: type[StrEnum], table: dict[str, str]) -> None:
    """A new code without words would show itself on a clerk's page."""
    assert set(table) == set(codes)
    assert all(table[code] and "_" not in table[code] for code in codes)


def test_words_of_a_run_count_photos_and_an_unknown_code_stays() -> None:
    """A run that is worked on shows how far it is; a code of a newer version is shown as it is."""
    assert words.run_state(RunState.RUNNING, 64, 1300) == "working on it: 64 of 1,300 photos"
    assert words.run_state("paused", 0, 0) == words.run_kind("paused") == words.fault("paused") == "paused"
    assert words.fault(FaultCode.EMPTY_FILE) == "The file has no content."


@pytest.mark.parametrize("name", ["a\nb", "tab\t", "\x1b[31mred", "caf\udce9", "nbsp\xa0", "größe 鞋"])
def test_text_from_outside_is_printable_and_not_mixed_up(name: str) -> None:
    """Control characters become escapes that differ: no two names look the same, nothing is obeyed."""
    assert printable(name).isprintable()
    assert (printable(name) == name) == name.isprintable()
    assert file_name(f"/folder/{name}") == printable(name)


def test_an_upload_has_the_name_that_its_client_gave() -> None:
    """The spool's own prefix is for programs; a name that only looks alike stays whole."""
    spooled = f"/spool/{'0f' * 16}-000003-hat.jpg"
    assert file_name(spooled) == IMAGE._replace(path=spooled).name == "hat.jpg"
    for name in ("0f-000003-hat.jpg", f"x{'0f' * 16}-000003-hat.jpg", f"{'0f' * 16}-3-hat.jpg"):
        assert file_name(f"/in/{name}") == name


def test_a_run_of_single_photos_does_not_scan() -> None:
    """It is open for hours because it waits for more photos, not because it searches for them."""
    assert words.run_state(RunState.SCANNING, 2, 3, RunKind.API) == "open for today's photos: 2 of 3 done"
    assert words.run_state(RunState.SCANNING, 2, 3, RunKind.NIGHTLY) == "taking in photos"
    assert words.run_states(RunKind.API).keys() == words.RUN_STATES.keys()
