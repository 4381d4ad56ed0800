"""Decodes mutated images with `bytes_to_pixels.decode` in a child process.

`python -m tests.faults.mutate --count 20000 --seed 1` prints a table by format and exits with 1 on any
violation: a crash, a hang, an exception other than ImageFault, a decode of over two seconds, a result of
the wrong shape, or memory growth. The seed and a file's number determine it: `make_file(seed, number)`.
"""

import argparse
import faulthandler
import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from returns_pipeline.errors import ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.models import ImageInput

LIMITS = Limits(max_bytes=50_000_000, max_pixels=20_000_000)
WANTED = (ImageInput(28, 28, 1), ImageInput(224, 224, 3))
#: Maximum CPU seconds of one decode, and wall seconds after which the process counts as hung.
SLOW_SECONDS, HUNG_SECONDS = 2.0, 30.0
#: Maximum growth of resident memory after the first quarter of a run, which has used every decoder.
GROWTH_BYTES = 64 << 20
#: Violations after which a hunt ends, because each may cost a process and half a minute.
_MAX_VIOLATIONS = 20
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
#: Names next to lengths and sizes in the headers of the formats.
_TAGS = (
    *(b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"zTXt", b"eXIf", b"IEND"),
    *(b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"RIFF"),
    *(b"ftyp", b"meta", b"iloc", b"iinf", b"ispe", b"iprp", b"ipco", b"ipma", b"hvcC", b"av1C", b"irot"),
    *(b"pixi", b"pitm", b"mdat", b"moov", b"jp2h", b"ihdr", b"colr", b"jp2c", b"\xff\x51", b"\xff\x52"),
    *(b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"\xff\xe1", b"\x00\x01\x04\x00"),
)


@dataclass(slots=True)
class Tally:
    """The results of one format's files: `outcomes` counts decoded files and each fault code."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


@dataclass(slots=True)
class Report:
    """The results of a hunt. `memory` is the resident memory after each file, in bytes."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)

    @property
    def growth(self) -> int:
        """Bytes by which the last quarter's median exceeds the second's. Medians ignore short peaks."""
        quarter = len(self.memory) // 4
        if quarter == 0:
            return 0
        return int(median(self.memory[-quarter:]) - median(self.memory[quarter : 2 * quarter]))

    def table(self) -> str:
        """Return the outcomes by format as Markdown."""
        codes = sorted({code for tally in self.tallies.values() for code in tally.outcomes} - {"decoded"})
        lines = [["format", "files", "decoded", *codes, "slowest ms"]]
        lines.append(["---"] * len(lines[0]))
        for name, tally in sorted(self.tallies.items()):
            counts = [tally.outcomes.total(), tally.outcomes["decoded"], *(tally.outcomes[c] for c in codes)]
            lines.append([name, *(f"{count:,}" for count in counts), f"{tally.slowest * 1000:.0f}"])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def hunt(count: int, seed: int) -> Report:
    """Decode `count` mutated files in a child process; start another after a file that ended it."""
    report, number = Report(), 0
    seed_images()  # fails here, not in a child, if an encoder is missing
    while number < count and len(report.violations) < _MAX_VIOLATIONS:
        number = _follow_child(report, seed, number, count)
    if report.growth > GROWTH_BYTES:
        report.violations.append(f"memory grew by {report.growth:,} bytes")
    return report


