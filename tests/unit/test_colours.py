"""Colours that a file states are converted to sRGB; what a file states wrongly harms nothing."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from returns_pipeline.photos.decoding import colours
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.decoding.colours import conversion_of
from returns_pipeline.photos.decoding.icc_profiles import (
    ADOBE_RGB,
    BT_2020,
    DISPLAY_P3,
    SRGB,
    ColourSpace,
    icc_profile,
)
from returns_pipeline.records.models import ImageInput
from tests.unit.odd_files import encoded, photo

WANT, GREY = ImageInput(32, 48, 3), ImageInput(32, 48, 1)
LIMITS = Limits(max_bytes=10_000_000, max_pixels=10_000_000)
PROPHOTO = ColourSpace((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585), 1.8)
SPACES = {"ProPhoto": PROPHOTO, "Display P3": DISPLAY_P3, "Adobe RGB": ADOBE_RGB, "BT.2020": BT_2020}
#: Primaries of each space in linear sRGB: how much light of each the three channels are (CSS Color 4, 17).
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
#: Every format that can carry a profile, with how it is written without loss or nearly so.
FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
    "HEIF": {"quality": 100, "chroma": 444},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}


def _srgb_photo() -> Image.Image:
    """Return a picture of colours that every space here can hold."""
    rows, columns = np.mgrid[0:1:96j, 0:1:144j]
    red, green, blue = 80 + 150 * columns, 60 + 150 * rows, 210 - 150 * (rows + columns) / 2
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def _in_space(profile: bytes, mode: str = "RGB") -> Image.Image:
    """Return the same picture with the values that it has in another space."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    changed = ImageCms.profileToProfile(
        _srgb_photo(), ImageCms.createProfile("sRGB"), target, outputMode=mode
    )
    assert changed is not None
    changed.info.clear()  # Pillow would embed the profile in each file
    return changed


def _error(data: bytes, want: ImageInput = WANT) -> float:
    """Return the mean difference, of 255, from the picture's right pixels."""
    right = decode(encoded(_srgb_photo(), "PNG"), want, LIMITS).pixels.astype(int)
    return float(np.abs(decode(data, want, LIMITS).pixels - right).mean())


def _decoded(data: bytes) -> NDArray[np.uint8]:
    return decode(data, WANT, LIMITS).pixels


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    colours._kept.clear()
    yield
    colours._kept.clear()


def test_the_written_profile_is_the_space_that_standards_define() -> None:
    """A written profile of Display P3 converts as the matrix of CSS Color 4 does, and sRGB needs nothing."""
    values = np.array([[200, 60, 90], [70, 180, 60], [40, 60, 200], [128, 128, 128]], np.uint8)
    conversion = conversion_of(icc_profile(DISPLAY_P3))
    assert conversion is not None
    found = np.asarray(conversion.apply(Image.fromarray(values[None])))[0]
    light = np.where(values / 255 <= 0.04045, values / 255 / 12.92, ((values / 255 + 0.055) / 1.055) ** 2.4)
    linear = np.clip(light @ P3_TO_SRGB.T, 0, 1)
    right = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(found - right).max() < 2
    assert conversion_of(icc_profile(SRGB)) is None


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("file_format", FORMATS)
def test_an_embedded_profile_is_converted(name: str, file_format: str) -> None:
    """A picture in another space gives the pixels of the same picture in sRGB, in every format."""
    profile = icc_profile(SPACES[name])
    data = encoded(_in_space(profile), file_format, icc_profile=profile, **FORMATS[file_format])
    assert _error(data) < 2
    assert _error(data, GREY) < 2
    assert _error(encoded(_in_space(profile), "PNG")) > 2 * _error(data)


def test_colours_with_transparency_palette_or_orientation_are_converted() -> None:
    """The conversion comes after transparency, palettes and turns, and changes none of them."""
    profile = icc_profile(PROPHOTO)
    picture = _in_space(profile)
    clear = picture.copy()
    clear.putalpha(255)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    for image, more in ((clear, {}), (picture.quantize(256), {}), (turned, {"exif": exif})):
        assert _error(encoded(image, "PNG", icc_profile=profile, **more)) < 3


def test_a_large_picture_is_converted_like_a_small_one() -> None:
    """A picture that is scaled strip by strip has the colours of one that is converted whole."""
    profile = icc_profile(DISPLAY_P3)
    large = _in_space(profile).resize((2400, 1600))
    assert _error(encoded(large, "PNG", icc_profile=profile)) < 2


