"""What was measured of one system in one workload, its answers compared with the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.measuring import Measurement


@dataclass(frozen=True, slots=True)
class Result:
    """A system's measurement: `wanted` images were asked for, `agreed` have the reference's label.

    `least` is the share of labels that must agree; what decodes pictures in a way of its own may have 0.
    """

    workload: str
    system: str
    title: str
    wanted: int
    agreed: int
    least: float
    measured: Measurement

    @property
    def rate(self) -> float:
        """Images a second in the median round."""
        return self.wanted / self.measured.median

    @property
    def is_right(self) -> bool:
        """Whether every image has one row and enough labels are the reference's."""
        rows = self.measured.rows == len(self.measured.labels) == self.wanted
        return rows and self.least * self.wanted <= self.agreed <= self.wanted

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON; the labels are left out."""
        return {
            "workload": self.workload,
            "system": self.system,
            "images": self.wanted,
            "seconds": round(self.measured.median, 4),
            "rounds": [round(seconds, 4) for seconds in self.measured.seconds],
            "images_per_second": round(self.rate, 2),
            "rows": self.measured.rows,
            "labels_agreed": self.agreed,
            "right": self.is_right,
            "detail": self.measured.detail,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything of one run: results by (workload, system), details of what has no images by module."""

    results: Mapping[tuple[str, str], Result]
    details: Mapping[str, Mapping[str, Any]]

    def wrong(self) -> list[str]:
        """Return what is wrong with the answers, a line for each; empty when all are right."""
        lines = [
            f"{workload}, {system}: {result.measured.rows:,} rows and {result.agreed:,} right labels "
            f"of {result.wanted:,}"
            for (workload, system), result in self.results.items()
            if not result.is_right
        ]
        for workload in sorted({workload for workload, _ in self.results}):
            differing = self._differing(workload)
            if differing:
                lines.append(f"{workload}: the bare loop and the pipeline differ on {differing:,} images")
        return lines

    def _differing(self, workload: str) -> int:
        """Return on how many images the two that decode alike have different labels."""
        pair = [self.results.get((workload, system)) for system in ("pipeline", "raw")]
        if pair[0] is None or pair[1] is None:
            return 0
        ours, theirs = pair[0].measured.labels, pair[1].measured.labels
        return sum(theirs.get(name) != label for name, label in ours.items())