def _follow_child(report: Report, seed: int, first: int, count: int) -> int:
    command = [sys.executable, "-m", "tests.faults.mutate", "--seed", str(seed), "--count", str(count)]
    number = first
    with tempfile.TemporaryFile() as remarks:
        # Not -W error: warnings are counted as a worker would print them.
        with subprocess.Popen(
            [*command, "--child", str(first)], stdout=subprocess.PIPE, stderr=remarks, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                _count(report, f"{seed}:{number}", line.rstrip("\n").split("\t"))
                number += 1
        remarks.seek(0)
        printed = remarks.read().decode(errors="replace").splitlines()
    report.remarks.update(line[:160] for line in printed)
    if number < count:
        last = printed[-1] if printed else ""
        report.violations.append(f"file {seed}:{number} ended its process with {child.returncode}: {last}")
    return number + 1


def _count(report: Report, file: str, fields: list[str]) -> None:
    name, outcome, seconds, memory = fields
    tally = report.tallies.setdefault(name, Tally())
    report.memory.append(int(memory))
    tally.slowest = max(tally.slowest, float(seconds))
    if float(seconds) > SLOW_SECONDS:
        report.violations.append(f"file {file} ({name}) took {seconds} s")
    if outcome.startswith("!"):
        report.violations.append(f"file {file} ({name}): {outcome[1:]}")
    tally.outcomes["violation" if outcome.startswith("!") else outcome] += 1


def _work(seed: int, first: int, count: int) -> None:
    """Run as the child: print and flush a line for each file, so that the file that ends it is known."""
    for number in range(first, count):
        name, data = make_file(seed, number)
        # Ends the process even if a decoder never returns to Python.
        faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
        began = time.process_time()
        outcome = _outcome(data, WANTED[number // len(seed_images()) % 2])
        seconds = time.process_time() - began
        memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        sys.stdout.write(f"{name}\t{outcome}\t{seconds:.4f}\t{memory}\n")
        sys.stdout.flush()
    faulthandler.cancel_dump_traceback_later()


def _outcome(data: bytes, want: ImageInput) -> str:
    try:
        pixels = decode(data, want, LIMITS).pixels
    except ImageFault as fault:
        return fault.code.value if fault.detail.isprintable() else "!a detail that cannot be printed"
    except BaseException as error:
        return f"!{type(error).__name__} {str(error)[:100]!r}"
    right = pixels.shape == want.shape and pixels.dtype == np.uint8
    return "decoded" if right else f"!pixels {pixels.shape} {pixels.dtype}"


def make_file(seed: int, number: int) -> tuple[str, bytes]:
    """Return the format and the content of one mutated file."""
    chance = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable, not secret
    images = seed_images()
    name, data = images[number % len(images)]
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(_MUTATIONS)(changed, chance)
        changed = changed or bytearray(b"\0")
    if name == "PNG" and chance.random() < 0.8:
        # Otherwise a wrong checksum would hide the mutations behind it.
        changed = _with_checksums(changed)
    return name, bytes(changed)


def _flip_bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 2, 8, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _span(data: bytearray, chance: random.Random) -> slice:
    start = chance.randrange(len(data))
    return slice(start, start + chance.choice((1, 2, 4, 16, 100, 1000)))


def _replace(data: bytearray, chance: random.Random) -> None:
    span = _span(data, chance)
    length = len(data[span])
    data[span] = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))


def _remove(data: bytearray, chance: random.Random) -> None:
    del data[_span(data, chance)]


def _duplicate(data: bytearray, chance: random.Random) -> None:
    span = _span(data, chance)
    data[span.start : span.start] = data[span] * chance.choice((1, 2, 50))


def _insert(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = chance.randbytes(chance.choice((1, 4, 64, 4096)))


def _truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data) + 1) :]


def _put(data: bytearray, at: int, chance: random.Random) -> None:
    code = chance.choice(("<H", ">H", "<I", ">I"))
    value = chance.choice(_EXTREMES) & (0xFFFF if code[1] == "H" else 0xFFFFFFFF)
    at = max(0, min(at, len(data) - 4))
    data[at : at + struct.calcsize(code)] = struct.pack(code, value)


def _set_header_field(data: bytearray, chance: random.Random) -> None:
    _put(data, chance.randrange(4, min(len(data), 300) + 4), chance)


def _set_field_at_tag(data: bytearray, chance: random.Random) -> None:
    found = [at for tag in _TAGS if (at := data.find(tag)) >= 0]
    if found:
        _put(data, chance.choice(found) + chance.choice((-4, 2, 4, 5, 6, 7, 8, 9, 10, 12, 16)), chance)


