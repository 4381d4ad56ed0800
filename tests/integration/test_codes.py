"""Codes in photos, from the file to the database, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
import zxingcpp
from PIL import Image

from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.codes import Code, CodeFormat
from returns_pipeline.records.images import ImageState, Outcome
from returns_pipeline.store import codes, images
from returns_pipeline.store.tables import image_codes
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images


def write_photo(path: Path, *texts: str) -> None:
    """Write a photo that shows QR codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((300, 250 * max(1, len(texts))), 170, np.uint8)
    for number, text in enumerate(texts):
        barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
        code = np.array(zxingcpp.write_barcode_to_image(barcode, scale=5))
        picture[20 : 20 + code.shape[0], 250 * number + 10 : 250 * number + 10 + code.shape[1]] = code
    Image.fromarray(picture).save(path)


@pytest.fixture
def night(home: Installation) -> Iterator[tuple[Installation, Context]]:
    """Give an installation whose intake has photos with and without codes, and its context."""
    folder = home.settings.incoming_dir
    write_images(folder, 3)
    write_photo(folder / "two.png", "RMA-00000001", "RMA-00000002")
    write_photo(folder / "one.png", "RMA-00000001")
    write_photo(folder / "other.png", "https://example.com")
    (folder / "broken.png").write_bytes(b"no picture")
    settings = home.settings.model_copy(
        update={"codes": (CodeFormat.QR, CodeFormat.EAN13), "code_pattern": "(RMA-[0-9]{8})"}
    )
    context, _ = Installation(settings, home.database).in_process()
    yield home, context
    if context.code_reader:
        context.code_reader.close()


def run(context: Context) -> dict[str, int]:
    """Scan and classify the intake; return the images' ids by name."""
    run_id = scan(context, "night")
    context.queue.deliver(context)  # type: ignore[attr-defined]
    return {image.name: image.id for image in images.results(context.db, run_id)}


def test_the_codes_of_a_night_are_stored(night: tuple[Installation, Context]) -> None:
    """Each photo's codes are stored once, and found by image and by text."""
    home, context = night
    ids = run(context)
    one, two = ids["one.png"], ids["two.png"]
    assert codes.of_images(home.database, list(ids.values())) == {
        one: (Code("RMA-00000001", "qr"),),
        two: (Code("RMA-00000001", "qr"), Code("RMA-00000002", "qr")),
    }
    assert codes.images_with(home.database, "RMA-00000001") == sorted((one, two), reverse=True)
    assert codes.images_with(home.database, "RMA-00000001", most=1) == [max(one, two)]
    assert codes.images_with(home.database, "RMA-9") == []


def test_codes_are_written_twice_without_effect(night: tuple[Installation, Context]) -> None:
    """A chunk that is stored again has the same rows."""
    home, context = night
    ids = run(context)
    before = codes.of_images(home.database, list(ids.values()))
    again = [Outcome(image, ImageState.CLASSIFIED, codes=found) for image, found in before.items()]
    with home.database.write() as connection:
        codes.add(connection, again)
    assert codes.of_images(home.database, list(ids.values())) == before


def test_without_the_setting_nothing_is_read_or_written(home: Installation) -> None:
    """Off is the default: no process starts, and no statement names the table."""
    write_photo(home.settings.incoming_dir / "one.png", "RMA-00000001")
    context, _ = home.in_process()
    assert context.code_reader is None
    statements: list[str] = []

    def remember(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    sa.event.listen(home.database._engine, "before_cursor_execute", remember)
    ids = run(context)
    assert len(ids) == 1
    assert not [each for each in statements if image_codes.name in each]
    assert codes.of_images(home.database, list(ids.values())) == {}


@pytest.mark.parametrize("threads", [0, 3])
def test_threads_that_decode_read_codes_too(sqlite_home: Installation, threads: int) -> None:
    """With threads, each photo has its own codes."""
    for number in range(12):
        write_photo(sqlite_home.settings.incoming_dir / f"{number}.png", f"RMA-{number}")
    settings = sqlite_home.settings.model_copy(update={"codes": (CodeFormat.QR,), "decode_threads": threads})
    context, _ = Installation(settings, sqlite_home.database).in_process()
    ids = run(context)
    assert context.code_reader is not None
    context.code_reader.close()
    found = codes.of_images(sqlite_home.database, list(ids.values()))
    assert found == {ids[f"{number}.png"]: (Code(f"RMA-{number}", "qr"),) for number in range(12)}


def test_a_worker_reads_codes_and_leaves_no_process(sqlite_home: Installation, tmp_path: Path) -> None:
    """A real worker stores what it reads; the process that reads ends with it."""
    write_photo(tmp_path / "photos" / "one.png", "RMA-00000001")
    pattern = f"(RMA-[0-9]{{8}})(?:{tmp_path.name})?"
    settings = sqlite_home.settings.model_copy(update={"codes": (CodeFormat.QR,), "code_pattern": pattern})
    home = Installation(settings, sqlite_home.database)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        home.json("classify", str(tmp_path / "photos"), "--wait")
        assert len(_processes_with(pattern)) == 1
    assert len(codes.images_with(home.database, "RMA-00000001")) == 1
    _, alive = psutil.wait_procs(_processes_with(pattern), timeout=10)
    assert alive == []


def _processes_with(argument: str) -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if argument in (each.info["cmdline"] or ())]
