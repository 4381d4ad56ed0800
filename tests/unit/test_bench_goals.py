"""Goals are judged by the figures; a goal that was not measured is neither reached nor missed."""

from typing import Any

import pytest

from benchmarks.goals import GOALS, Judged, judge
from benchmarks.measuring import Measurement
from benchmarks.results import Measured, Result


def result(
    workload: str = "A",
    system: str = "pipeline",
    seconds: float = 1.0,
    images: int = 100,
    label: int = 0,
    **detail: Any,
) -> Result:
    labels = {str(number): label for number in range(images)}
    measured = Measurement([seconds], images, labels, detail)
    return Result(workload, system, system, images, images, 1.0, measured)


def measured(*results: Result, **details: dict[str, Any]) -> Measured:
    return Measured(
        {(each.workload, each.system): each for each in results},
        {name.replace("_", "-"): detail for name, detail in details.items()},
    )


def lines(of: Measured) -> dict[str, Judged]:
    return {line.goal.what: line for line in judge(of)}


def test_nothing_measured_is_nothing_judged() -> None:
    """Goals that `--only` leaves out are `not measured`, not missed."""
    judged = judge(measured())

    assert len(judged) == len(GOALS)
    assert {line.verdict for line in judged} == {"not measured"}


@pytest.mark.parametrize(
    ("seconds", "times", "verdict"), [(0.75, 0.75, "reached"), (0.74, 0.74, "missed"), (2, 2, "reached")]
)
def test_a_ratio_is_the_pipelines_rate_by_the_others(seconds: float, times: float, verdict: str) -> None:
    """More images a second give a larger ratio, and the wanted ratio itself is reached."""
    line = lines(measured(result(seconds=1), result(system="raw", seconds=seconds)))[
        "A: images/s of the bare loop"
    ]

    assert line.measured == pytest.approx(times)
    assert line.verdict == verdict


def test_a_ratio_compares_rates_not_seconds() -> None:
    """A slow system with fewer images is compared by images a second."""
    line = lines(measured(result(images=3000), result(system="http", images=10)))["A: images/s of HTTP"]

    assert line.measured == pytest.approx(300)
    assert line.verdict == "reached"


@pytest.mark.parametrize(("large", "extra", "verdict"), [(10.9, 0.09, "reached"), (11.2, 0.12, "missed")])
def test_the_cost_of_an_image_is_compared_between_small_and_large(
    large: float, extra: float, verdict: str
) -> None:
    """Ten times the images may take at most eleven times as long."""
    line = lines(
        measured(
            result("D", "pipeline-tenth", seconds=1, images=100), result("D", seconds=large, images=1000)
        )
    )["D: extra cost of an image in ten times as many"]

    assert line.measured == pytest.approx(extra)
    assert line.verdict == verdict


def test_the_process_that_grows_most_counts() -> None:
    """One process that grows too much misses the goal."""
    memory = [{"grown_mb": 1.0}, {"grown_mb": 31.0}]

    line = lines(measured(result("D", memory=memory)))["D: memory growth of a process"]

    assert (line.measured, line.verdict) == (31.0, "missed")


def test_a_system_without_images_is_judged_by_its_detail() -> None:
    """A figure below the limit reaches the goal; the limit itself misses it."""
    judged = lines(measured(worker_start={"ready_seconds": 1.99, "rss_mb": 250.0}))

    assert judged["worker process ready"].verdict == "reached"
    assert judged["worker process resident"].verdict == "missed"


def test_every_goal_has_a_line_of_its_own() -> None:
    """Every goal has a unique name."""
    assert len({goal.what for goal in GOALS}) == len(GOALS)


@pytest.mark.parametrize(("rows", "labels", "agreed"), [(9, 9, 9), (10, 10, 9), (11, 10, 10), (11, 11, 11)])
def test_a_missing_row_or_a_wrong_label_spoils_the_result(rows: int, labels: int, agreed: int) -> None:
    """Ten images need exactly ten rows and ten right labels."""
    found = dict.fromkeys(map(str, range(labels)), 0)
    wrong = Result("A", "raw", "raw", 10, agreed, 1.0, Measurement([1.0], rows, found))

    assert not wrong.is_right
    assert measured(wrong).wrong()
    assert measured(result(images=10)).wrong() == []


def test_the_bare_loop_and_the_pipeline_must_give_the_same_labels() -> None:
    """Both decode alike, so that not one label may differ; the reference allows one in a thousand."""
    both = result("B", label=1), result("B", "raw", label=2)

    assert measured(*both).wrong() == ["B: the bare loop and the pipeline differ on 100 images"]
