"""`python -m benchmarks.codes`: how many codes in photos are read, how many are invented, and what it costs.

Costs are the processor's time, so that other programs of the machine do not count. Labels with codes are
drawn on enlarged photos of 12 megapixels; `benchmarks.data.codes` says how.
"""

import io
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.data.codes import SIZE, Disturbance, backgrounds, draw_picture, text_of
from benchmarks.data.hostile_codes import hostile_pictures
from benchmarks.data.photos import copy_photos, draw_photos, find_photos
from benchmarks.measuring import Job, run
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.photos.codes.picture import grey_picture
from returns_pipeline.photos.codes.reader import CodeReader
from returns_pipeline.photos.codes.reading import read_codes
from returns_pipeline.records.codes import CodeFormat, CodeRules
from returns_pipeline.settings import load_settings

FORMATS = (CodeFormat.QR, CodeFormat.EAN13, CodeFormat.CODE128)
RULES = CodeRules(FORMATS)
#: Widths of a code as a share of the picture's width.
SHARES = (0.05, 0.075, 0.10, 0.15, 0.20)
#: The share of the codes that must be read, from a width on.
WANTED = 0.90
FROM = {CodeFormat.QR: 0.10, CodeFormat.EAN13: 0.15, CodeFormat.CODE128: 0.15}
DISTURBANCES = {
    "none": Disturbance(),
    "perspective": Disturbance(tilt=35, turn=15),
    "blur": Disturbance(blur=2.0),
    "motion": Disturbance(motion=4),
    "noise": Disturbance(noise=12),
    "low contrast": Disturbance(contrast=0.3, shadow=0.3),
    "all, milder": Disturbance(tilt=25, turn=10, blur=1.3, motion=2, noise=6, contrast=0.5, shadow=0.3),
}
#: Pictures of 12 megapixels on which labels are drawn, and on which costs are measured.
_BACKGROUNDS, _TIMED = 6, 40
#: Width and height of the photos that are drawn if no folder is given.
_SMALL = (533, 400)


class Rate(NamedTuple):
    """How many of `n` codes of one format and width were read under a disturbance."""

    format: str
    share: float
    disturbance: str
    read: int
    n: int


def codes(
    photos: Annotated[Path | None, typer.Option(help="Folder of photos without codes. Else drawn.")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="Pictures of each case; 0: none.")] = 10,
    hostile: Annotated[bool, typer.Option(help="Measure pictures that take long.")] = True,
    night: Annotated[int, typer.Option(min=0, help="Photos of a night with and without codes.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here too.")] = None,
) -> None:
    """Measure the reading of codes in photos."""
    console = Console(highlight=False, width=120)
    console.print(machine.as_line(machine.describe()))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="returns-codes-") as temporary:
        tree = photos or _drawn(Path(temporary) / "drawn")
        files = find_photos(tree, None)
        results["without_codes"] = _without_codes(console, files)
        if pictures:
            rates = _rates(files, pictures)
            results["rates"] = [rate._asdict() for rate in rates]
            results["goals"] = _print_rates(console, rates)
        if hostile:
            results["hostile"] = _hostile(console)
        if night:
            results["night"] = _night(console, tree, Path(temporary), night)
    if json_file:
        json_file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _drawn(folder: Path) -> Path:
    draw_photos(folder, 200, _SMALL, 200)
    return folder


def _without_codes(console: Console, files: Sequence[Path]) -> dict[str, Any]:
    """Read every photo, and some of them enlarged to 12 megapixels: nothing may be found."""
    small: list[float] = []
    invented: list[str] = []
    for file in files:
        with Image.open(file) as image:
            invented += _timed(np.asarray(image.convert("L")), small)
    large: list[float] = []
    for picture in backgrounds(list(files), _TIMED):
        invented += _timed(np.asarray(picture), large)
    console.print(
        f"\n{len(files):,} photos and {len(large)} of 12 megapixels without codes: {len(invented)} codes "
        f"were invented. Reading takes {statistics.median(small):.1f} ms for a photo, "
        f"{statistics.median(large):.1f} ms for 12 megapixels (95 % below {_highest(small):.1f} and "
        f"{_highest(large):.1f} ms)."
    )
    return {
        "photos": len(files),
        "invented": invented,
        "ms": {"photo": statistics.median(small), "12 megapixels": statistics.median(large)},
        "ms_of_95_percent": {"photo": _highest(small), "12 megapixels": _highest(large)},
    }


