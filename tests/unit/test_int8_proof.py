"""A version in int8 is promoted only if its bundle records that it does what float32 does."""

from dataclasses import replace

import pytest

from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes.int8_proof import Int8Proof
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import Precision
from returns_pipeline.settings import PROJECT_ROOT

SOUND = Int8Proof(agreement=0.985, processors=0.995, only_float32=9, only_int8=1, p=0.05)
WHOLE = replace(
    load_bundle(PROJECT_ROOT / "models" / "fashion-mnist" / "1"), precision=Precision.INT8, metrics={}
)


def test_figures_at_the_limits_are_accepted() -> None:
    """A version that just reaches each limit, or that is significantly better, is sound."""
    for proof in (SOUND, SOUND._replace(only_float32=1, only_int8=9, p=0.001)):
        vetting.require_sound(replace(WHOLE, metrics=proof.metrics), "openvino")


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (SOUND._replace(agreement=0.984), r"label of float32 for 98\.40%"),
        (SOUND._replace(agreement=float("nan")), "label of float32 for nan"),
        (SOUND._replace(processors=0.994), r"with and without VNNI .* 99\.40%"),
        (SOUND._replace(p=0.049), "measurably less accurate"),
        (SOUND._replace(p=float("nan")), "measurably less accurate"),
    ],
)
def test_a_figure_below_its_limit_is_refused(proof: Int8Proof, reason: str) -> None:
    """Each figure alone refuses the version, and the message names it."""
    with pytest.raises(ConfigFault, match=reason):
        vetting.require_sound(replace(WHOLE, metrics=proof.metrics), "openvino")


@pytest.mark.parametrize("missing", Int8Proof._fields)
def test_a_figure_that_is_missing_is_refused(missing: str) -> None:
    """The agreement with Keras, which a float32 version records, is no substitute."""
    metrics = {name: value for name, value in SOUND.metrics.items() if name != f"int8_{missing}"}
    with pytest.raises(ConfigFault, match="It is not recorded"):
        vetting.require_sound(replace(WHOLE, metrics={**metrics, "openvino_agreement": 1.0}), "openvino")