def _splice(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(seed_images())[1]
    start, end = sorted(chance.randrange(len(other) + 1) for _ in range(2))
    data[chance.randrange(len(data)) :] = other[start:end]


def _append(data: bytearray, chance: random.Random) -> None:
    data += chance.choice(seed_images())[1]


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip_bits, _flip_bits, _replace, _remove, _duplicate, _insert, _truncate),
    *(_set_header_field, _set_header_field, _set_field_at_tag, _set_field_at_tag, _splice, _append),
)


def _with_checksums(data: bytearray) -> bytearray:
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4)
        at = end + 4
    return data


@cache
def seed_images() -> tuple[tuple[str, bytes], ...]:
    """Return intact files of every accepted format in several modes and codings, as (format, content)."""
    return tuple(_make_seeds())


def _make_seeds() -> Iterator[tuple[str, bytes]]:
    colour = _picture()
    grey, clear = colour.convert("L"), colour.copy()
    clear.putalpha(grey)
    palette, deep = colour.quantize(16), Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    frames = {"save_all": True}
    turned = Image.Exif()
    turned[0x0112] = 6
    codings = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    many: list[tuple[str, list[Image.Image], list[dict[str, Any]]]] = [
        ("JPEG", [colour, grey, colour.convert("CMYK")], [{}, {"progressive": True}, {"exif": turned}]),
        ("PNG", [colour, grey, clear, clear.convert("LA"), palette, grey.convert("1"), deep], [{}]),
        ("PNG", [colour, palette], [frames, {"exif": turned}]),
        ("PNG", [palette], [{"transparency": 3}]),
        ("WEBP", [colour, clear], [{}, {"lossless": True}, {"exif": turned}, frames]),
        ("HEIF", [colour, clear, grey], [{}, frames]),
        ("AVIF", [colour, clear, grey], [{}, {"exif": turned}, frames]),
        ("GIF", [palette, grey], [{}, {"transparency": 3}, frames]),
        ("TIFF", [colour, grey, clear, palette, deep, grey.convert("F"), grey.convert("I")], [{}]),
        (
            "TIFF",
            [colour],
            [{"compression": coding} for coding in codings],
        ),
        ("TIFF", [colour], [{"big_tiff": True}, {"exif": turned}, frames]),
        ("TIFF", [grey.convert("1")], [{"compression": "group4"}]),
        ("JPEG2000", [colour, grey, clear, deep], [{}, {"no_jp2": True}, {"tile_size": (32, 32)}]),
        ("BMP", [colour, grey, palette, grey.convert("1"), clear], [{}]),
    ]
    for name, images, settings in many:
        for image in images:
            for options in settings:
                yield name, _encoded(image, name, **options)


def _picture() -> Image.Image:
    """Return 64 x 48 pixels of smooth colour with some grain, so that encoders produce real content."""
    down, across = np.mgrid[0:48, 0:64]
    grain = np.random.default_rng(7).integers(0, 24, (48, 64, 3))
    values = np.stack([across * 3, down * 4, 200 - across * 2 - down], axis=-1) + grain
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    if "save_all" in options:
        options = {**options, "append_images": [image.rotate(180)]}
    image.save(stream, name, **options)
    return stream.getvalue()


def main() -> int:
    """Hunt, print the results, and return 1 if there was a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=int, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        _work(arguments.seed, arguments.child, arguments.count)
        return 0
    report = hunt(arguments.count, arguments.seed)
    said = [f"{times:,} x {line}" for line, times in report.remarks.most_common(20)]
    growth = f"memory: {max(report.memory) >> 20} MiB at most, grew by {report.growth / (1 << 20):.1f} MiB"
    printed = [report.table(), growth, "printed by decoders:", *said, "violations:", *report.violations]
    sys.stdout.write("\n".join(printed) + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
