"""Feeds: each address that a file lists becomes a row, is fetched once, and then is a photo of an intake.

The steps of an address: its row; the whole photo under a hidden name, durably; ARRIVED, durably; the photo's
own name, durably; FETCHED. A process that dies before ARRIVED leaves an address that is fetched again. After
it, the next process gives the photo its name if it still has the hidden one, and asks for nothing.

One process at a time reads and fetches, so a host never has two connections. All workers share the folder.
"""

import errno
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

import structlog

from returns_pipeline.errors import NotFoundError, RefusedError, TransientFault
from returns_pipeline.feeds.addresses import file_name_of
from returns_pipeline.feeds.fetching import FetchError, Terms, fetch
from returns_pipeline.feeds.reading import read_feed
from returns_pipeline.photos import folder_feeds
from returns_pipeline.photos.intake_rules import SkipRule
from returns_pipeline.private_files import make_folder
from returns_pipeline.public_hosts import AllowedHosts
from returns_pipeline.records.feeds import FeedCounts, FeedReading, FeedState, OpenAddress
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.records.text import safe_name
from returns_pipeline.settings import Intake, Settings
from returns_pipeline.store import feeds
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases.alone import alone
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.return_evidence import given_folder

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds that one message of the background takes, of each minute.
_SECONDS = 45.0
#: Lines whose addresses are inserted together, and addresses that are read together.
_LINES, _AT_ONCE = 5_000, 200
_MOST_FAULTS = 100
#: Attempts after which an address is refused; the pauses between them grow from a minute to an hour.
_MOST_ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
#: Folders of photos whose return the feed names, as an upload's: see `return_evidence.given_in`.
_GIVEN = "uploads/feed"


class FeedStatus(NamedTuple):
    """A feed: its name, its file, its last reading, and its addresses. `reading` is None before the first."""

    name: str
    file: Path
    reading: FeedReading | None
    counts: FeedCounts


def status(settings: Settings, db: Database) -> list[FeedStatus]:
    """Return every feed of the settings."""
    return [
        FeedStatus(
            each.feed_name,
            each.feed,
            feeds.last_reading(db, each.feed_name),
            feeds.counts(db, each.feed_name),
        )
        for each in settings.every_intake
        if each.feed
    ]


def require_feed(settings: Settings, name: str) -> None:
    """Raise NotFoundError if the settings have no feed of this name."""
    names = [each.feed_name for each in settings.every_intake if each.feed]
    if name not in names:
        raise NotFoundError(
            "RETURNS_INTAKES has no feed {name}.",
            "It has: {names}.",
            name=name,
            names=", ".join(names) or "-",
        )


def fetch_some(context: Context) -> None:
    """Read changed feeds and fetch photos for some seconds. May run twice."""
    _work(context, time.monotonic() + _SECONDS, waits=False)


def fetch_before_scan(context: Context) -> None:
    """Read changed feeds and fetch photos for RETURNS_FEED_SCAN_SECONDS. No fault stops the scan."""
    try:
        _work(context, time.monotonic() + context.settings.feed_scan_seconds, waits=True)
    except TransientFault as fault:
        log.warning("feeds_wait", reason=str(fault))


def _work(context: Context, deadline: float, *, waits: bool) -> None:
    settings = context.settings
    intakes = [each for each in settings.every_intake if each.feed]
    if not intakes:
        return
    try:
        for intake in intakes:
            make_folder(intake.folder)
        with alone(settings.feed_dir, deadline if waits else 0.0) as is_alone:
            if not is_alone:
                return
            for intake in intakes:
                folder_feeds.remove_empty_folders(f"{intake.folder}/{_GIVEN}")
                _read(context, intake, deadline if waits else 0.0)
            _Fetching(context, intakes, deadline).run()
    except OSError as error:
        raise TransientFault(
            "The feeds cannot be fetched into {folder}: {reason}.",
            folder=settings.feed_dir,
            reason=error.strerror or error,
        ) from error


def _read(context: Context, intake: Intake, until: float) -> None:
    """Insert the new addresses of a feed whose file has changed. What is wrong with the file is noted."""
    name, db = intake.feed_name, context.db
    copy = context.settings.feed_dir / f".reading-{name}"
    last = feeds.last_reading(db, name)
    try:
        identity = _copied(intake, copy, last, context.settings.settle_seconds, until)
        if identity is None:
            return
        reading = _taken(context, name, copy, identity)
        log.info("feed_read", feed=name, lines=reading.lines, refused=reading.refused)
    except OSError as error:
        reason = f"The file cannot be read: {error.strerror or error}."
        reading = FeedReading("", utc_now(), error=reason)
    finally:
        copy.unlink(missing_ok=True)
    if last and not reading.identity and reading.error == last.error:
        return
    if reading.error:
        log.warning("feed_unreadable", feed=name, reason=reading.error)
    feeds.note_reading(db, name, reading)


def _copied(
    intake: Intake, copy: Path, last: FeedReading | None, settle_seconds: float, until: float
) -> str | None:
    """Copy a feed's file so that nobody changes it while it is read; return its identity.

    None if it was read before, or is still being written: its last address may be cut short then.
    """
    assert intake.feed  # noqa: S101 - the caller has chosen feeds
    while True:
        found = intake.feed.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        identity = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
        if last and identity == last.identity:
            return None
        # A clock that was set back must not keep a file for ever.
        rest = settle_seconds - abs(time.time() - found.st_ctime)
        if rest > 0 and time.monotonic() + rest > until:
            return None
        if rest <= 0:
            shutil.copyfile(intake.feed, copy)
            after = intake.feed.stat()
            if f"{after.st_ino}-{after.st_size}-{after.st_mtime_ns}" == identity:
                return identity
            return None
        time.sleep(rest)


