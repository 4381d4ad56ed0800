"""The metrics that autoscalers, alerts and dashboards need, from a real web process."""

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.queue_work import ASSUMED_SECONDS
from returns_pipeline.usecases.runs import classify_paths, scan
from tests.monitoring import PROMETHEUS, named_metrics, needs_promtool, panel_queries
from tests.support import write_images
from tests.web import Site, closed_run, free_port, site

BULK = 'returns_queue_work_seconds{queue="bulk"}'
INTERACTIVE = 'returns_queue_work_seconds{queue="interactive"}'


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("metrics"), with_workers=False, chunk_size=10) as found:
        found.processes.start_redis()
        yield found


@pytest.fixture
def after_a_night(tmp_path: Path) -> Iterator[Site]:
    """Give an installation with a closed run, whatever other tests ran before."""
    with site(tmp_path / "site", chunk_size=10) as found:
        closed_run(found, 12)
        yield found


def metrics(here: Site) -> dict[str, float]:
    """Return the value of each series."""
    lines = here.ask("GET", "/metrics", token="").text.splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def metrics_when(here: Site, condition: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Return the metrics once they fulfil a condition."""
    deadline = time.monotonic() + 60
    while not condition(found := metrics(here)):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_the_seconds_of_work_follow_the_open_photos_by_queue(here: Site) -> None:
    """Without a worker they are photos times the cost of one, measured or assumed; then they fall to 0."""
    context = Context(here.home.settings, here.home.database, open_queue(here.home.settings), StubClassifier)
    idle = metrics(here)
    assert (idle[BULK], idle[INTERACTIVE], idle["returns_open_images"]) == (0, 0, 0)
    assert idle['returns_workers{queue="bulk"}'] == 0

    write_images(here.home.settings.incoming_dir, 95)
    scan(context, "night")
    own = write_images(here.home.settings.home / "own", 15, 100)
    classify_paths(context, "adhoc", map(str, own))
    waiting = metrics_when(here, lambda found: found["returns_open_images"] == 110)
    assert waiting[BULK] == pytest.approx(95 * ASSUMED_SECONDS)
    assert waiting[INTERACTIVE] == pytest.approx(15 * ASSUMED_SECONDS)
    assert waiting['returns_queue_messages{queue="bulk"}'] == 10

    here.processes.start_workers()
    done = metrics_when(here, lambda found: found["returns_open_images"] == 0)
    assert (done[BULK], done[INTERACTIVE]) == (0, 0)
    assert done["returns_done_images_total"] == 110
    assert done['returns_workers{queue="bulk"}'] == 1

    # By now a photo's cost is known: of each queue, from its own chunks.
    here.kill("worker-cpu")
    write_images(here.home.settings.incoming_dir, 40, 200)
    scan(context, "next night")
    known = metrics_when(here, lambda found: found["returns_open_images"] == 40)
    spent = sum(value for name, value in known.items() if name.startswith("returns_stage_seconds_total"))
    assert 0 < known[BULK] < 40 * spent / 110 * 10
    assert known[BULK] != pytest.approx(40 * ASSUMED_SECONDS, rel=0.001)


def test_every_metric_that_rules_and_dashboard_name_exists(here: Site) -> None:
    """A metric that was renamed would make an alert silent."""
    text = here.ask("GET", "/metrics", token="").text
    names = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    used = named_metrics()
    assert len(used) > 20
    assert used - names == set()
    assert metrics(here)['returns_disk_free_bytes{folder="home"}'] > 0


@needs_promtool
def test_a_real_prometheus_evaluates_every_rule_and_every_panel(after_a_night: Site, tmp_path: Path) -> None:
    """What promtool cannot tell: whether both sides of a query fit together, and whether it has a result."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [after_a_night.url.removeprefix("http://")]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=error",
    ]

    def result(path: str, **parameters: str) -> Any:
        return requests.get(f"{url}/api/v1/{path}", params=parameters, timeout=10).json()

    def empty_panels() -> list[str]:
        empty = []
        for query in panel_queries():
            found = result("query", query=query.replace("$__rate_interval", "1m"))
            assert found["status"] == "success", (query, found)
            empty += [] if found["data"]["result"] else [query]
        return empty

    with subprocess.Popen(command) as server:
        try:
            scraped = "count_over_time(returns_open_images[1m]) > 3"
            until(lambda: result("query", query=scraped)["data"]["result"])
            until(lambda: all(rule["health"] == "ok" for rule in rules_of(result("rules"))))
            assert len(rules_of(result("rules"))) > 10
            # Only what is estimated from reviews has no result here. A rate has one after two samples.
            until(lambda: not [query for query in empty_panels() if "returns_accuracy" not in query])
        finally:
            server.kill()


def rules_of(reply: Any) -> list[Any]:
    """Return the rules in a reply of Prometheus."""
    return [rule for group in reply["data"]["groups"] for rule in group["rules"]]


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true; Prometheus may not answer yet."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(requests.RequestException):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)
