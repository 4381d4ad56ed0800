"""Imports files that announce returns, and those of the drop folder before each night."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from returns_pipeline.errors import ConfigFault, PipelineError, RefusedError, TransientFault
from returns_pipeline.languages import N_
from returns_pipeline.manifests.checking import Checker, Labels
from returns_pipeline.manifests.reading import open_manifest
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.returns import ImportCounts, RefusedLine
from returns_pipeline.records.text import iso, printable
from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.settings import Settings
from returns_pipeline.store import audit, return_imports
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.return_imports import Announced, Origin
from returns_pipeline.tabular_files.lines import Line
from returns_pipeline.tabular_files.reading import SUFFIXES
from returns_pipeline.usecases import judging, models
from returns_pipeline.usecases.ahead import ahead
from returns_pipeline.usecases.alone import alone
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.seen import Seen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds after an import in which changed returns are judged; the sweep has the others judged.
_JUDGING_SECONDS = 10.0
#: Lines of one transaction. Each transaction writes nearly every page of some indexes again, because no file
#: has their order. With 5,000 lines SQLite takes 1.6 times as long. A transaction takes about a second there.
_TOGETHER = 20_000
#: Who announces what is in the drop folder.
_FOLDER = "manifest folder"
_DONE, _REFUSED = "done", "refused"
TWICE = N_("The number is in an earlier line too, with other values. Each return has one line.")


class Imported(NamedTuple):
    """What became of a file. `refused` has at most `return_imports.MOST_FAULTS` lines."""

    import_id: int
    counts: ImportCounts
    encoding: str
    refused: list[RefusedLine]


def labels_of(settings: Settings, db: Database) -> Labels:
    """Return what a return may expect: labels and main categories of the models of all intakes.

    A model that is missing is left out. Raises its ConfigFault if all are.
    """
    bundles: list[Bundle] = []
    faults: list[ConfigFault] = []
    for model in dict.fromkeys(intake.model for intake in settings.every_intake):
        try:
            bundles.append(models.choose(settings, db, model))
        except ConfigFault as fault:
            faults.append(fault)
    if not bundles:
        raise faults[0]
    names = {
        name: label
        for bundle in bundles
        for of_language in bundle.names.values()
        for label, name in of_language.items()
    }
    return Labels.of([(bundle.labels, bundle.main_categories) for bundle in bundles], names)


def import_file(
    settings: Settings,
    db: Database,
    path: Path,
    who: str,
    mapping: Mapping[str, str],
    on_progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Import a manifest. A line that is wrong is refused alone; what was taken stays if the file ends early.

    Raises RefusedError if the file cannot be read, ConfigFault without a model, TransientFault if the
    database is away. Importing a file again goes on where a killed process ended.
    """
    checker = Checker(labels_of(settings, db))
    manifest = open_manifest(path, mapping)
    source = printable(path.name)
    import_id = return_imports.begin(db, who, source)
    origin = Origin(import_id, who, source, settings.missing_days)
    counts = ImportCounts()
    refused: list[RefusedLine] = []
    try:
        read = batches(checker, manifest.lines)
        # On SQLite, other processes write while the next batch is read.
        for batch in read if db.is_sqlite else ahead(read):
            taken, _ = return_imports.take(db, origin, batch.lines, batch.refused, batch.repeated)
            counts = counts.plus(taken)
            refused += batch.refused[: return_imports.MOST_FAULTS - len(refused)]
            on_progress(counts.lines)
    except RefusedError as error:
        return_imports.finish(db, import_id, str(error))
        raise
    return_imports.finish(db, import_id)
    audit.note(
        db, who, AuditAction.RETURNS_IMPORT, AuditSubject.IMPORT, import_id, name=source, lines=counts.lines
    )
    if counts.changed:
        judging.judge_all(settings, db, _JUDGING_SECONDS)
    return Imported(import_id, counts, manifest.encoding, refused)


class Batch(NamedTuple):
    """Checked lines, no number twice; refused ones; and how many say again what an earlier line said."""

    lines: list[Announced]
    refused: list[RefusedLine]
    repeated: int


def batches(checker: Checker, lines: Iterable[Line | RefusedLine]) -> Iterator[Batch]:
    """Yield the lines of a file, some at a time.

    Of lines with the same number, the first counts; a later one is refused unless it says the same. So a
    second import of the file changes nothing.
    """
    numbers, contents = Seen(), Seen()
    remaining = iter(lines)
    while (first := next(remaining, None)) is not None:
        batch = _checked(checker, chain([first], islice(remaining, _TOGETHER - 1)))
        is_known = numbers.add(each.announcement.number for each in batch.lines)
        is_said = contents.add((each.announcement, each.present) for each in batch.lines)
        yield _without_known(batch, is_known, is_said) if is_known.any() else batch


