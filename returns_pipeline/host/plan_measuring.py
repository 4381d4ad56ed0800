"""Measures what a photo costs on this machine: a small night in a home of its own, by the code of a worker.

Processor time counts, so another load of the machine changes little. The night is thrown away.
"""

import itertools
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog
from PIL import Image

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import RefusedError
from returns_pipeline.host.context import command_context
from returns_pipeline.records.plans import CostSource, PhotoCosts
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.store import costs, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import planning
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan

#: Photos of the first night, which loads the model, and the least and most of the second.
_WARM, _LEAST, _MOST = 32, 64, 20_000
_DRAWN, _QUALITY, _COARSE, _NOISE = 40, 90, 40, 3.0
_DRAWN_SIZE = (400, 533)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def measure(settings: Settings, bundle: Bundle, folder: Path | None, seconds: float) -> PhotoCosts:
    """Classify photos for about `seconds`; return the costs of one.

    The photos are those of `folder` and of its subfolders, else drawn pictures of the size of a clothing
    photo. Raises RefusedError for a folder without photos.
    """
    with tempfile.TemporaryDirectory(prefix="returns-plan-") as name:
        home = Path(name)
        photos = _photos_of(folder) if folder else _drawn(home / "drawn")
        nights = settings_of_home(
            home / "home",
            models_dir=settings.models_dir,
            model=str(bundle.ref),
            settle_seconds=0,
            # Copies of a few photos would all be found again.
            reuse_days=0,
        )
        database = Database(nights.database_url)
        database.upgrade()
        queue = InProcessQueue()
        context = command_context(nights, database, queue)
        try:
            with structlog.testing.capture_logs():
                first = _night(context, queue, photos, _WARM)
                count = max(_LEAST, min(_MOST, round(seconds / max(first[Task.CLASSIFY_CHUNK], 1e-6))))
                spent = _night(context, queue, photos, count)
            stages = costs.stages_of_night(database, bundle.ref) or {}
        finally:
            context.close()
        return _costs(settings, spent, stages, photos)


def _night(context: Context, queue: InProcessQueue, photos: Sequence[Path], count: int) -> dict[Task, float]:
    """Scan and classify `count` copies of photos; return the seconds of the processor for one, by task."""
    incoming = context.settings.incoming_dir
    incoming.mkdir(parents=True, exist_ok=True)
    for number, photo in zip(range(count), itertools.cycle(photos), strict=False):
        shutil.copyfile(photo, incoming / f"{count}-{number:06}{photo.suffix}")
    spent: dict[Task, float] = defaultdict(float)
    began = time.process_time()
    run_id = scan(context, f"plan-{count}")
    spent[Task.SCAN] = time.process_time() - began
    while queue.messages:
        task, began = queue.messages[0].task, time.process_time()
        queue.deliver_one(context)
        spent[task] += time.process_time() - began
    classified = runs.existing(context.db, run_id).counts.classified
    if not classified:
        raise RefusedError("None of the photos could be classified.", "Name another folder with --folder.")
    return {task: seconds / count for task, seconds in spent.items()}


def _costs(
    settings: Settings, spent: dict[Task, float], stages: dict[str, float], photos: Sequence[Path]
) -> PhotoCosts:
    worker = spent.pop(Task.CLASSIFY_CHUNK)
    # The stages were taken by the clock; what counts is the processor. Tiny chunks tell no stages.
    by_clock = sum(stages.values())
    share = min(1.0, worker / by_clock) if by_clock else 0.0
    of_stages = {stage: seconds * share for stage, seconds in stages.items()}
    other = max(0.0, worker - sum(of_stages.values()))
    size = round(sum(photo.stat().st_size for photo in photos) / len(photos))
    return planning.with_shipped(
        settings, CostSource.MEASURED, of_stages, 1000 * other, size, 1000 * sum(spent.values())
    )


def _photos_of(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise RefusedError("The folder {folder} has no photos.", "Name another with --folder.", folder=folder)
    # Spread over the folder: the first files by name may all be of one kind.
    most = min(len(found), _MOST)
    return [found[number * len(found) // most] for number in range(most)]


def _drawn(folder: Path) -> list[Path]:
    """Draw photos with about the decoding cost of a photo: soft shapes with the noise of a camera."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = []
    for number in range(_DRAWN):
        coarse = rng.integers(0, 256, (_COARSE, _COARSE, 3), np.uint8)
        soft = np.asarray(Image.fromarray(coarse).resize(_DRAWN_SIZE, Image.Resampling.BICUBIC), np.float32)
        noisy = np.clip(soft + rng.normal(0, _NOISE, soft.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(noisy).save(paths[-1], quality=_QUALITY)
    return paths
