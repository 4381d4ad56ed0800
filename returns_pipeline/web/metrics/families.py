"""Metrics with one label from a mapping."""

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


def gauge(name: str, meaning: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """Return a gauge with a value for each value of its label."""
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family


def counter(name: str, meaning: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    """Return a counter with a value for each value of its label."""
    family = CounterMetricFamily(name, meaning, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family
