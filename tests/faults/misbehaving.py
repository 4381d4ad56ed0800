"""A worker whose model misbehaves: `celery -A tests.faults.misbehaving worker`.

It is the project's own worker with another classifier. White pixels kill its process, almost white ones
hang it. FAULT_SECONDS makes it slow for each image; FAULT_LEAK_MB makes it leak memory for each chunk.
FAULT_STALL is a file: the process that creates it stalls before its first rename, or after its first look at
an object that it has copied, until there is a file of the same name with the ending .on.
FAULT_JUDGING is a file: the process that creates it dies while it judges returns. FAULT_MATCHING is one too:
the process that creates it dies before it stores the first matches of photos, and FAULT_PRODUCTS, before it
stores the first comparison with a product. FAULT_FEEDS are two, separated
by a colon: processes die before a fetched photo gets its name, and before its address is marked.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.photos import folder_feeds, folder_renames
from returns_pipeline.photos.objects import moves as object_moves
from returns_pipeline.records.images import Move
from returns_pipeline.records.likeness import Match
from returns_pipeline.records.predictions import Scores
from returns_pipeline.records.returns import Return
from returns_pipeline.store import feeds, likeness, product_comparisons, return_verdicts
from returns_pipeline.store.database import Database
from returns_pipeline.store.product_comparisons import Claim, Comparison
from workers import process
from workers.app import app

__all__ = ["app"]

DEADLY, HANGING = 255, 254

_leaked: list[bytes] = []


class MisbehavingClassifier(StubClassifier):
    """The stub classifier with the faults that the environment and the pixels choose."""

    def predict(self, pixels: NDArray[np.uint8]) -> Scores:
        """Return the stub's scores, if this process survives."""
        brightest = pixels.reshape(len(pixels), -1).max(axis=1) if len(pixels) else np.zeros(0)
        if (brightest == DEADLY).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (brightest == HANGING).any():
            time.sleep(3600)
        time.sleep(float(os.environ.get("FAULT_SECONDS", "0")) * len(pixels))
        _leaked.append(os.urandom(int(os.environ.get("FAULT_LEAK_MB", "0")) * 1024 * 1024))
        return super().predict(pixels)


def _load(bundle: Bundle, runtime: str, **how: object) -> MisbehavingClassifier:  # noqa: ARG001 - the real signature
    return MisbehavingClassifier(bundle)


_rename_to_free = folder_renames.rename_to_free


def _stall_before_renaming(source: str, target: str, owner: int) -> None:
    _stall_once(source)
    _rename_to_free(source, target, owner)


_look = object_moves.look_at_source


def _stall_after_looking(request: Move) -> object_moves.Look:
    found = _look(request)
    _stall_once(request.source)
    return found


def _stall_once(source: str) -> None:
    flag = os.environ.get("FAULT_STALL")
    if flag:
        with contextlib.suppress(FileExistsError), Path(flag).open("x", encoding="utf-8") as stream:
            stream.write(source)
            stream.flush()
            # Without another process, the time limit of the task ends the stall.
            while not Path(flag).with_suffix(".on").exists():
                time.sleep(0.05)


_lock = return_verdicts.lock


def _die_once(connection: sa.Connection, ids: Sequence[int]) -> list[Return]:
    flag = os.environ.get("FAULT_JUDGING")
    if flag:
        with contextlib.suppress(FileExistsError), Path(flag).open("x", encoding="utf-8"):
            os.kill(os.getpid(), signal.SIGKILL)
    return _lock(connection, ids)


_end = likeness.end


def _die_before_the_end(db: Database, chunk_id: int, matches: Sequence[Match]) -> tuple[int, bool]:
    flag = os.environ.get("FAULT_MATCHING")
    if flag and matches:
        with contextlib.suppress(FileExistsError), Path(flag).open("x", encoding="utf-8"):
            os.kill(os.getpid(), signal.SIGKILL)
    return _end(db, chunk_id, matches)


_store = product_comparisons.store


def _die_before_storing(db: Database, held: Claim, found: Comparison) -> bool:
    flag = os.environ.get("FAULT_PRODUCTS")
    if flag:
        with contextlib.suppress(FileExistsError), Path(flag).open("x", encoding="utf-8"):
            os.kill(os.getpid(), signal.SIGKILL)
    return _store(db, held, found)


def _dying(place: Any, name: str, number: int) -> None:
    """Let the first process that calls a function of fetching die in its place."""
    original = getattr(place, name)

    def die_once(*arguments: Any) -> None:
        if flags := os.environ.get("FAULT_FEEDS"):
            with contextlib.suppress(FileExistsError), Path(flags.split(":")[number]).open("x"):
                os.kill(os.getpid(), signal.SIGKILL)
        original(*arguments)

    setattr(place, name, die_once)


_dying(folder_feeds, "show", 0)
_dying(feeds, "settle", 1)
setattr(likeness, "end", _die_before_the_end)  # noqa: B010 - replaces the name that the comparison uses
setattr(product_comparisons, "store", _die_before_storing)  # noqa: B010 - the name that comparing uses
setattr(return_verdicts, "lock", _die_once)  # noqa: B010 - replaces the name that judging uses
setattr(folder_renames, "rename_to_free", _stall_before_renaming)  # noqa: B010 - the name that moves use
setattr(object_moves, "look_at_source", _stall_after_looking)  # noqa: B010 - the name that moves use
setattr(process, "load_classifier", _load)  # noqa: B010 - replaces the name that the worker imported