def _cmyk_profile() -> bytes:
    """Return a small profile of a printing press: its lookup table darkens each ink more than RGB would."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    light = (1 - 0.8 * grid[:, :3]) * (1 - 0.9 * grid[:, 3:])
    lightness = 100 * light.mean(axis=1)
    a, b = 60 * (light[:, 0] - light[:, 1]), 60 * (light[:, 1] - light[:, 2])
    table = np.stack([lightness * 2.55, a + 128, b + 128], axis=1).round().clip(0, 255).astype(np.uint8)
    ramp = bytes(range(256))
    unit = struct.pack(">9i", *[65536 if i % 4 == 0 else 0 for i in range(9)])
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 5, 0]) + unit + ramp * 4 + table.tobytes() + ramp * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    places = struct.pack(">4sII4sII", b"A2B0", 156, len(lut), b"wtpt", 156 + len(lut), len(white))
    head = struct.pack(
        ">I4xI4s4s4s12x4s", 156 + len(lut + white), 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp"
    )
    head = (head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    return head + struct.pack(">I", 2) + places + lut + white


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(file_format: str) -> None:
    """A CMYK photo has the colours that its profile gives; without one, those of inks that add up."""
    inks = photo().convert("CMYK")
    profile = _cmyk_profile()
    options = {"quality": 100} if file_format == "JPEG" else {}
    with_profile = _decoded(encoded(inks, file_format, icc_profile=profile, **options))
    parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    right = ImageCms.profileToProfile(inks, parsed, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert right is not None
    expected = _decoded(encoded(right, "PNG"))
    without = _decoded(encoded(inks, file_format, **options))
    assert np.abs(with_profile.astype(int) - expected).mean() < 2
    assert np.abs(without.astype(int) - expected).mean() > 5


def _nclx(primaries: int, transfer: int) -> Callable[[bytes], bytes]:
    """Return how a HEIF or AVIF file is made to name a space."""

    def change(data: bytes) -> bytes:
        at = data.index(b"colrnclx") + 8
        return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]

    return change


def _png_with(*chunks: tuple[bytes, bytes]) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        added = b"".join(
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
            for name, content in chunks
        )
        return data[:33] + added + data[33:]

    return change


def _adobe_exif(index: bytes = b"R03\0") -> bytes:
    def directory(*entries: tuple[int, int, int, bytes]) -> bytes:
        head = struct.pack("<H", len(entries))
        return head + b"".join(struct.pack("<HHI4s", *entry) for entry in entries) + bytes(4)

    first = directory((0x8769, 4, 1, struct.pack("<I", 26)))
    second = directory((0xA001, 3, 1, b"\xff\xff\0\0"), (0xA005, 4, 1, struct.pack("<I", 56)))
    return b"Exif\0\0II*\0\x08\0\0\0" + first + second + directory((1, 2, 4, index))


def _jp2_with(space: ColourSpace) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at, header = data.index(b"colr") - 4, data.index(b"jp2h") - 4
        profile = icc_profile(space)
        box = struct.pack(">I", 11 + len(profile)) + b"colr\2\0\0" + profile
        size = int.from_bytes(data[header : header + 4]) + len(box) - 15
        return data[:header] + struct.pack(">I", size) + data[header + 4 : at] + box + data[at + 15 :]

    return change


_P3_POINTS = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
_CHRM = struct.pack(">8I", *(round(value * 100_000) for value in _P3_POINTS))
NAMED: dict[str, tuple[ColourSpace, str, Callable[[bytes], bytes], dict[str, Any]]] = {
    "HEIF nclx": (DISPLAY_P3, "HEIF", _nclx(12, 13), FORMATS["HEIF"]),
    "AVIF nclx": (DISPLAY_P3, "AVIF", _nclx(12, 13), FORMATS["AVIF"]),
    "AVIF nclx BT.2020": (BT_2020, "AVIF", _nclx(9, 14), FORMATS["AVIF"]),
    "PNG cICP": (DISPLAY_P3, "PNG", _png_with((b"cICP", bytes([12, 13, 0, 1]))), {}),
    "PNG cHRM": (DISPLAY_P3, "PNG", _png_with((b"gAMA", struct.pack(">I", 45455)), (b"cHRM", _CHRM)), {}),
    "PNG gAMA": (SRGB._replace(gamma=1.8), "PNG", _png_with((b"gAMA", struct.pack(">I", 55556))), {}),
    "JPEG 2000": (DISPLAY_P3, "JPEG2000", _jp2_with(DISPLAY_P3), {}),
    "PNG cICP, other chunk damaged": (
        DISPLAY_P3,
        "PNG",
        lambda data: _png_with((b"cICP", bytes([12, 13, 0, 1])), (b"pHYs", b""))(data),
        {},
    ),
    "EXIF Adobe RGB": (ADOBE_RGB, "JPEG", bytes, {**FORMATS["JPEG"], "exif": _adobe_exif()}),
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_named_space_is_converted(kind: str) -> None:
    """A file that names its space instead of embedding a profile is converted too."""
    space, file_format, change, options = NAMED[kind]
    plain = encoded(_in_space(icc_profile(space)), file_format, **options)
    assert _error(change(plain)) < 2


@pytest.mark.parametrize(
    ("file_format", "change", "options"),
    [
        ("HEIF", _nclx(9, 16), FORMATS["HEIF"]),
        ("AVIF", _nclx(200, 13), FORMATS["AVIF"]),
        ("PNG", _png_with((b"cICP", bytes([1, 13, 0, 1]))), {}),
        ("PNG", lambda data: data + b"\0\0\0\4cICP", {}),
        ("PNG", lambda data: data + b"\0\0\0\4cICP\14\15", {}),
        ("PNG", _png_with((b"gAMA", struct.pack(">I", 45455))), {}),
        ("PNG", _png_with((b"gAMA", bytes(4))), {}),
        ("PNG", _png_with((b"gAMA", struct.pack(">I", 55556)), (b"cHRM", bytes(32))), {}),
        ("PNG", _png_with((b"gAMA", struct.pack(">I", 55556)), (b"cHRM", b"\xff" * 32)), {}),
        ("PNG", _png_with((b"gAMA", struct.pack(">I", 55556)), (b"sRGB", b"\0")), {}),
        ("JPEG", bytes, {**FORMATS["JPEG"], "exif": _adobe_exif(b"R98\0")}),
        ("JPEG", bytes, {**FORMATS["JPEG"], "exif": _adobe_exif()[:-14] + b"R03\0"}),
    ],
)
def test_a_space_that_is_srgb_or_nonsense_changes_nothing(
    file_format: str, change: Callable[[bytes], bytes], options: dict[str, Any]
) -> None:
    """sRGB, HDR curves, unknown numbers, impossible primaries and a stray mark leave the pixels alone."""
    plain = encoded(_srgb_photo(), file_format, **options)
    options = {name: value for name, value in options.items() if name != "exif"}
    assert np.array_equal(_decoded(change(plain)), _decoded(encoded(_srgb_photo(), file_format, **options)))


def _hostile_profiles() -> dict[str, bytes]:
    whole = icc_profile(PROPHOTO)
    dark = bytearray(whole)
    at = dark.index(b"XYZ \0\0\0\0", 128 + 88 + 1)
    for place in range(at, len(dark) - 40, 20):
        dark[place + 8 : place + 20] = bytes(12)
    profiles = {"empty": b"", "words": b"no profile" * 99, "dark": bytes(dark)}
    profiles |= {f"cut at {at}": whole[:at] for at in (20, 128, 131, 180, 300)}
    profiles["far offsets"] = whole[:132] + b"\xff" * 84 + whole[216:]
    profiles["many tags"] = whole[:128] + b"\xff\xff\xff\xff" + whole[132:]
    profiles["link"] = whole.replace(b"mntr", b"link")
    profiles["other mode"] = _cmyk_profile()
    profiles["large"] = whole + bytes(5 << 20)
    return profiles


@pytest.mark.parametrize("kind", _hostile_profiles())
def test_a_broken_profile_is_ignored(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A profile that is damaged, huge, implausible or of another mode leaves the picture as it is."""
    plain = encoded(_srgb_photo(), "TIFF")
    with_profile = encoded(_srgb_photo(), "TIFF", icc_profile=_hostile_profiles()[kind])
    assert np.array_equal(_decoded(with_profile), _decoded(plain))
    assert capfd.readouterr().err == ""


def test_conversions_are_kept_and_bounded() -> None:
    """The same profile is parsed once; a series of different profiles does not fill the memory."""
    profile = icc_profile(DISPLAY_P3)
    assert conversion_of(profile) is conversion_of(bytes(bytearray(profile)))
    for number in range(40):
        conversion_of(icc_profile(ADOBE_RGB._replace(gamma=1.5 + number / 50)))
    assert len(colours._kept) == 16
