"""Plans: what many photos need follows from the costs of one, wherever these are from."""

from pathlib import Path

import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.plans import CostSource, Demand, Prices
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.usecases import planning
from tests.integration.test_reviews import closed_run
from tests.support import Installation


def test_a_plan_grows_with_the_photos_and_shrinks_with_the_hours(sqlite_home: Installation) -> None:
    """Twice the photos need twice of everything; twice the hours need half the cores, not less money."""
    costs = planning.costs_of(sqlite_home.settings, None, ModelRef("clothing", 2))
    assert costs.source is CostSource.SHIPPED
    prices = Prices(core=0.05, gb=0.02, requests=5.0)
    demand = Demand(photos=10_000_000, hours=4, uses_objects=True, keep_days=90)
    one = planning.plan(costs, demand, prices)
    two = planning.plan(costs, demand._replace(photos=20_000_000), prices)
    slow = planning.plan(costs, demand._replace(hours=8.0), prices)
    assert two.cores == pytest.approx(2 * one.cores)
    assert two.money.total == pytest.approx(2 * one.money.total)
    assert two.object_requests == 2 * one.object_requests > 60_000_000
    assert slow.cores == pytest.approx(one.cores / 2)
    assert slow.money.workers == one.money.workers > 0
    assert one.core_hours == pytest.approx(10_000_000 * costs.worker_ms / 3_600_000)
    assert one.hours == pytest.approx(4)
    assert one.machines * 16 >= one.processes > one.cores
    # With given cores, the hours follow.
    assert planning.plan(costs, demand._replace(cores=one.cores / 2), prices).hours == pytest.approx(8)


def test_the_last_night_tells_what_a_photo_costs(home: Installation) -> None:
    """The costs are those of the night's chunks, and the size is that of its photos."""
    model = ModelRef("stub", 1)
    with pytest.raises(RefusedError, match="not known"):
        planning.costs_of(home.settings, home.database, model)
    closed_run(home, count=40, chunk_size=20)
    costs = planning.costs_of(home.settings, home.database, model)
    assert costs.source is CostSource.NIGHTS
    assert set(costs.stages_ms) >= {"read", "decode", "predict", "store", "archive"}
    assert all(value >= 0 for value in costs.stages_ms.values())
    sizes = [path.stat().st_size for path in home.settings.archive_dir.rglob("*.png")]
    assert costs.photo_bytes == round(sum(sizes) / len(sizes))


def test_the_command_measures_photos_and_changes_nothing(sqlite_home: Installation, tmp_path: Path) -> None:
    """`plan --measure` classifies photos in a home of its own: the installation has no run afterwards."""
    done = sqlite_home.json(
        *("plan", "--photos", "1000000", "--hours", "2", "--measure", "--seconds", "1"),
        *("--price-core", "0.05", "--price-gb", "0.02"),
    )
    assert done["photo"]["source"] == "measured"
    assert done["photo"]["worker_ms"] > 0
    assert done["plan"]["core_hours"] == pytest.approx(done["photo"]["worker_ms"] / 3.6)
    assert done["plan"]["money"]["total"] > done["plan"]["money"]["storage"] > 0
    assert sqlite_home.json("runs", "list") == []
    refused = sqlite_home.run("plan", "--photos", "1000", "--model", "stub")
    assert (refused.returncode, "Add --measure" in refused.stderr) == (3, True)
    empty = sqlite_home.run("plan", "--photos", "1000", "--measure", "--folder", str(tmp_path / "home"))
    assert (empty.returncode, "has no photos" in empty.stderr) == (3, True), empty.stderr


def test_only_parts_with_a_price_cost_money(sqlite_home: Installation) -> None:
    """The line about money names the parts that have a price; an infinite price is refused."""
    night = ("plan", "--photos", "1000000", "--model", "clothing", "--price-core")
    models = str(PROJECT_ROOT / "models")
    *_, last = sqlite_home.run(*night, "0.04", RETURNS_MODELS_DIR=models).stdout.splitlines()
    assert last == "A month of 30 nights: 3.13 for cores."
    refused = sqlite_home.run(*night, "inf", RETURNS_MODELS_DIR=models)
    assert (refused.returncode, "--price-core" in refused.stderr) == (2, True), refused.stderr
