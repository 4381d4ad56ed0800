"""Reviewed photos become training data: each once, the random sample apart, disagreements listed."""

import csv
import json
from pathlib import Path

import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.reviews import Word
from returns_pipeline.store import images, reviews
from returns_pipeline.store.tables import reviews as queue
from returns_pipeline.training.labelled import from_reviews
from returns_pipeline.training.labelled.folders import read_tree
from returns_pipeline.usecases.originals import open_original
from tests.integration.test_reviews import closed_run
from tests.support import Installation


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _label(home: Installation, image_id: int, who: str, label: str, main: str = "shades") -> None:
    reviews.decide(home.database, who, image_id, Word("label", label, main))


def test_reviewed_photos_are_class_folders(home: Installation, tmp_path: Path) -> None:
    """Each label has its folder, the random sample is apart, and files are the originals."""
    run_id = closed_run(home, 8, review_threshold=0.0, audit_share=0.0)
    context, _ = home.in_process()
    ids = [result.id for result in images.results(home.database, run_id, None)]
    for image_id in ids[:2]:
        _label(home, image_id, "ada", "white")
    _label(home, ids[2], "ada", "black")
    _label(home, ids[3], "ada", "T-shirt/top")
    with home.database.write() as connection:
        connection.execute(queue.insert().values(image_id=ids[3], run_id=run_id, kind="audit", rank=0.5))
    reviews.decide(home.database, "ada", ids[4], Word("none_of_these"))
    reviews.decide(home.database, "ada", ids[6], Word("unreadable"))
    out = tmp_path / "desk"
    assert from_reviews.write(context, out) == from_reviews.Written(3, 1, 1, 0, 0, 1)
    lines = {int(row["image"]): row for row in _rows(out / "reviews.csv")}
    assert sorted(lines) == ids[:5]
    assert lines[ids[3]]["file"].startswith("audit/T-shirt_top/")
    assert lines[ids[4]]["file"].startswith("none of these/")
    for row in lines.values():
        written = out / row["file"]
        assert open_original(context, int(row["image"]))[1].read() == written.read_bytes()
    tree = read_tree(out / "reviewed", out / "mains.csv")
    assert tree.labels.names == ("black", "white")
    assert set(tree.labels.mains) == {"shades"}
    # Nothing is written over earlier files.
    with pytest.raises(RefusedError, match="not empty"):
        from_reviews.write(context, out)


def test_one_content_is_in_one_part(home: Installation, tmp_path: Path) -> None:
    """Images with equal content are one photo, of the sample if one of them is; a disagreement is listed."""
    run_id = closed_run(home, 3, review_threshold=0.0, audit_share=0.0)
    home.settings.incoming_dir.mkdir(exist_ok=True)
    context, _ = home.in_process()
    ids = [result.id for result in images.results(home.database, run_id, None)]
    archived = [open_original(context, image_id)[0] for image_id in ids]
    for place, file in enumerate(archived[:2]):
        (home.settings.incoming_dir / f"again_{place}.png").write_bytes(Path(file.path).read_bytes())
    again = closed_run(home, 0, 100)
    copies = [result.id for result in images.results(home.database, again, None)]
    for image_id in (*ids, copies[0]):
        _label(home, image_id, "ada", "white")
    _label(home, copies[1], "ada", "black")
    with home.database.write() as connection:
        connection.execute(queue.insert().values(image_id=copies[0], run_id=again, kind="audit", rank=0.5))
    written = from_reviews.write(context, tmp_path / "desk")
    assert (written.reviewed, written.audit, written.conflicts) == (1, 1, 2)
    conflicts = {int(row["image"]) for row in _rows(tmp_path / "desk" / "conflicts.csv")}
    assert conflicts == {ids[1], copies[1]}


def test_the_command_says_what_it_wrote(home: Installation, tmp_path: Path) -> None:
    """Without a review the folder has only empty lists, and the numbers say so."""
    closed_run(home, 2)
    done = home.run("data", "from-reviews", str(tmp_path / "desk"), "--json")
    assert json.loads(done.stdout) == dict.fromkeys(from_reviews.Written._fields, 0)
    assert _rows(tmp_path / "desk" / "reviews.csv") == []
