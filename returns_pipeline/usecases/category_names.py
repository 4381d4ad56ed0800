"""The names that bundles give their categories in other languages."""

import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.models_folder import on_disk
from returns_pipeline.errors import PipelineError

#: Seconds after which new bundles are looked for.
_SECONDS = 60.0


@cache
def names_of_models(models_dir: Path) -> Callable[[], Mapping[str, Mapping[str, str]]]:
    """Return a function that returns, by language and label, the names that the bundles state.

    Photos of old runs are shown too, so all versions of all models count; the highest version wins. Manifests
    are read at most once a minute.
    """
    lock, until = threading.Lock(), 0.0
    known: Mapping[str, Mapping[str, str]] = {}

    def names() -> Mapping[str, Mapping[str, str]]:
        nonlocal known, until
        if time.monotonic() > until and lock.acquire(blocking=not until):
            try:
                known, until = _read(models_dir), time.monotonic() + _SECONDS
            finally:
                lock.release()
        return known

    return names


def _read(models_dir: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for ref, fault in on_disk(models_dir):
        try:
            bundle = None if fault else load_bundle(models_dir / ref.name / str(ref.version))
        except PipelineError:  # the page of models says what is wrong with it
            bundle = None
        if bundle is None:
            continue
        for language, names in bundle.names.items():
            found.setdefault(language, {}).update(names)
    return found
