"""The steps of a night and of a day, each timed in a filled database."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import requests
import sqlalchemy as sa

from benchmarks import processor
from benchmarks import reuse as pictures
from benchmarks.scale.statements import INTAKE
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.chunks import Claim
from returns_pipeline.records.images import FoundFile, ImageFacts, ImageState, Outcome
from returns_pipeline.records.likeness import Uncompared
from returns_pipeline.records.predictions import Decision, Prediction
from returns_pipeline.records.return_lists import Decided, ReturnFilter, ReturnOrder
from returns_pipeline.records.reviews import Word
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.settings import settings_of_home
from returns_pipeline.store import chunks, old_runs, return_lists, returns, review_queue, reviews, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import closing, judging, reuse, search
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.sweep import sweep
from tests.web import free_port, wait_for

#: Photos of a chunk, chunks of a night, and photos of a night that are compared with earlier ones.
CHUNK, CHUNKS, COMPARED = 1000, 2, 64
_SEARCHES = (
    "rücksendung_",
    "0004834",
    "bag",
    "dim",
    "no such name",
    "run 3",
    "unusable",
    "unsure",
    "by anna",
)
_PAGES = (
    "/",
    "/runs",
    "/runs/50",
    "/review",
    "/review/grid",
    "/returns",
    "/matches",
    "/search?q=4834",
    "/images/50005",
)
_LIMIT, _WAIT, _JUDGED = 60, 120, 20
#: PostgreSQL counts rows with a delay.
_STATISTICS_SECONDS = 2.0


T = TypeVar("T")


class Spent(NamedTuple):
    """What a step took: seconds by the clock, and seconds of the processor with those of the database."""

    clock: float
    processor: float


Steps = dict[str, Spent]


class Site:
    """An installation with many photos. Its steps return what they took by name."""

    def __init__(self, url: str, home: Path, bundle: Bundle, server: int = 0) -> None:
        """Open the filled database of `url`; `server` is the process of PostgreSQL."""
        self.settings = settings_of_home(
            home,
            database_url=url,
            models_dir=bundle.folder.parent.parent,
            model=bundle.name,
            runtime="stub",
            settle_seconds=0,
            incoming_dir=INTAKE,
            web_port=free_port(),
        )
        self.db = Database(url)
        self.db.upgrade()
        self.bundle = bundle
        self._queue = InProcessQueue()
        self._context = Context(self.settings, self.db, self._queue, StubClassifier)
        self._nights = self._days = 0
        self._server, self._web = server, 0

    def close(self) -> None:
        """Close the database."""
        self._context.close()

    def night(self) -> Steps:
        """Scan, claim, store, close and compare CHUNKS chunks; what a step took is for one photo."""
        self._nights += 1
        spent: Steps = {}
        request = RunRequest(
            f"night-{self._nights}", RunKind.NIGHTLY, None, self.bundle.ref, self.bundle.digest, {}
        )
        run_id = runs.open_run(self.db, request)
        found: list[int] = []
        for part in range(CHUNKS):
            files = [_file(self._nights, part * CHUNK + number) for number in range(CHUNK)]
            add = partial(runs.add_chunks, self.db, run_id, [files], lambda some: [True] * len(some))
            found += self._timed(spent, "scan", add)
        runs.end_scan(self.db, run_id, intake=Path(INTAKE))
        for chunk_id in found:
            claim = self._timed(
                spent, "claim", partial(chunks.claim, self.db, chunk_id, f"message {chunk_id}", "bench", 600)
            )
            if claim is None:
                raise PipelineError("A chunk could not be claimed.")
            self._timed(spent, "store", partial(self._store, claim, _uncompared(claim.images[:COMPARED])))
        self._timed(spent, "close", partial(closing.close_run, self._context, run_id))
        for chunk_id in found:
            self._timed(spent, "duplicates", partial(reuse.match_chunk, self._context, chunk_id))
        self._queue.lose_everything()
        counts = dict.fromkeys(spent, CHUNK * CHUNKS) | {"duplicates": COMPARED * CHUNKS}
        return {
            f"{name}, one photo": Spent(*(seconds / counts[name] for seconds in both))
            for name, both in spent.items()
        }

    def _store(self, claim: Claim, uncompared: Uncompared) -> None:
        outcomes = [_outcome(self.bundle, image.id) for image in claim.images]
        chunks.store(self.db, claim, outcomes, None, 0, uncompared)
        chunks.finish(self.db, claim, [], {"read": 0.1, "predict": 0.5})

    def day(self) -> Steps:
        """Sweep, search, review, and look through returns."""
        spent: Steps = {}
        # New names are indexed first: a sweep would take longer whenever a block of names is full.
        search.index_names(self.db, self.settings)
        self._timed(spent, "sweep", partial(sweep, self._context))
        self._queue.lose_everything()
        for text in _SEARCHES:
            step = partial(search.find_images, self.db, self.settings, text, _LIMIT)
            self._timed(spent, f"search {text}", step)
        self._timed(spent, "review: take and decide", self._review)
        self._timed(
            spent, "review: the newest runs that wait", partial(review_queue.waiting_runs, self.db, 60)
        )
        # The web counts at most once in some seconds.
        self._timed(spent, "counts: reviews", partial(review_queue.counts, self.db))
        self._timed(spent, "counts: returns", partial(return_lists.open_counts, self.db))
        for order in ReturnOrder:
            wanted = ReturnFilter(decision=Decided.OPEN)
            listed = partial(return_lists.page, self.db, wanted, order, None, _LIMIT)
            self._timed(spent, f"returns: list, {order} first", listed)
        self._timed(spent, "returns: find by number", partial(returns.find, self.db, "RMA-10000007"))
        with self.db.write() as connection:
            returns.queue(connection, range(1, _JUDGED + 1))
        self._timed(spent, f"returns: judge {_JUDGED}", partial(judging.judge_queued, self._context))
        self._days += 1
        step_of_run = partial(old_runs.remove_some, self.db, self._days)
        self._timed(spent, f"old rows: remove {old_runs.AT_ONCE}", step_of_run)
        return spent

    def _review(self) -> None:
        item = review_queue.take(self.db, "anna", 60)
        if item is None or item.label is None:
            raise PipelineError("No photo waits for a review.")
        reviews.decide(
            self.db, "anna", item.image_id, Word("label", item.label, item.main_label), item.review_id
        )

    @contextlib.contextmanager
    def pages(self) -> Iterator[Callable[[], Steps]]:
        """Run the web; yield a function that loads each page once."""
        with Processes(self.settings) as processes:
            processes.start("web", "web")
            self._web = processes.process("web").pid
            url = f"http://127.0.0.1:{self.settings.web_port}"
            wait_for(url, processes)
            token = (self.settings.home / "web-token").read_text(encoding="ascii")
            session = requests.Session()
            session.headers.update({"Authorization": f"Bearer {token}", "Accept": "text/html"})

            def load(path: str) -> None:
                session.get(url + path, timeout=_WAIT).raise_for_status()

            def every_page() -> Steps:
                spent: Steps = {}
                for path in _PAGES:
                    self._timed(spent, f"page {path}", partial(load, path))
                return spent

            yield every_page
            self._web = 0

    def wal_bytes(self) -> int:
        """Return the bytes that PostgreSQL has written to its log so far; 0 for SQLite."""
        if self.db.is_sqlite:
            return 0
        with self.db.read() as connection:
            query = sa.text("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
            return int(connection.execute(query).scalar_one())

    def vacuum(self) -> tuple[int, float]:
        """Return the dead row versions of the images in PostgreSQL, and the seconds of a VACUUM."""
        dead = sa.text("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'images'")
        time.sleep(_STATISTICS_SECONDS)
        with sa.create_engine(self.db.url, isolation_level="AUTOCOMMIT").connect() as connection:
            count = int(connection.execute(dead).scalar_one())
            began = time.perf_counter()
            connection.exec_driver_sql("VACUUM images")
            return count, time.perf_counter() - began

    def _timed(self, spent: Steps, name: str, step: Callable[[], T]) -> T:
        before, began = processor.clocks(self._servers), time.perf_counter()
        result = step()
        clock = time.perf_counter() - began
        earlier = spent.get(name, Spent(0.0, 0.0))
        used = processor.between(before, processor.clocks(self._servers))
        spent[name] = Spent(earlier.clock + clock, earlier.processor + used)
        return result

    def _servers(self) -> list[int]:
        """Return the processes whose time counts too: the database's, and the web's while it runs."""
        return [each for each in (self._server, self._web) if each]


def _file(night: int, number: int) -> FoundFile:
    # In no order, as a folder lists them.
    name = f"{INTAKE}/new-{night}/{number * 48271 % 1000003:07}-Rücksendung.jpg"
    return FoundFile(name, 40_000, 1_700_000_000_000_000_000, 0, f"40000-17000000{night}{number}")


def _outcome(bundle: Bundle, image_id: int) -> Outcome:
    index = image_id % len(bundle.labels)
    label = bundle.labels[index]
    facts = ImageFacts(f"{image_id * 2654435761 % 2**60:016x}{image_id:048x}", "JPEG", 400, 533)
    decision = Decision.REVIEW if image_id % 20 == 3 else Decision.AUTO
    top = tuple((place, 0.9 if place == index else 0.03) for place in range(len(bundle.labels)))
    prediction = Prediction(index, label, 0.9, label, 0.9, top, decision, 0.5)
    target = f"/srv/returns/var/archive/run-1/1/{image_id}-photo.jpg"
    return Outcome(image_id, ImageState.CLASSIFIED, facts, prediction, None, None, target, (), 100)


def _uncompared(images: Any) -> Uncompared:
    ids = [image.id for image in images]
    thumbnails = [each.thumbnail or b"" for each in pictures.pictures(len(ids), ids[0], seed=ids[0])]
    return Uncompared(np.array(ids, "<i8").tobytes(), b"".join(thumbnails))
