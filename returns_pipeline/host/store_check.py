"""Checks the places in object stores that an installation has."""

from collections.abc import Iterable
from pathlib import Path

from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.places import is_object
from returns_pipeline.settings import Settings


def check_stores(settings: Settings) -> str:
    """Write an object into each place in a store, read and delete it; list the intakes. Return a line.

    Pictures of products are only read, and a machine that publishes no models needs no more than reading
    them: the line says so if they cannot be written. Raises ConfigFault with what a place lacks,
    TransientFault if a store does not answer.
    """
    intakes = _in_stores(each.folder for each in settings.every_intake)
    written = _in_stores(
        (settings.archive_dir, settings.quarantine_dir, settings.report_dir, settings.spool_dir)
    )
    read = _in_stores((settings.models_store, settings.catalogue_dir))
    if not (intakes or written or read):
        return "no place is in an object store"
    from returns_pipeline.photos.objects import files, probe

    for place in intakes:
        Sources().require_folder(place)
    for place in written:
        probe.require_usable(place)
    writable, only_read = [], []
    for place in read:
        try:
            probe.require_usable(place)
            writable.append(place)
        except probe.UnwritableFault:
            only_read.append(place)
    if settings.object_links == "presigned":
        for place in (*intakes, *written):
            files.link(f"{place}/doctor")
    found = [f"objects are written, read and deleted in {place}" for place in (*written, *writable)]
    found += [f"objects are only read in {place}" for place in only_read]
    found += [f"{place} is listed" for place in intakes]
    return "; ".join(found)


def _in_stores(places: Iterable[Path | str]) -> list[str]:
    """Return those places that are in a store, each once."""
    return list(dict.fromkeys(str(each) for each in places if is_object(str(each))))
