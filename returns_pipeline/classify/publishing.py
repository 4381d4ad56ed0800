"""How a bundle comes to the others: from a draft beside them, whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from returns_pipeline.classify.bundle import Bundle, versions_of

#: Share of images for which an export must name the label that Keras names.
LEAST_AGREEMENT = 0.999


@contextmanager
def draft_folder(models_dir: Path) -> Iterator[Path]:
    """Give an empty folder on the same disk as the bundles; what is still in it at the end is deleted."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".draft-") as temporary:
        # The temporary folder can be read by its owner only; the one that is published is like any other.
        draft = Path(temporary) / "bundle"
        draft.mkdir()
        yield draft


def publish(bundle: Bundle, models_dir: Path, above: int = 0) -> Bundle:
    """Move a finished draft to MODELS_DIR/NAME/VERSION, the next free version; return it as it lies there.

    The version is higher than `above` too: a bundle whose folder is gone keeps its number.
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
            if target.exists():  # another training took this version first
                continue
            raise
        return replace(final, folder=target)
