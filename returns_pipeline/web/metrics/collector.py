"""Reads every metric when Prometheus collects."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from returns_pipeline.errors import TransientFault
from returns_pipeline.store import images, models, outbox, review_queue, run_statistics
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import intakes, night_watch, queue_work
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.metrics.accuracy import of_models
from returns_pipeline.web.metrics.disks import Disks
from returns_pipeline.web.metrics.families import counter, gauge
from returns_pipeline.web.metrics.returns import Counts, MatchCounts, of_returns


class Collector:
    """The metrics of an installation. Those of a part that does not answer are missing."""

    def __init__(self, context: Context, returns: Counts, matches: MatchCounts) -> None:
        """Keep the connections; `returns` and `matches` give the counts of both."""
        self._settings, self._db, self._queue = context.settings, context.db, context.queue
        self._returns, self._matches = returns, matches
        self._disks = Disks(context.settings)

    def describe(self) -> list[Metric]:
        """Return nothing: without this the registry would collect everything once to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; those of the database and of the broker only while it answers."""
        yield from self._of_database()
        yield from self._of_broker()
        sizes = self._disks.sizes()
        free = {folder: float(free) for folder, (free, _) in sizes.items()}
        every = {folder: float(size) for folder, (_, size) in sizes.items()}
        yield gauge("returns_disk_free_bytes", "Free bytes of the disk of a folder.", "folder", free)
        yield gauge("returns_disk_size_bytes", "Bytes of the disk of a folder.", "folder", every)

    def _of_database(self) -> Iterator[Metric]:
        meaning = "Whether the database answers."
        try:
            found = [*self._done(), *self._open(), *self._nights(), *of_models(self._db)]
            found += of_returns(self._returns, self._matches)
        except TransientFault:
            yield GaugeMetricFamily("returns_database_up", meaning, 0)
            return
        yield GaugeMetricFamily("returns_database_up", meaning, 1)
        yield from found

    def _of_broker(self) -> Iterator[Metric]:
        try:
            lengths, served = self._queue.lengths(), self._queue.served(timeout=0.3)
        except TransientFault:
            yield GaugeMetricFamily("returns_broker_up", "Whether the broker answers.", 0)
            return
        yield GaugeMetricFamily("returns_broker_up", "Whether the broker answers.", 1)
        yield gauge("returns_queue_messages", "Messages that wait.", "queue", lengths)
        workers = {queue: len(served.get(queue, ())) for queue in lengths}
        yield gauge("returns_workers", "Workers that serve a queue.", "queue", workers)

    def _done(self) -> Iterator[Metric]:
        states, labels, stages = run_statistics.totals(self._db)
        yield counter("returns_images", "Images of closed runs.", "state", states)
        yield counter("returns_labels", "Classified images of closed runs.", "label", labels)
        yield counter("returns_stage_seconds", "Seconds that workers spent in a stage.", "stage", stages)
        meaning = "Images in finished chunks, also of open runs."
        yield CounterMetricFamily("returns_done_images", meaning, run_statistics.done(self._db))

    def _open(self) -> Iterator[Metric]:
        work = images.open_work(self._db)
        age = max(0.0, (utc_now() - work.oldest).total_seconds()) if work.oldest else 0
        for name, meaning, value in (
            ("returns_open_images", "Images in unfinished chunks.", work.images),
            ("returns_open_chunks", "Unfinished chunks.", work.chunks),
            ("returns_open_leases", "Chunks that a worker has claimed.", work.leased),
            ("returns_oldest_open_seconds", "Age of the oldest run with unfinished chunks.", age),
            ("returns_reviews_waiting", "Images that wait for a review.", review_queue.waiting(self._db)),
        ):
            yield GaugeMetricFamily(name, meaning, value)
        meaning = "Seconds that one worker process would take for the images in unfinished chunks."
        left = queue_work.seconds_left(self._db)
        yield gauge("returns_queue_work_seconds", meaning, "queue", left)
        active = GaugeMetricFamily(
            "returns_model_active", "The version that runs use.", labels=("name", "version")
        )
        for row in models.all_versions(self._db):
            if row.stage == "active":
                active.add_metric((row.facts.ref.name, str(row.facts.ref.version)), 1)
        yield active

    def _nights(self) -> Iterator[Metric]:
        now = utc_now()
        found = night_watch.states(self._settings, self._db, now)
        for name, meaning, values in (
            (
                "returns_night_missing",
                "Whether the newest night that was due has no run.",
                {each.model: float(each.is_missing) for each in found},
            ),
            (
                "returns_night_late",
                "Whether the newest night that was due is not finished, although it counts as late.",
                {each.model: float(each.is_late) for each in found},
            ),
            (
                "returns_night_changes",
                "Properties of the photos of the newest night that are not as usual.",
                {each.model: float(each.changes) for each in found},
            ),
        ):
            yield gauge(name, meaning, "model", values)
        alarms = intakes.alarms(self._settings, self._db, now)
        yield GaugeMetricFamily(
            "returns_intake_alarms", "Intakes with an alarm, as in `status`.", len(alarms)
        )
        notices = outbox.counts(self._db)
        meaning = "Notices that were not delivered: `failing` are tried again, `given_up` are not."
        states = {"failing": notices.failing, "given_up": notices.given_up}
        yield gauge("returns_notices_undelivered", meaning, "state", states)
