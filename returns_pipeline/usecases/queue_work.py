"""The seconds of work that are left by queue, by which an autoscaler chooses how many workers to run."""

from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import BULK, INTERACTIVE
from returns_pipeline.store import costs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import queue_of

#: Seconds for a photo of a model that has not classified anything yet: a photo of a telephone on one core.
ASSUMED_SECONDS = 0.02


def seconds_left(db: Database) -> dict[str, float]:
    """Return the seconds that one worker process would take for the open photos of each queue.

    It is the sum over models of photos in unfinished chunks times the process seconds of a photo in the
    model's last chunks: of this queue, else of any queue, else ASSUMED_SECONDS. A chunk that a worker has
    claimed counts whole until it is done. Photos that no scan has found yet do not count.
    """
    left = {INTERACTIVE: 0.0, BULK: 0.0}
    known: dict[tuple[str, int], float] = {}
    for found in costs.open_photos(db):
        this = queue_of(found.kind), found.model_version_id
        if this not in known:
            known[this] = _cost(db, *this)
        left[this[0]] += found.photos * known[this]
    return left


def _cost(db: Database, queue: str, model_version_id: int) -> float:
    of_queue = [kind for kind in RunKind if queue_of(kind) == queue]
    for kinds in (of_queue, list(RunKind)):
        cost = costs.of_last_chunks(db, model_version_id, kinds)
        if cost is not None:
            return cost
    return ASSUMED_SECONDS
