"""How familiar a photo is: its strangeness, the file of a bundle, and what follows for a prediction."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import MANIFEST, Bundle, load_bundle
from returns_pipeline.classify.familiarity import FAMILIARITY, MOST_BYTES, Familiarity, load, numbers_of
from returns_pipeline.classify.predictions import to_predictions
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier, import_openvino
from returns_pipeline.classify.runtimes.openvino_strangeness import strangeness
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import FamiliarityShape
from returns_pipeline.records.predictions import Decision, Scores
from returns_pipeline.settings import PROJECT_ROOT, Settings
from returns_pipeline.training.evaluation.foreign import auroc
from returns_pipeline.training.pipeline.familiarity import learn

_SHIPPED = ["fashion-mnist/1", "fashion-mnist/2", "clothing/1", "clothing/2"]


def learned(seed: int = 0, count: int = 600, width: int = 12, labels: int = 3) -> Familiarity:
    """Return what photos of some classes look like whose features vary in a few directions."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, labels, count)
    centers = draw.normal(0, 5, (labels, width))
    spread = draw.normal(0, 1, (width, width)) * np.linspace(1, 0.1, width)
    rows = centers[truth] + draw.normal(0, 1, (count, width)) @ spread
    known = learn(rows.astype(np.float32), truth, labels)
    found = np.sort(known.strangeness_of(rows).astype(np.float32))
    return replace(known, strangeness=found)


def bundle_with(known: Familiarity, folder: Path, labels: int = 3) -> Bundle:
    """Return a copy of a shipped bundle with other labels and this file."""
    shutil.copytree(PROJECT_ROOT / "models" / "fashion-mnist" / "1", folder)
    bundle = load_bundle(folder, placed=False)
    names = bundle.labels[:labels]
    return replace(
        bundle,
        labels=names,
        main_categories=names,
        reliability=(),
        names={},
        familiarity=known.save(folder),
    )


def test_strangeness_is_the_relative_distance_to_the_nearest_class() -> None:
    """It is the distance within the class less that of all photos; what varies beside is strange."""
    draw = np.random.default_rng(1)
    truth = np.repeat([0, 1], 500)
    rows = np.where(truth[:, None] == 0, 3.0, -3.0) * np.eye(6)[0] + draw.normal(0, 1, (1000, 6))
    rows[:, 3:] = 0  # nothing varies beside the dimensions that are kept
    known = learn(rows.astype(np.float32), truth, 2)
    within = rows - np.stack([rows[truth == label].mean(axis=0) for label in (0, 1)])[truth]
    everywhere = rows - rows.mean(axis=0)

    def distances(off: NDArray[np.float64]) -> NDArray[np.float64]:
        inverse = np.linalg.inv((off.T @ off / 1000)[:3, :3])
        found: NDArray[np.float64] = np.einsum("ni,ij,nj->n", off[:, :3], inverse, off[:, :3])
        return found

    expected = distances(within) - distances(everywhere)
    found = known.strangeness_of(rows)
    ours = truth == 0
    near = np.abs(rows[:, 0] - 3) < 2  # the others may be nearer to the other class
    assert np.allclose(found[ours & near], expected[ours & near], rtol=0.02, atol=0.02)
    assert known.strangeness_of(rows + 50 * np.eye(6)[3]).min() > found.max()


def test_the_network_computes_what_numpy_computes() -> None:
    """The operations inside of an export give the strangeness of the formula, for any batch."""
    known = learned()
    openvino = import_openvino()
    given = openvino.opset13.parameter([-1, len(known.center)], openvino.Type.f32)
    model = openvino.Model([strangeness(openvino, given, known)], [given], "strangeness")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 7):
        rows = np.random.default_rng(count).normal(0, 20, (count, len(known.center))).astype(np.float32)
        assert np.allclose(compiled([rows])[0], known.strangeness_of(rows), rtol=1e-3, atol=1e-3)


def test_familiarity_is_the_share_of_validation_photos_that_are_stranger() -> None:
    """It falls from 1 to 0 as a photo gets stranger; an equally strange photo is not stranger."""
    known = replace(learned(), strangeness=np.array([1, 2, 3, 4], np.float32))
    assert known.of(np.array([0, 1, 2.5, 4, 9], np.float32)).tolist() == [1, 0.75, 0.5, 0, 0]


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every number survives, bundle.json names the file, and the bundle's digest stays the same."""
    known = learned()
    bundle = bundle_with(known, tmp_path / "bundle")
    bundle.save()
    again = load_bundle(bundle.folder, placed=False)
    assert again.familiarity == bundle.familiarity
    assert again.digest == replace(again, familiarity=None).digest
    read = load(again)
    assert read is not None
    for name in ("center", "axes", "deviations", "whitening", "means", "strangeness"):
        assert np.array_equal(getattr(read, name), getattr(known, name))
    assert read.remainder == pytest.approx(known.remainder)
    assert load(replace(again, familiarity=None)) is None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"strangeness": np.array([np.nan, 1])}, "not finite"),
        ({"axes": np.full((12, 6), np.inf)}, "not finite"),
        ({"strangeness": np.array([2, 1])}, "do not ascend"),
        ({"remainder": 0.0}, "not above 0"),
        ({"remainder": -1.0}, "not above 0"),
        ({"deviations": np.zeros(6)}, "not above 0"),
        ({"means": np.zeros((5, 6))}, "instead of"),
    ],
)
def test_a_file_with_wrong_numbers_is_refused(tmp_path: Path, damage: dict[str, object], reason: str) -> None:
    """A bundle from elsewhere may hold anything: the check of new bundles and its runtime refuse it."""
    known = learned()
    assert known.axes.shape == (12, 6)
    bundle = bundle_with(replace(known, **damage), tmp_path / "bundle")  # type: ignore[arg-type]
    with pytest.raises(ConfigFault, match=reason):
        vetting.require_whole(bundle)
    with pytest.raises(ConfigFault, match=reason):
        load(bundle)


