"""The run that today's uploads belong to. What a group of requests found is remembered for the next one."""

import time
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from returns_pipeline.classify.bundle import MANIFEST
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.settings import Settings
from returns_pipeline.store import costs, models, runs
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import run_request

#: Seconds that a chunk should take: a client waits for its whole chunk.
_CHUNK_SECONDS = 0.1
#: Seconds for which a chunk's size stays as it is.
_SIZE_SECONDS = 1.0

#: Inode, size, and the times of the file and of its inode.
_Stamp = tuple[int, int, int, int]


class UploadDay(NamedTuple):
    """A run of uploads, its model, and how many images a chunk of it may have."""

    run_id: int
    model: ModelRef
    chunk_size: int


class _Chosen(NamedTuple):
    """What was read of NAME/VERSION, and the stamp of its bundle.json."""

    model: str
    stamp: _Stamp
    request: RunRequest


class UploadDays:
    """Finds the run of the day. Each web process has one; one thread at a time uses it.

    A promotion takes effect with the next request: the active version is read each time. Its bundle is read
    again only if bundle.json is another file.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._chosen: _Chosen | None = None
        self._opened: tuple[str, int] | None = None
        self._size = 1
        self._measured = -_SIZE_SECONDS

    def today(self, context: Context) -> UploadDay:
        """Return the run for uploads that arrive now; open it if there is none.

        Raises ConfigFault if the model is missing.
        """
        request = self._request(context)
        request_id = _request_id(utc_now(), context.settings, request)
        if self._opened is None or self._opened[0] != request_id:
            # First a SELECT: on PostgreSQL, each refused INSERT would use up an id.
            found = runs.find_request(context.db, request_id)
            run_id = found or runs.open_run(context.db, replace(request, id=request_id))
            self._opened = request_id, run_id
            self._measured = -_SIZE_SECONDS
        run_id = self._opened[1]
        return UploadDay(run_id, request.model, self._chunk_size(context, run_id))

    def forget_run(self) -> None:
        """Look for the run again: it has ended."""
        self._opened = None

    def _request(self, context: Context) -> RunRequest:
        settings = context.settings
        wanted = _wanted(context)
        # The stamp comes first: if the file changes before it is read, the next request reads it again.
        stamp = _stamp(settings, wanted) if wanted else None
        known = self._chosen
        if known and (known.model, known.stamp) == (wanted, stamp):
            return known.request
        request = run_request(context, "", RunKind.API, settings.spool_dir)
        model = str(request.model)
        self._chosen = _Chosen(model, stamp, request) if stamp and model == wanted else None
        return request

    def _chunk_size(self, context: Context, run_id: int) -> int:
        """Return how many images a chunk may have, so that all processes share them while clients wait."""
        now = time.monotonic()
        if now - self._measured >= _SIZE_SECONDS:
            most = context.settings.api_batch
            cost = costs.of_uploads(context.db, run_id)
            if cost is None:
                return most
            self._size = max(1, min(most, int(_CHUNK_SECONDS / cost)))
            self._measured = now
        return self._size


def _wanted(context: Context) -> str | None:
    """Return NAME/VERSION of the model that a run would use now; None before its first use."""
    model = context.settings.model
    if "/" in model:
        return model
    version = models.active_version(context.db, model)
    return None if version is None else f"{model}/{version}"


def _stamp(settings: Settings, model: str) -> _Stamp | None:
    """Return what changes if bundle.json is replaced or rewritten; None if it is missing."""
    try:
        found = (settings.models_dir / model / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _request_id(moment: datetime, settings: Settings, request: RunRequest) -> str:
    day = moment.astimezone(ZoneInfo(settings.timezone)).date().isoformat()
    return f"api-{day}-{request.model_sha256[:32]}"
