"""The report of a run: written into its folder, which may be in an object store, and read again."""

from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from returns_pipeline.records.places import is_object
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.report import write_report
from returns_pipeline.store import images
from returns_pipeline.usecases.context import Context


def write(context: Context, summary: RunSummary) -> RunSummary:
    """Write the report of a run, in RETURNS_LANGUAGE; return the summary with the paths of its files.

    In an object store, each file is written on this machine first and then sent whole. Raises TransientFault
    if the disk or the store refuses.
    """
    folder, zone = context.settings.report_dir / f"run-{summary.id}", ZoneInfo(context.settings.timezone)
    results = images.results(context.db, summary.id)
    with context.db.reading_once(), context.spoken():
        if not is_object(str(folder)):
            return write_report(summary, results, folder, zone)
        from returns_pipeline.photos.objects import files

        with TemporaryDirectory(prefix="returns-report-") as local:
            written = write_report(summary, results, Path(local), zone, folder)
            for path in (written.csv, written.report):
                if path is not None:
                    files.write(str(path), Path(local) / path.name)
        return written
