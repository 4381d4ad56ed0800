"""The commands `data check` and `data from-csv`."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled import from_csv
from returns_pipeline.training.labelled.folders import read_tree
from tests.support import CLI


def table(*rows: str, pixels: int = 4) -> str:
    """Return a CSV file's content with a header for `pixels`."""
    header = ",".join(["label", *(f"pixel{n}" for n in range(1, pixels + 1))])
    return "\n".join([header, *rows, ""])


def test_lines_become_images_in_class_folders(tmp_path: Path) -> None:
    """Each image has the pixels of its line, a name with index and label, and is found by read_tree."""
    source = tmp_path / "a.csv"
    source.write_text(table("3,0,255,7,8", "", "10,1,2,3,4", "3,9,9,9,9"))
    out = tmp_path / "out"
    paths = list(from_csv.write_png(source, out))
    assert [str(path.relative_to(out)) for path in paths] == [
        "3/image_0_label_3.png",
        "10/image_1_label_10.png",
        "3/image_2_label_3.png",
    ]
    with Image.open(paths[0]) as opened:
        assert np.array_equal(np.asarray(opened), np.array([[0, 255], [7, 8]], np.uint8))
    tree = read_tree(out)
    assert tree.labels.names == ("3", "10")
    assert tree.parts["all"].truth.tolist() == [0, 0, 1]
    flat = list(from_csv.write_png(source, tmp_path / "flat", limit=2, flat=True))
    assert [path.parent for path in flat] == [tmp_path / "flat"] * 2


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ("3,1,2,3,4\n", 1),
        (table(pixels=5), 1),
        (table("1,1,2,3,4", "1,2,3"), 3),
        (table("1,1,2,3,256"), 2),
        (table("1,1,2,3,-1"), 2),
        (table("-1,1,2,3,4"), 2),
        (table("1,1,2,3,4.5"), 2),
        (table("1,1,2,3,"), 2),
        (table("1,1,2,3,99999999999999999999"), 2),
        (table("1,1,2,3,\udcff"), 2),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, content: str, line: int) -> None:
    """The message names the file and the line; the advice describes the format."""
    source = tmp_path / "a.csv"
    source.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(RefusedError) as caught:
        list(from_csv.write_png(source, tmp_path / "out"))
    assert caught.value.message.startswith(f"{source}, line {line}: ")
    assert "label,pixel1" in caught.value.advice


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    """A missing source, and a file instead of a folder, are refused with their names."""
    with pytest.raises(RefusedError, match=r"missing\.csv"):
        list(from_csv.write_png(tmp_path / "missing.csv", tmp_path / "out"))
    source = tmp_path / "a.csv"
    source.write_text(table("1,1,2,3,4"))
    with pytest.raises(RefusedError, match=r"a\.csv"):
        list(from_csv.write_png(source, source))


def test_the_commands_print_their_findings(tmp_path: Path) -> None:
    """From a CSV file to photos to findings: exit code 1 if a finding would spoil a training, otherwise 0."""
    rng = np.random.default_rng(0)
    rows = [",".join(map(str, [n % 2, *rng.integers(0, 256, 64)])) for n in range(20)]
    (tmp_path / "a.csv").write_text(table(*rows, pixels=64))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLI, "data", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )

    done = run("from-csv", "a.csv", "--out", "photos")
    assert (done.returncode, done.stdout.split()[0]) == (0, "20"), done.stderr
    sound = run("check", "photos")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert "Nothing here would spoil a training." in sound.stdout
    (tmp_path / "photos/1/image_1_label_1.png").unlink()
    (tmp_path / "photos/1/odd\x1b[31m.jpg").write_text("no picture")
    spoiled = run("check", "photos")
    assert spoiled.returncode == 1
    assert "SPOILS" in spoiled.stdout
    assert "\x1b[31m" not in spoiled.stdout
    findings = json.loads(run("check", "photos", "--json").stdout)
    assert findings["photos"] == {"all": [10, 9]}
    assert [file["code"] for file in findings["unreadable"]] == ["not_an_image"]
    assert len(findings["spoiling"]) == 1
    assert run("check", "nowhere").returncode == 3
