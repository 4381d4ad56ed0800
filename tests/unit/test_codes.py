"""Codes in photos: what is read, what is refused, and that no picture holds up a worker."""

import io
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from benchmarks.codes import FORMATS as FORMATS_OF_BENCHMARK
from benchmarks.data.codes import SIZE, Disturbance, draw_picture, text_of
from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos.codes import reader, reading_process
from returns_pipeline.photos.codes.picture import CodePicture, grey_picture, to_grey
from returns_pipeline.photos.codes.reader import CodeReader
from returns_pipeline.photos.codes.reading import MOST_CODES, read_codes
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode, decode_with_picture
from returns_pipeline.records.codes import Code, CodeFormat, CodeRules
from returns_pipeline.records.models import ImageInput

WANT, LIMITS = ImageInput(64, 64, 3), Limits(10_000_000, 64_000_000)
ALL = CodeRules(tuple(CodeFormat))
FORMATS = {
    CodeFormat.QR: (zxingcpp.BarcodeFormat.QRCode, "RMA-48213077"),
    CodeFormat.DATA_MATRIX: (zxingcpp.BarcodeFormat.DataMatrix, "RMA-48213077"),
    CodeFormat.AZTEC: (zxingcpp.BarcodeFormat.Aztec, "RMA-48213077"),
    CodeFormat.PDF417: (zxingcpp.BarcodeFormat.PDF417, "RMA-48213077"),
    CodeFormat.EAN13: (zxingcpp.BarcodeFormat.EAN13, "4006381333931"),
    CodeFormat.EAN8: (zxingcpp.BarcodeFormat.EAN8, "96385074"),
    CodeFormat.CODE128: (zxingcpp.BarcodeFormat.Code128, "RMA-48213077"),
    CodeFormat.CODE39: (zxingcpp.BarcodeFormat.Code39, "RMA-4821"),
    CodeFormat.ITF: (zxingcpp.BarcodeFormat.ITF, "48213077"),
}


def drawn(barcode_format: zxingcpp.BarcodeFormat, text: str | bytes, scale: int = 3) -> NDArray[np.uint8]:
    """Return a code with its quiet zone, uint8 [h, w]."""
    barcode = zxingcpp.create_barcode(text, barcode_format)
    return np.array(zxingcpp.write_barcode_to_image(barcode, scale=scale))


def qr(text: str | bytes, scale: int = 3) -> NDArray[np.uint8]:
    return drawn(zxingcpp.BarcodeFormat.QRCode, text, scale)


def pasted(size: tuple[int, int], *codes: tuple[NDArray[np.uint8], int, int]) -> NDArray[np.uint8]:
    """Return a grey picture of `size` (height, width) with codes at (x, y)."""
    picture = np.full(size, 150, np.uint8)
    for code, x, y in codes:
        picture[y : y + code.shape[0], x : x + code.shape[1]] = code
    return picture


def texts(grey: NDArray[np.uint8], rules: CodeRules = ALL) -> list[str]:
    return [code.text for code in read_codes(np.ascontiguousarray(grey), rules)]


