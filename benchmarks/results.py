"""Results: the measurement of a system in a workload, with its labels compared with the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.measuring import Measurement


@dataclass(frozen=True, slots=True)
class Result:
    """A system's measurement: of `wanted` images, `agreed` have the reference's label.

    `min_agreement` is the share of labels that must agree. It is 0 for a system with another decoder.
    """

    workload: str
    system: str
    title: str
    wanted: int
    agreed: int
    min_agreement: float
    measured: Measurement

    @property
    def rate(self) -> float:
        """Images a second in the median round."""
        return self.wanted / self.measured.median

    @property
    def is_right(self) -> bool:
        """Whether every image has one row, and enough labels agree with the reference."""
        rows = self.measured.rows == len(self.measured.labels) == self.wanted
        return rows and self.min_agreement * self.wanted <= self.agreed <= self.wanted

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON, without the labels."""
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
    """One run of the benchmark: results by (workload, system), details without images by system."""

    results: Mapping[tuple[str, str], Result]
    details: Mapping[str, Mapping[str, Any]]

    def wrong(self) -> list[str]:
        """Return a line for each fault of the labels; empty if all are right."""
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
        """Return the number of images whose labels differ between the pipeline and the bare loop."""
        pair = [self.results.get((workload, system)) for system in ("pipeline", "raw")]
        if pair[0] is None or pair[1] is None:
            return 0
        pipeline, bare_loop = pair[0].measured.labels, pair[1].measured.labels
        return sum(bare_loop.get(name) != label for name, label in pipeline.items())