def _checked(checker: Checker, lines: Iterable[Line | RefusedLine]) -> Batch:
    """Return the lines, without those whose number an earlier one of them has."""
    taken: dict[str, Announced] = {}
    refused: list[RefusedLine] = []
    repeated = 0
    for line in lines:
        found = line if isinstance(line, RefusedLine) else checker.check(line)
        if isinstance(found, RefusedLine):
            refused.append(found)
            continue
        announcement, present = found
        number = announcement.number
        if number not in taken:
            taken[number] = Announced(line[0], announcement, present)
        elif taken[number].announcement == announcement:
            repeated += 1
        else:
            refused.append(RefusedLine(line[0], number, TWICE))
    return Batch(list(taken.values()), sorted(refused), repeated)


def _without_known(batch: Batch, is_known: "NDArray[np.bool_]", is_said: "NDArray[np.bool_]") -> Batch:
    """Return a batch without the lines whose number an earlier batch had, whether it said the same or not."""
    kept: list[Announced] = []
    refused = batch.refused.copy()
    for each, known, same in zip(batch.lines, is_known, is_said, strict=True):
        if not known:
            kept.append(each)
        elif not same:
            refused.append(RefusedLine(each.line, each.announcement.number, TWICE))
    repeated = len(batch.lines) - len(kept) - (len(refused) - len(batch.refused))
    return Batch(kept, sorted(refused), batch.repeated + repeated)


def take_dropped(context: Context) -> list[Path]:
    """Import the settled files of the drop folder; return where they are now.

    A file goes to `done`, or to `refused` if it cannot be read, and a report is written beside it. No file
    stops the others, and none stops the night: what fails is logged. Another process that is at it has the
    folder to itself.
    """
    folder = context.settings.manifest_dir
    moved: list[Path] = []
    try:
        if not folder.is_dir():
            return []
        with alone(folder) as is_alone:
            if not is_alone:
                return []
            for path in sorted(folder.iterdir()):
                if _is_ready(path, context.settings.settle_seconds):
                    moved.append(_take_one(context, path))
    except TransientFault as fault:
        log.warning("manifests_wait", reason=str(fault))
    except OSError as error:
        log.warning("manifests_unreadable", folder=str(folder), reason=str(error))
    return moved


def _is_ready(path: Path, settle_seconds: float) -> bool:
    if path.name.startswith(".") or path.is_symlink() or not path.is_file():
        return False
    # A clock that was set back must not keep a file for ever.
    return abs(time.time() - path.stat().st_ctime) >= settle_seconds


def _take_one(context: Context, path: Path) -> Path:
    report: dict[str, Any] = {"file": printable(path.name), "at": iso(utc_now())}
    target = _DONE
    try:
        _require_suffix(path)
        found = import_file(context.settings, context.db, path, _FOLDER, {})
        log.info("returns_imported", file=report["file"], **found.counts._asdict())
        report |= {"import": found.import_id, **found.counts._asdict(), "encoding": found.encoding}
        report["refused_lines"] = [each._asdict() for each in found.refused]
        if found.counts.refused == found.counts.lines > 0:
            target = _REFUSED
    except TransientFault:
        raise
    except ConfigFault as fault:
        log.warning("manifest_waits", file=path.name, reason=str(fault))
        return path
    except Exception as error:  # a file from outside; the night goes on
        target = _REFUSED
        report["error"] = str(error) if isinstance(error, PipelineError) else type(error).__name__
        if isinstance(error, PipelineError):
            log.warning("manifest_refused", file=path.name, reason=str(error))
        else:
            log.exception("manifest_refused", file=path.name)
    return _move(path, path.parent / target, report)


def _require_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise RefusedError("The file's name ends with none of {endings}.", endings=", ".join(SUFFIXES))


def _move(path: Path, folder: Path, report: dict[str, Any]) -> Path:
    """Move a file that was taken and write its report beside it. No file of the same name is replaced."""
    folder.mkdir(mode=0o700, exist_ok=True)
    stem, number = f"{utc_now():%Y%m%d-%H%M%S}-{path.name}"[:200], 0
    target = folder / stem
    while target.exists():
        number += 1
        target = folder / f"{number}-{stem}"
    path.rename(target)
    with whole_file(folder / f"{target.name}.report.json") as unfinished:
        unfinished.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return target