@pytest.mark.parametrize("name", CodeFormat)
@pytest.mark.parametrize("large", [False, True])
def test_a_code_of_each_format_is_read_in_every_direction(name: CodeFormat, large: bool) -> None:
    """Small and large pictures, turned by 90 degrees: the text, the format and the place are right."""
    barcode_format, text = FORMATS[name]
    code = drawn(barcode_format, text, 8 if large else 3)
    size = (1800, 2400) if large else (600, 800)
    picture = pasted(size, (code, 40, 56))
    for turns in range(4):
        turned = np.ascontiguousarray(np.rot90(picture, turns))
        (found,) = read_codes(turned, CodeRules((name,)))
        assert (found.text, found.format) == (text, name)
        mask = np.zeros(size, bool)
        mask[56 : 56 + code.shape[0], 40 : 40 + code.shape[1]] = True
        inside = np.rot90(mask, turns)
        middle_x, middle_y = (sum(each) // 4 for each in zip(*found.corners, strict=True))
        assert inside[middle_y, middle_x]


def test_only_the_formats_of_the_setting_are_read() -> None:
    """A code of another format is not a code."""
    picture = pasted((600, 800), (qr("A-1"), 20, 20), (drawn(*FORMATS[CodeFormat.EAN13]), 300, 300))
    assert texts(picture, CodeRules(("qr",))) == ["A-1"]
    assert texts(picture, CodeRules(("ean13",))) == ["4006381333931"]
    assert texts(picture, CodeRules(("code128", "datamatrix"))) == []


def test_several_codes_of_one_photo_are_read_each_once() -> None:
    """The same text twice is one code; more than the most are left out."""
    codes = [(qr(f"A-{number % 3}"), 100 * number, 20) for number in range(6)]
    assert sorted(texts(pasted((300, 800), *codes))) == ["A-0", "A-1", "A-2"]
    many = [(qr(f"A-{number}", 2), 80 * (number % 6), 80 * (number // 6)) for number in range(24)]
    assert len(texts(pasted((480, 640), *many))) == MOST_CODES


def test_an_upc_is_the_ean_that_it_is() -> None:
    """UPC-A has the text of EAN-13, with a zero in front."""
    picture = pasted((600, 800), (drawn(zxingcpp.BarcodeFormat.UPCA, "012345678905"), 50, 50))
    assert [code[:2] for code in read_codes(picture, CodeRules(("ean13",)))] == [("0012345678905", "ean13")]


def test_light_codes_on_dark_are_read() -> None:
    """A QR code may be printed light on dark."""
    assert texts(255 - pasted((600, 800), (qr("A-1"), 200, 200))) == ["A-1"]


def test_a_pale_label_in_uneven_light_is_read() -> None:
    """Bars are read whose ink at the bright end is brighter than the paper at the dark end."""
    label = np.pad(drawn(zxingcpp.BarcodeFormat.Code128, "RMA-48213077", 4), 40, constant_values=255).astype(
        np.float64
    )
    pale = (150 + label * 70 / 255) * np.linspace(1, 0.55, label.shape[1])
    picture = np.full((1800, 2400), 240, np.uint8)
    picture[700 : 700 + label.shape[0], 900 : 900 + label.shape[1]] = pale
    assert texts(picture, CodeRules(("code128",))) == ["RMA-48213077"]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("  A-1\t", "A-1"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("=1+1", None),
        ("@SUM(A1)", None),
        ("-2", None),
        ("+2", None),
        ("a\nb", None),
        ("a\x1b[31m", None),
        ("a\u202eb", None),
        ("a\x00", None),
        ("A" * 100, "A" * 100),
        ("A" * 101, None),
        ("A" * 2000, None),
        ("   ", None),
    ],
)
def test_a_text_from_outside_is_bounded_and_printable(text: str, stored: str | None) -> None:
    """What no number of a return looks like is not stored; composed characters have one form."""
    picture = pasted((1000, 1000), (qr(text, 4), 20, 20))
    assert texts(picture) == ([stored] if stored else [])


def test_bytes_that_are_no_text_spoil_nothing() -> None:
    """Random bytes in a code are read or left out, and the other code is read."""
    random = np.random.default_rng(3)
    for _ in range(20):
        code = qr(random.integers(0, 256, 40, np.uint8).tobytes(), 3)
        found = texts(pasted((400, 800), (code, 10, 10), (qr("A-1"), 500, 100)))
        assert "A-1" in found
        assert all(text.isprintable() and len(text) <= 100 for text in found)


def test_the_pattern_takes_the_number_out_of_a_text() -> None:
    """The whole text must match; the group is the number."""
    picture = pasted(
        (600, 900),
        (qr("https://shop.example/r/RMA-48213077"), 10, 10),
        (qr("https://evil.example/?https://shop.example/r/RMA-00000000"), 10, 300),
        (drawn(*FORMATS[CodeFormat.EAN13]), 400, 300),
    )
    rules = CodeRules(tuple(CodeFormat), r"https://shop\.example/r/(RMA-[0-9]{8})")
    assert texts(picture, rules) == ["RMA-48213077"]
    assert texts(picture, CodeRules(tuple(CodeFormat), "x|(y)")) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (15, 15), (3, 40)])
def test_a_picture_of_any_shape_is_searched(shape: tuple[int, int]) -> None:
    """Shapes that no photo has raise nothing."""
    assert texts(np.zeros(shape, np.uint8)) == []


def jpeg(grey: NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey).convert("RGB").save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def encoded(image: Image.Image, name: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name)
    return stream.getvalue()


def test_every_kind_of_file_has_a_picture_for_codes_and_the_same_pixels() -> None:
    """Scaled JPEGs, grey, palettes, transparency, 16 bits: the code is read, and the model sees no change."""
    grey = pasted((1500, 2000), (qr("A-1", 8), 700, 500))
    image = Image.fromarray(grey)
    clear = Image.merge("LA", (Image.new("L", image.size), Image.fromarray(255 - grey)))
    files = {
        "scaled JPEG": jpeg(grey),
        "progressive JPEG": jpeg(grey, progressive=True),
        "turned JPEG": jpeg(grey, exif=_turned()),
        "CMYK JPEG": encoded(image.convert("RGB").convert("CMYK"), "JPEG"),
        "small JPEG": jpeg(grey[400:1000, 600:1100]),
        "PNG": encoded(image, "PNG"),
        "RGB PNG": encoded(image.convert("RGB"), "PNG"),
        "palette": encoded(image.convert("P"), "GIF"),
        "transparent": encoded(clear, "PNG"),
        "16 bits": encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "WebP": encoded(image.convert("RGB"), "WEBP"),
        "1 bit": encoded(image.convert("1", dither=Image.Dither.NONE), "TIFF"),
    }
    for name, data in files.items():
        decoded, picture = decode_with_picture(data, WANT, LIMITS)
        assert picture is not None, name
        assert texts(to_grey(picture)) == ["A-1"], name
        plain = decode(data, WANT, LIMITS)
        assert np.array_equal(plain.pixels, decoded.pixels), name
        assert plain.facts == decoded.facts, name


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def test_a_very_large_picture_is_scaled_down() -> None:
    """What is searched has at most 25 million pixels, of a JPEG and of other pictures."""
    picture = grey_picture(Image.new("L", (9000, 6000), 200))
    assert (picture.width, picture.height) == (4500, 3000)
    assert to_grey(CodePicture(jpeg(np.full((6000, 9000), 200, np.uint8)))).shape == (3000, 4500)


@pytest.fixture
def codes() -> Iterator[CodeReader]:
    """Provide a reader of all formats, and close it at the end."""
    found = CodeReader(ALL)
    yield found
    found.close()


def test_a_process_reads_pictures_one_after_the_other(codes: CodeReader) -> None:
    """Pixels and JPEGs; one process is used again, and it ends when the reader is closed."""
    grey = pasted((600, 800), (qr("A-1"), 20, 20))
    for picture in (grey_picture(Image.fromarray(grey)), CodePicture(jpeg(grey))):
        assert [code[:2] for code in codes.read(picture)] == [("A-1", "qr")]
    ((process, count),) = codes._idle
    assert count == 2
    codes.close()
    assert process.poll() is not None


def test_a_damaged_jpeg_has_no_codes_and_the_next_picture_is_read(codes: CodeReader) -> None:
    """What ends the process costs one picture."""
    grey = pasted((600, 800), (qr("A-1"), 20, 20))
    assert codes.read(CodePicture(b"\xff\xd8\xff nothing")) == ()
    assert codes.read(grey_picture(Image.fromarray(grey)))[0].text == "A-1"


def finders(scale: int) -> NDArray[np.uint8]:
    """Return 12 megapixels of the pattern that stands in three corners of each QR code."""
    mark = np.full((9, 9), 255, np.uint8)
    mark[1:8, 1:8], mark[2:7, 2:7], mark[3:6, 3:6] = 0, 255, 0
    large = np.kron(mark, np.ones((scale, scale), np.uint8))
    return np.tile(large, (3000 // len(large) + 1, 4000 // len(large) + 1))[:3000, :4000].copy()


def test_a_hostile_picture_cannot_hang_the_reader(codes: CodeReader) -> None:
    """A picture on which zxing-cpp works for long takes a bounded time, and the next picture is read."""
    codes.read(CodePicture(b"\0", 1, 1))
    began = time.monotonic()
    for scale in (3, 4):
        assert codes.read(grey_picture(Image.fromarray(finders(scale)))) == ()
    limit = reading_process.READ_SECONDS + reading_process.DECODE_SECONDS
    # Seconds of a processor that other tests use too.
    assert time.monotonic() - began < 20 * limit
    grey = pasted((600, 800), (qr("A-1"), 20, 20))
    assert codes.read(grey_picture(Image.fromarray(grey)))[0].text == "A-1"


def test_a_process_that_cannot_start_is_no_fault_of_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault names the setting, so that the chunk is given back."""
    monkeypatch.setattr(reader, "_MODULE", "returns_pipeline.no_such_module")
    with pytest.raises(ConfigFault, match="RETURNS_CODES"):
        CodeReader(ALL).read(CodePicture(b"\0", 1, 1))


def test_an_interrupted_read_leaves_no_reply_behind(
    codes: CodeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an exception while a reply is awaited, the next picture gets its own reply."""
    first = grey_picture(Image.fromarray(pasted((600, 800), (qr("A-1"), 20, 20))))
    second = grey_picture(Image.fromarray(pasted((600, 800), (qr("A-2"), 20, 20))))
    codes.read(first)

    def interrupted(*_: object) -> tuple[Code, ...]:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(reader, "_reply", interrupted)
        with pytest.raises(TimeoutError):
            codes.read(first)
    assert codes.read(second)[0].text == "A-2"


@pytest.mark.parametrize("name", FORMATS_OF_BENCHMARK)
def test_the_pictures_of_the_benchmark_show_their_codes(name: CodeFormat) -> None:
    """A label on 12 megapixels, tilted and blurred a little, is read; blurred too much, it is not."""
    text = text_of(name, np.random.default_rng(5))
    behind = Image.new("L", SIZE, 120)
    for spoilt, expected in ((Disturbance(tilt=15, blur=1), [text]), (Disturbance(blur=40), [])):
        content = draw_picture(behind, name, text, 0.2, spoilt, 5)
        assert texts(to_grey(CodePicture(content)), CodeRules((name,))) == expected


def test_a_worker_does_not_load_the_library() -> None:
    """Only the process that reads codes imports zxing-cpp."""
    check = "import sys, returns_pipeline.usecases.chunks; sys.exit('zxingcpp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
