"""Measures workloads: writes the images, finds the right labels, runs every system, compares."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measuring import Job, Measurement, run
from benchmarks.results import Measured, Result
from benchmarks.workloads import WORKLOADS, Entry, Prepared, Request, Workload, WorkloadName

_REFERENCE = "benchmarks.systems.reference"

#: More than two cores can work on: starting is waiting, too.
_SIDE_BY_SIDE = 3

Say = Callable[[str], None]


@dataclass(slots=True)
class Bench:
    """One run of the benchmark below `folder`; `say` is told what is being done.

    `sentences` holds what the images of each workload are, `left_out` the systems that cannot be measured.
    """

    request: Request
    folder: Path
    say: Say
    sentences: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    _results: dict[tuple[str, str], Result] = field(default_factory=dict)
    _details: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def measured(self) -> Measured:
        """Everything that was measured so far."""
        return Measured(self._results, self._details)

    def measure(self, names: Iterable[str]) -> Iterator[Workload]:
        """Measure the named workloads in turn; yield each when it is done and something was measured."""
        for workload in WORKLOADS:
            entries = [entry for entry in workload.entries if entry.is_asked_for(self.request.only)]
            if workload.name in names and entries:
                self._measure(workload, entries)
                yield workload

    def _measure(self, workload: Workload, entries: list[Entry]) -> None:
        folder = self.folder / workload.name
        folder.mkdir()
        self.say(f"{workload.name}: images")
        prepared = workload.prepare(folder / "images", workload.count(self.request), self.request)
        self.sentences[workload.name] = f"{prepared.sentence}; model {prepared.bundle.ref}"
        there = [entry for entry in entries if entry.is_there]
        self.left_out += [
            f"{entry.title}: {entry.package} is not installed" for entry in entries if entry not in there
        ]
        if workload.name is WorkloadName.FOOTPRINT:
            for entry, measured in zip(there, self._run_all(workload, prepared, there), strict=True):
                self._details[entry.system] = measured.detail
        else:
            self._compare(workload, prepared, there)
        # The next workload may need the room.
        shutil.rmtree(folder)

    def _compare(self, workload: Workload, prepared: Prepared, entries: list[Entry]) -> None:
        """Run the systems and the reference; keep a result for each system."""
        asked = list(entries)
        if prepared.labels is None:
            asked.insert(
                0, Entry("reference", "reference labels", _REFERENCE, options={"imaging": workload.imaging})
            )
        measured = dict(
            zip((each.system for each in asked), self._run_all(workload, prepared, asked), strict=True)
        )
        labels, tied = prepared.labels, {}
        if labels is None:
            reference = measured["reference"]
            labels, tied = reference.labels, reference.detail["tied"]
            self._details[f"reference-{workload.name}"] = reference.detail
        for entry in entries:
            its = measured[entry.system]
            agreed = sum(label in (labels.get(name), tied.get(name)) for name, label in its.labels.items())
            wanted = workload.count_for(entry, prepared, self.request)
            self._results[workload.name, entry.system] = Result(
                workload.name, entry.system, entry.title, wanted, agreed, entry.least, its
            )

    def _run_all(self, workload: Workload, prepared: Prepared, entries: list[Entry]) -> list[Measurement]:
        """Run the systems one after another; side by side when nobody reads the times."""

        def measure(entry: Entry) -> Measurement:
            self.say(f"{workload.name}: {entry.title}")
            job = Job(
                images=prepared.images,
                count=workload.count_for(entry, prepared, self.request),
                rounds=1 if entry.module == _REFERENCE else workload.rounds_for(entry, self.request),
                bundle=prepared.bundle.folder,
                work=self.folder / workload.name / entry.system,
                options=dict(entry.options),
            )
            return run(entry.module, job)

        with ThreadPoolExecutor(_SIDE_BY_SIDE if self.request.tiny else 1) as pool:
            return list(pool.map(measure, entries))
