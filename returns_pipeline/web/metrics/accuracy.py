"""Metrics of how often each version of a model is right."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from returns_pipeline.records.accuracy import ModelAccuracy
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import accuracy

_MODEL = ("name", "version", "intake")
_ENDS = {
    "": "Share of right labels of the last days",
    "_low": "Lower end of its 95 % interval",
    "_high": "Upper end of its 95 % interval",
    "_reviews_missing": "Reviews that are missing for an interval of two points",
}


def of_models(database: Database) -> Iterator[Metric]:
    """Yield how often each version is right, with the ends of the 95 % interval: in all, and by label."""
    found = accuracy.recent(database, utc_now())
    every = [(_names(each), each.recent) for each in found]
    by_label = [((*_names(each), label), of_label) for each in found for label, of_label in each.categories]
    for prefix, labels, estimates in (
        ("returns_accuracy", _MODEL, every),
        ("returns_label_accuracy", (*_MODEL, "label"), by_label),
    ):
        families = [
            GaugeMetricFamily(f"{prefix}{end}", f"{meaning}, estimated from reviews.", labels=labels)
            for end, meaning in _ENDS.items()
        ]
        for values, each in estimates:
            if each is None:
                continue
            for family, value in zip(families, (each.right, each.low, each.high, each.more), strict=True):
                if value is not None:
                    family.add_metric(values, value)
        yield from families


def _names(found: ModelAccuracy) -> tuple[str, str, str]:
    return found.model.name, str(found.model.version), found.intake or ""
