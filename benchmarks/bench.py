"""Measures workloads: writes the images, runs every system, compares its labels with the reference."""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import Job, Measurement, run
from benchmarks.results import Measured, Result
from benchmarks.workloads import (
    WITHOUT_LABELS,
    WORKLOADS,
    Entry,
    Prepared,
    Request,
    Workload,
    float32_of,
)

_REFERENCE = "benchmarks.systems.reference"
#: Modules that import TensorFlow, which takes 4 s of CPU. In a tiny run they share a process.
_TENSORFLOW_MODULES = {_REFERENCE, "benchmarks.systems.tf_data", "benchmarks.systems.http_flask"}

#: Processes at a time in a tiny run. More than two cores can serve, because a process that starts also waits.
_SIDE_BY_SIDE = 3

Show = Callable[[str], None]


class _Planned(NamedTuple):
    """A workload with its images, and one job for each of its entries, in the same order."""

    workload: Workload
    prepared: Prepared
    entries: list[Entry]
    jobs: list[Job]


@dataclass(slots=True)
class Bench:
    """One run of the benchmark in `folder`; `show` displays the current step.

    `sentences` describes the images of each workload. `left_out` names the systems that are not installed.
    """

    request: Request
    folder: Path
    show: Show
    sentences: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    _results: dict[tuple[str, str], Result] = field(default_factory=dict)
    _details: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def measured(self) -> Measured:
        """Everything that was measured so far."""
        return Measured(self._results, self._details)

    def measure(self, names: Iterable[str]) -> Iterator[Workload]:
        """Measure the named workloads; yield each when its results are there.

        A tiny run measures all of them together, so that they can share processes.
        """
        chosen = []
        for workload in WORKLOADS:
            entries = [entry for entry in workload.entries if entry.is_asked_for(self.request.only)]
            if workload.name in names and entries:
                chosen.append((workload, entries))
        for batch in [chosen] if self.request.tiny else [[each] for each in chosen]:
            planned = [self._plan(workload, entries) for workload, entries in batch]
            measured = self._run([job for each in planned for job in each.jobs])
            for each in planned:
                self._keep(each, {job.work.name: measured[job.work] for job in each.jobs})
                # Free the disk for the next workload.
                shutil.rmtree(self.folder / each.workload.name)
                yield each.workload

    def _plan(self, workload: Workload, entries: list[Entry]) -> _Planned:
        """Write the images of a workload; return a job for each system that is installed."""
        folder = self.folder / workload.name
        folder.mkdir()
        self.show(f"{workload.name}: images")
        prepared = workload.prepare(folder / "images", workload.count(self.request), self.request)
        self.sentences[workload.name] = f"{prepared.sentence}; model {prepared.bundle.ref}"
        installed = [entry for entry in entries if entry.is_installed]
        self.left_out += [
            f"{entry.title}: {entry.package} is not installed" for entry in entries if entry not in installed
        ]
        if prepared.labels is None and workload.name not in WITHOUT_LABELS:
            options = {"imaging": workload.imaging}
            installed.insert(0, Entry("reference", "reference labels", _REFERENCE, options=options))
        jobs = [self._job(workload, prepared, entry) for entry in installed]
        return _Planned(workload, prepared, installed, jobs)

    def _job(self, workload: Workload, prepared: Prepared, entry: Entry) -> Job:
        cores = len(os.sched_getaffinity(0))
        return Job(
            module=entry.module,
            images=prepared.images,
            count=workload.count_for(entry, prepared, self.request),
            rounds=1 if entry.module == _REFERENCE else workload.rounds_for(entry, self.request),
            processes=(entry.tiny_processes or cores) if self.request.tiny else cores,
            bundle=(float32_of(prepared.bundle) if entry.in_float32 else prepared.bundle).folder,
            work=self.folder / workload.name / entry.system,
            is_tiny=self.request.tiny,
            options=dict(entry.options),
        )

    def _run(self, jobs: list[Job]) -> dict[Path, Measurement]:
        """Run jobs, one process for each; return each measurement by its job's folder.

        A tiny run has one process for each module, and several at a time.
        """
        groups: dict[object, list[Job]] = defaultdict(list)
        for job in jobs:
            if not self.request.tiny:
                groups[job.work].append(job)
            elif job.module in _TENSORFLOW_MODULES:
                groups["TensorFlow"].append(job)
            else:
                groups[job.module].append(job)

        def measure(group: list[Job]) -> list[Measurement]:
            self.show(", ".join(f"{job.work.parent.name}: {job.work.name}" for job in group))
            return run(group)

        with ThreadPoolExecutor(_SIDE_BY_SIDE if self.request.tiny else 1) as pool:
            results = pool.map(measure, groups.values())
            return {
                job.work: measurement
                for group, measurements in zip(groups.values(), results, strict=True)
                for job, measurement in zip(group, measurements, strict=True)
            }

    def _keep(self, planned: _Planned, measured: dict[str, Measurement]) -> None:
        """Keep the measurements of a workload, compared with the right labels if it has images."""
        workload, prepared = planned.workload, planned.prepared
        if workload.name in WITHOUT_LABELS:
            self._details |= {system: measurement.detail for system, measurement in measured.items()}
            return
        labels, tied = prepared.labels, {}
        if labels is None:
            reference = measured["reference"]
            labels, tied = reference.labels, reference.detail["tied"]
            self._details[f"reference-{workload.name}"] = reference.detail
        for entry in planned.entries:
            if entry.module == _REFERENCE:
                continue
            found = measured[entry.system]
            agreed = sum(label in (labels.get(name), tied.get(name)) for name, label in found.labels.items())
            wanted = workload.count_for(entry, prepared, self.request)
            self._results[workload.name, entry.system] = Result(
                workload.name, entry.system, entry.title, wanted, agreed, entry.min_agreement, found
            )
