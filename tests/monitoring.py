"""The files of monitoring: alert rules, dashboard, autoscaler, and their queries."""

import json
import os
import re
import shutil
from typing import Any

import pytest
import yaml

from returns_pipeline.settings import PROJECT_ROOT

DEPLOY = PROJECT_ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "returns-pipeline.json").read_text(encoding="utf-8"))
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool") and not os.environ.get("CI"),
    reason="promtool is missing, of the Debian package prometheus",
)


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panel_queries() -> list[str]:
    """Return the queries of the dashboard."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def keda_queries() -> list[str]:
    """Return the queries of the autoscaler."""
    scaled = yaml.safe_load((DEPLOY / "keda" / "scaledobject.yml").read_text(encoding="utf-8"))
    return [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]


def named_metrics() -> set[str]:
    """Return the names of all metrics that rules, dashboard and autoscaler use."""
    queries = [*panel_queries(), *keda_queries(), *(str(rule["expr"]) for rule in rules())]
    return {name for query in queries for name in re.findall(r"\breturns_\w+", query)}
