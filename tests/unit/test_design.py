"""The design: every text can be read in both schemes and on paper, and colours come from the tokens alone."""

import gzip
import re
from collections.abc import Mapping
from importlib.resources import files

import pytest

from returns_pipeline.report import charts
from returns_pipeline.report.html import design
from returns_pipeline.web.static_files import static_address, static_files

SITE = files("returns_pipeline.web").joinpath("static", "style.css").read_text(encoding="utf-8")
SHEETS = {"design.css": str(design()), "style.css": SITE}
#: Texts, and the surfaces that they lie on.
TEXTS = [
    *((text, on) for text in ("ink", "soft", "accent") for on in ("ground", "card")),
    *((text, on) for text in ("good", "warn", "bad") for on in ("ground", "card", f"{text}-tint")),
    *(("ink", f"{kind}-tint") for kind in ("good", "warn", "bad", "accent")),
    *((text, "sunken") for text in ("ink", "soft", "accent-strong")),
    *((("accent-strong", "accent-tint"), ("accent-strong", "card"))),
    *(("on-accent", on) for on in ("accent", "accent-strong")),
    ("card", "bad"),
]
#: Edges of fields, bars and the mark of the focus, WCAG 1.4.11.
SHAPES = [
    *((shape, on) for shape in ("edge", "accent", "bad", "focus", "usual") for on in ("ground", "card")),
]


def tokens(number: int) -> dict[str, str]:
    """Return the colours of the nth `:root` block of the design: light, dark, print."""
    blocks = re.findall(r":root\s*{(.*?)}", SHEETS["design.css"], re.DOTALL)
    assert len(blocks) == 3
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", blocks[number]))


SCHEMES: Mapping[str, Mapping[str, str]] = {
    "light": tokens(0),
    "dark": tokens(0) | tokens(1),
    "print": tokens(0) | tokens(2),
}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_has_contrast_aa_on_its_surfaces(scheme: str) -> None:
    """4.5 for texts of any size, 3 for what a person must tell from its surroundings."""
    colours = SCHEMES[scheme]
    found = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in TEXTS + SHAPES}
    too_low = {pair: round(found[pair], 2) for pair in TEXTS if found[pair] < 4.5}
    too_low |= {pair: round(found[pair], 2) for pair in SHAPES if found[pair] < 3}
    assert too_low == {}


def test_contrast_is_that_of_the_standard() -> None:
    """Black on white is 21, and the usual example of a text that barely passes is 4.54."""
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("name", SHEETS)
def test_colours_are_written_in_the_tokens_only(name: str) -> None:
    """Elsewhere a colour is a token: a new component cannot leave the palette. Each used token exists."""
    sheet = SHEETS[name]
    without_tokens = re.sub(r":root\s*{.*?}\s*}?", "", sheet, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s)])", without_tokens) in ([], ["#000"])
    declared = set(re.findall(r"--([\w-]+):", "".join(SHEETS.values())))
    assert set(re.findall(r"var\(--([\w-]+)", sheet)) <= declared
    assert len(sheet.splitlines()) <= 400


def test_a_static_file_is_sent_compressed_and_has_its_hash_in_its_address() -> None:
    """All of them together have less than 40 KB, so that no page's first load has 100."""
    found = static_files()
    assert {"design.css", "style.css", "page.js", "icons.svg"} <= set(found)
    for name, file in found.items():
        assert gzip.decompress(file.compressed) == file.plain
        assert static_address("/r", name) == f"/r/static/{name}?v={file.version}"
    assert sum(len(file.compressed) for file in found.values()) < 40_000


@pytest.mark.parametrize(
    ("highest", "wanted"),
    [
        (0, [0, 0.5, 1]),
        (0.16, [0, 0.05, 0.1, 0.15, 0.2]),
        (1, [0, 0.5, 1]),
        (52, [0, 20, 40, 60]),
        (4, [0, 1, 2, 3, 4]),
        (1_000_000, [0, 500_000, 1_000_000]),
    ],
)
def test_an_axis_has_few_round_numbers_that_reach_the_highest_bar(
    highest: float, wanted: list[float]
) -> None:
    """At most five ticks, from 0 to a value that is not below the highest."""
    assert charts.ticks(highest) == pytest.approx(wanted)


@pytest.mark.parametrize("count", [0, 1, 10, 30])
def test_a_chart_has_axes_numbers_and_a_text_for_each_bar(count: int) -> None:
    """Names are escaped, and a chart without bars is a chart."""
    bars = [charts.Bar(f"<{each}>", each, f"<bar {each}>", usual=1.0, part=0.5) for each in range(count)]
    for chart in (
        charts.lying("of <all>", bars, charts.number, charts.percent),
        charts.upright("of <all>", bars, charts.number, "Run"),
    ):
        assert chart.count("<title>") == count
        assert 'aria-label="of &lt;all&gt;"' in chart
        assert "<bar" not in chart
        assert "<0>" not in chart
        assert chart.count('class="axis"') == 1
