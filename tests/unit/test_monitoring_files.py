"""The files for Prometheus, Grafana and KEDA are valid, and their queries are."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring import DASHBOARD, PROMETHEUS, keda_queries, needs_promtool, panel_queries, rules


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_alert_rules_fire_when_they_should_and_only_then() -> None:
    """Each alert fires in a test of `alerts_test.yml`, and none in an installation that works."""
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "alerts_test.yml")
    tests = (PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in rules() if rule["alert"] not in tests} == set()


def test_each_alert_says_what_to_do() -> None:
    """A person who is woken up by it needs no other page."""
    for rule in rules():
        summary, advice = rule["annotations"]["summary"], rule["annotations"]["description"]
        assert summary.strip().endswith((".", "}}.", "end }}.")), rule["alert"]
        assert len(advice) > 60, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


@needs_promtool
def test_the_queries_of_dashboard_and_autoscaler_are_promql(tmp_path: Path) -> None:
    """Promtool reads each as the expression of a rule."""
    queries = [*panel_queries(), *keda_queries()]
    assert len(queries) > 20
    found = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    (tmp_path / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "all", "rules": found}]}), encoding="utf-8"
    )
    promtool("check", "rules", str(tmp_path / "rules.yml"))


@pytest.mark.skipif(
    importlib.util.find_spec("grafana_foundation_sdk") is None and not os.environ.get("CI"),
    reason="grafana-foundation-sdk is not installed",
)
def test_the_dashboard_is_of_the_schema_of_grafana() -> None:
    """Read into the types of Grafana's own schema and written again, it has the same fields and values."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert missing(DASHBOARD, again) == []


def missing(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Return the places of what one value has and the other has not."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [place for key in wanted for place in missing(wanted[key], found.get(key), f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            place for at, each in enumerate(wanted) for place in missing(each, found[at], f"{path}[{at}]")
        ]
    return [] if wanted == found else [path]


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    """No two panels cover each other, and each has a number and words of its own."""
    panels = DASHBOARD["panels"]
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
