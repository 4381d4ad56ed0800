"""Publishes a bundle atomically from a draft folder."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from returns_pipeline.classify.bundle import Bundle, versions_of


@contextmanager
def draft_folder(models_dir: Path) -> Iterator[Path]:
    """Yield an empty folder on the same disk as the bundles; it is deleted at the end unless published."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".draft-") as temporary:
        # Only its owner can read the temporary folder; the published folder has the usual permissions.
        draft = Path(temporary) / "bundle"
        draft.mkdir()
        yield draft


def publish(bundle: Bundle, models_dir: Path, above: int = 0) -> Bundle:
    """Move a finished draft to MODELS_DIR/NAME/VERSION, the next free version; return the published bundle.

    The version is also higher than `above`: the number of a deleted bundle is not used again.
    """
    (models_dir / bundle.name).mkdir(exist_ok=True)
    while True:
        version = max([above, *versions_of(models_dir, bundle.name)]) + 1
        target = models_dir / bundle.name / str(version)
        final = replace(bundle, version=version)
        final.save()
        try:
            final.folder.rename(target)
        except OSError:
            if target.exists():  # another process published this version first
                continue
            raise
        return replace(final, folder=target)