def _taken(context: Context, name: str, copy: Path, identity: str) -> FeedReading:
    counts, faults, error = Counter[str](), list[RefusedLine](), None
    try:
        lines = read_feed(copy)
        while some := list(islice(lines, _LINES)):
            refused = [each for each in some if isinstance(each, RefusedLine)]
            faults += refused[: _MOST_FAULTS - len(faults)]
            counts.update(lines=len(some), refused=len(refused))
            listed = chain.from_iterable(each for each in some if not isinstance(each, RefusedLine))
            feeds.add(context.db, name, listed)
    except RefusedError as fault:
        error = str(fault)
    return FeedReading(identity, utc_now(), counts["lines"], counts["refused"], faults, error)


class _Fetching:
    """Fetches what is due until a moment, one photo after the other, with a pause for each host."""

    def __init__(self, context: Context, intakes: Iterable[Intake], deadline: float) -> None:
        settings = context.settings
        self._settings, self._db, self._deadline = settings, context.db, deadline
        self._roots = {each.feed_name: str(each.folder.resolve()) for each in intakes}
        self._terms = Terms(
            AllowedHosts.parse(settings.feed_hosts),
            settings.max_file_bytes,
            settings.feed_timeout,
            settings.contact,
        )
        self._is_skipped = SkipRule(settings.skip_patterns)
        # The pass before may have asked a host just now.
        self._first = time.monotonic() + settings.feed_delay
        self._free_at: dict[str, float] = {}
        #: Hosts that want no more requests in this pass.
        self._paused: set[str] = set()

    def run(self) -> None:
        """Fetch. Raises TransientFault if the disk or the database takes no more."""
        counts, before = Counter[str](), -1
        while counts.total() > before:
            before = counts.total()
            now = utc_now()
            due = (each for name in self._roots for each in feeds.due(self._db, name, now, _AT_ONCE))
            for address in _in_turns(due):
                if address.state is FeedState.ARRIVED or self._may_ask(address.listed.host):
                    counts[self._one(address)] += 1
        if counts:
            log.info("feeds_fetched", **counts)

    def _may_ask(self, host: str) -> bool:
        """Whether a host wants more requests, and can have one before the end."""
        return host not in self._paused and max(time.monotonic(), self._free(host)) < self._deadline

    def _free(self, host: str) -> float:
        return self._free_at.get(host, self._first)

    def _one(self, address: OpenAddress) -> str:
        """Take one address a step further; return what became of it."""
        root, key, place = self._roots[address.feed], str(address.id), self._place(address)
        if place is None:
            return self._refuse(address, "The settings leave out files of this name, or it is too long.")
        if address.state is FeedState.WAITING:
            try:
                with folder_feeds.arriving(root, key) as file:
                    fetch(address.listed.address, file, self._terms, self._wait)
            except FetchError as fault:
                return self._failed(address, fault)
            feeds.arrive(self._db, address.id)
        folder_feeds.show(root, key, place)
        feeds.settle(self._db, address.id, FeedState.FETCHED)
        return FeedState.FETCHED

    def _wait(self, host: str) -> None:
        """Wait until a host may be asked again."""
        time.sleep(max(0.0, self._free(host) - time.monotonic()))
        self._free_at[host] = time.monotonic() + self._settings.feed_delay

    def _failed(self, address: OpenAddress, fault: FetchError) -> str:
        if fault.is_final or address.attempts + 1 >= _MOST_ATTEMPTS:
            return self._refuse(address, fault.reason)
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**address.attempts)
        asked = min(feeds.MOST_PAUSE, timedelta(seconds=fault.retry_after))
        of_host = fault.of_host or fault.retry_after > 0
        feeds.put_off(self._db, address, fault.reason, utc_now() + max(pause, asked), whole_host=of_host)
        if of_host:
            self._paused.add(address.listed.host)
        return FeedState.WAITING

    def _refuse(self, address: OpenAddress, reason: str) -> str:
        # The id: an address may have a secret in its query.
        log.info("address_refused", feed=address.feed, address=address.id, reason=reason)
        folder_feeds.discard(self._roots[address.feed], str(address.id))
        feeds.settle(self._db, address.id, FeedState.REFUSED, reason)
        return FeedState.REFUSED

    def _place(self, address: OpenAddress) -> str | None:
        """Return the place of a photo below its intake, the same at each call; None if no scan would take it.

        The name begins as that of a file of the spool, so that pages show what follows.
        """
        prefix = f"{feeds.digest_of(address.listed.address).hex()}-000000-"
        name = prefix + safe_name(file_name_of(address.listed.address))
        if self._is_skipped(name):
            name = f"{prefix}image"
        folders: list[str] = []
        if address.listed.number is not None:
            given = given_folder(address.listed.number)
            if given is None:
                return None
            folders = [*_GIVEN.split("/"), given]
        parts = (*folders, name)
        return None if any(map(self._is_skipped, parts)) else "/".join(parts)


def _in_turns(addresses: Iterable[OpenAddress]) -> Iterator[OpenAddress]:
    """Yield addresses host by host in turns, so that the pauses of one host are used for the others."""
    of_host: dict[str, list[OpenAddress]] = {}
    for each in addresses:
        of_host.setdefault(each.listed.host, []).append(each)
    return (each for turn in zip_longest(*of_host.values()) for each in turn if each is not None)