def test_a_missing_changed_or_huge_file_is_refused(tmp_path: Path) -> None:
    """Neither a pipe nor gigabytes are read, whatever bundle.json says of them."""
    bundle = bundle_with(learned(), tmp_path / "bundle")
    path = bundle.folder / FAMILIARITY
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\1")
    with pytest.raises(ConfigFault, match="sha256 differs"):
        load(bundle)
    path.write_bytes(bytes(MOST_BYTES + 4))
    with pytest.raises(ConfigFault, match="at most"):
        load(bundle)
    path.unlink()
    with pytest.raises(ConfigFault, match="cannot be read"):
        load(bundle)


@pytest.mark.parametrize(
    "stated",
    [{"features": 0}, {"rank": 2.5}, {"photos": 10**9}, {"sha256": "x"}, {"features": None}, {"rank": True}],
)
def test_bundle_json_states_possible_shapes_only(tmp_path: Path, stated: dict[str, object]) -> None:
    """A wrong field is refused with its name."""
    bundle = bundle_with(learned(), tmp_path / "bundle")
    bundle.save()
    path = bundle.folder / MANIFEST
    content = json.loads(path.read_text())
    content["familiarity"] |= stated
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigFault, match=f"familiarity.{next(iter(stated))}"):
        load_bundle(bundle.folder, placed=False)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    """The number of features is that of the network."""
    bundle = bundle_with(learned(labels=10), tmp_path / "bundle", labels=10)
    with pytest.raises(ConfigFault, match="is for 12 features; the network has 128"):
        OpenVINOClassifier(bundle)


def test_an_unfamiliar_photo_is_reviewed_whatever_its_probability() -> None:
    """Below the least familiarity nothing is automatic; without a known familiarity nothing changes."""
    bundle = load_bundle(PROJECT_ROOT / "models" / "fashion-mnist" / "1")
    rows = np.tile(np.eye(10, dtype=np.float32)[3], (3, 1))
    scores = Scores(rows, familiarity=np.array([0.0, 0.01, 1.0]))
    found = to_predictions(bundle, scores, 0.8, least_familiarity=0.01)
    assert [each.decision for each in found] == [Decision.REVIEW, Decision.AUTO, Decision.AUTO]
    assert [each.unfamiliar for each in found] == [True, False, False]
    assert [each.familiarity for each in found] == [0, 0.01, 1]
    unknown = to_predictions(bundle, Scores(rows), 0.8, least_familiarity=0.5)
    assert {(each.decision, each.familiarity, each.unfamiliar) for each in unknown} == {
        (Decision.AUTO, None, False)
    }


@pytest.mark.parametrize("name", _SHIPPED)
def test_shipped_models_find_stripes_unfamiliar(name: str) -> None:
    """Each has its file, small and intact; stripes are unlike anything that it was trained on."""
    bundle = load_bundle(PROJECT_ROOT / "models" / name)
    assert isinstance(bundle.familiarity, FamiliarityShape)
    shape = bundle.input.shape
    assert (bundle.folder / FAMILIARITY).stat().st_size < 1_000_000
    stripes = np.broadcast_to((np.arange(shape[0]) % 4 * 80).astype(np.uint8)[:, None, None], shape)
    found = OpenVINOClassifier(bundle).predict(stripes[None]).familiarity
    assert found is not None
    assert found.max() < Settings.model_fields["familiarity"].default


def test_the_file_stays_small_with_many_labels_and_few_photos() -> None:
    """Fewer photos or more labels give fewer dimensions, never a file that is refused."""
    draw = np.random.default_rng(0)
    many = learn(draw.normal(size=(40, 2048)).astype(np.float32), np.arange(40) % 10_000, 10_000)
    features, rank = many.axes.shape
    assert rank == 5
    assert numbers_of(features, rank, 10_000, 4096) * 4 <= MOST_BYTES
    one = learn(draw.normal(size=(1, 3)).astype(np.float32), np.zeros(1, np.int64), 2)
    assert np.isfinite(one.strangeness_of(draw.normal(size=(4, 3)))).all()


def test_auroc_counts_pairs() -> None:
    """It is the share of pairs in which the foreign photo is less familiar; equal ones count half."""
    known, foreign = np.array([0.1, 0.5, 0.5, 1]), np.array([0, 0.5, 0.7])
    pairs = [(low < high) + (low == high) / 2 for low in foreign for high in known]
    assert auroc(known, foreign) == pytest.approx(np.mean(pairs))