def _timed(grey: NDArray[np.uint8], milliseconds: list[float]) -> list[str]:
    began = time.thread_time()
    found = read_codes(grey, RULES)
    milliseconds.append(1000 * (time.thread_time() - began))
    return [f"{code.format} {code.text}" for code in found]


def _highest(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def _rates(files: Sequence[Path], pictures: int) -> list[Rate]:
    behind = backgrounds(list(files), _BACKGROUNDS)
    found = []
    for name in FORMATS:
        for share in SHARES:
            for what, spoilt in DISTURBANCES.items():
                read = 0
                for seed in range(pictures):
                    text = text_of(name, np.random.default_rng(seed))
                    content = draw_picture(behind[seed % len(behind)], name, text, share, spoilt, seed)
                    with Image.open(io.BytesIO(content)) as image:
                        codes = read_codes(np.asarray(image), RULES)
                    read += any((code.format, code.text) == (name, text) for code in codes)
                found.append(Rate(name, share, what, read, pictures))
    return found


def _print_rates(console: Console, rates: Sequence[Rate]) -> dict[str, float]:
    """Print a table of the rates; return the rate of each format from its promised width on."""
    table = Table("code", "width", *DISTURBANCES, title="codes read, %, on 12 megapixels")
    for name in FORMATS:
        for share in SHARES:
            row = [rate for rate in rates if (rate.format, rate.share) == (name, share)]
            table.add_row(name, f"{share:.1%}", *(f"{100 * rate.read / rate.n:.0f}" for rate in row))
    console.print(table)
    goals = {}
    for name in FORMATS:
        counted = [rate for rate in rates if rate.format == name and rate.share >= FROM[name]]
        goals[str(name)] = sum(rate.read for rate in counted) / sum(rate.n for rate in counted)
        verdict = "reached" if goals[name] >= WANTED else "MISSED"
        console.print(
            f"{name} from {FROM[name]:.0%} of the width on: {goals[name]:.1%} read, at least {WANTED:.0%} "
            f"wanted: {verdict}"
        )
    return goals


def _hostile(console: Console) -> dict[str, float]:
    """Return the seconds that each hostile picture takes in the process that reads codes."""
    seconds: dict[str, float] = {}
    reader = CodeReader(RULES)
    reader.read(grey_picture(Image.new("L", (100, 100))))
    for size in ((1400, 1050), SIZE):
        for name, pixels in hostile_pictures(size):
            picture = grey_picture(Image.fromarray(pixels))
            began = time.perf_counter()
            reader.read(picture)
            seconds[f"{name}, {size[0]}x{size[1]}"] = round(time.perf_counter() - began, 3)
    reader.close()
    worst = sorted(seconds.items(), key=lambda item: -item[1])[:5]
    console.print(f"\n{len(seconds)} hostile pictures. The slowest, in seconds on the clock:")
    for name, spent in worst:
        console.print(f"  {name}: {spent:.2f}")
    return seconds


def _night(console: Console, tree: Path, temporary: Path, count: int) -> dict[str, float]:
    """Return the images/s of a night without and with codes."""
    images = temporary / "images"
    copied = copy_photos(tree, images, count)
    bundle = find_bundle(load_settings().models_dir, "clothing")
    rates = {}
    for name, setting in (("off", ""), ("on", ",".join(FORMATS))):
        job = Job(
            module="benchmarks.systems.pipeline",
            images=images,
            count=copied,
            rounds=3,
            processes=2,
            bundle=bundle.folder,
            work=temporary / name,
            options={"settings": {"codes": setting}},
        )
        (measured,) = run([job])
        rates[name] = copied / statistics.median(measured.seconds)
        console.print(f"a night of {copied:,} photos, codes {name}: {rates[name]:,.0f} images/s")
    return rates


if __name__ == "__main__":
    typer.run(codes)
