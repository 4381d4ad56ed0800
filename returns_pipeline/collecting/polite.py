"""What Scrapy lacks for a polite crawl: pauses that a site asks for, refusals, a budget of bytes."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

from scrapy import signals
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import CannotResolveHostError, IgnoreRequest
from scrapy.http import Request, Response
from scrapy.utils.httpobj import urlparse_cached
from twisted.internet.error import ReactorNotRunning

from returns_pipeline.collecting import resolver
from returns_pipeline.collecting.job import Refusal, Stop
from returns_pipeline.feeds.retry_after import seconds_of

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from returns_pipeline.collecting.spider import CollectSpider

#: Seconds of the longest pause that is waited for; a site that asks for more ends the crawl.
LONGEST_PAUSE = 300
#: Seconds that requests may take to end when the crawl ends. What is cut off then is asked for again.
GRACE_SECONDS = 15
_FORBID_ALL = b"User-agent: *\nDisallow: /\n"


def spider_of(crawler: "Crawler") -> "CollectSpider":
    """Return the spider of a crawl that has started."""
    return cast("CollectSpider", crawler.spider)


def is_counted(request: Request) -> bool:
    """Whether a request is for a page or a picture, and not for `robots.txt`."""
    return "is_page" in request.meta or "source" in request.meta


class PoliteRetry(RetryMiddleware):
    """Scrapy's retries, and no request to a host before the time that its `Retry-After` names."""

    # Scrapy's has one more argument, which it warns about.
    def process_response(self, request: Request, response: Response) -> Request | Response:  # type: ignore[override]
        """Pause the host if it asks for it, then retry as Scrapy does."""
        pause = (
            seconds_of((response.headers.get("Retry-After") or b"").decode("latin-1"))
            if response.status in self.retry_http_codes
            else 0
        )
        if pause > LONGEST_PAUSE:
            spider_of(self.crawler).tally.stop(Stop.ASKED_TO_WAIT)
            if is_counted(request):
                return request.replace(dont_filter=True)  # into the queue, for the next call
        elif pause:
            self._pause(request, pause)
        answered = super().process_response(request, response)
        if answered is response and response.status >= 500 and urlparse_cached(request).path == "/robots.txt":
            # RFC 9309, 2.3.1.4: as long as the rules cannot be read, everything is forbidden.
            return response.replace(status=200, body=_FORBID_ALL)
        return answered

    def _pause(self, request: Request, seconds: float) -> None:
        assert self.crawler.engine is not None  # noqa: S101 - it sent the request
        slots = self.crawler.engine.downloader.slots
        if slot := slots.get(request.meta.get("download_slot", "")):
            # The next request goes out one delay after the last one: after a time that is yet to come.
            slot.lastseen = max(slot.lastseen, time.monotonic() + seconds)


class Gate:
    """Lets no request out that is not needed or over the budget of pages, and names private hosts."""

    def __init__(self, crawler: "Crawler") -> None:
        """Guard one crawl."""
        self._crawler = crawler
        crawler.signals.connect(self._dropped, signals.request_dropped)

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Return the middleware of a crawl, as Scrapy wants it."""
        return cls(crawler)

    def process_request(self, request: Request) -> Request | None:
        """Refuse a picture that is not needed; put back what comes after the end of the budget."""
        spider, source = spider_of(self._crawler), request.meta.get("source")
        tally, is_page = spider.tally, "is_page" in request.meta
        if source and spider.collection.knows(source.address):
            raise IgnoreRequest(Refusal.KNOWN)
        if source and spider.is_full(spider.collection.folder_of(source.category)):
            raise IgnoreRequest(Refusal.CATEGORY_FULL)
        if is_page and tally.pages >= spider.job.budget.pages:
            tally.stop(Stop.PAGES)
        if tally.stopped and is_counted(request):
            return request.replace(dont_filter=True)  # into the queue, for the next call
        tally.pages += is_page
        return None

    def _dropped(self, request: Request, spider: "CollectSpider") -> None:
        if "redirect_urls" in request.meta:
            spider.refuse_request(request, Refusal.SEEN)

    def process_exception(self, request: Request, exception: Exception) -> None:
        """Do not retry a host that the resolver has refused."""
        parts = urlparse_cached(request)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        if isinstance(exception, CannotResolveHostError) and (parts.hostname, port) in resolver.refused:
            raise IgnoreRequest(Refusal.PRIVATE)


class Budget:
    """Ends the crawl when its bytes or minutes are used up, and at Ctrl-C."""

    def __init__(self, crawler: "Crawler") -> None:
        """Watch one crawl."""
        self._crawler = crawler
        crawler.signals.connect(self._opened, signals.spider_opened)
        crawler.signals.connect(self._received, signals.bytes_received)
        crawler.signals.connect(self._closed, signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Return the extension of a crawl, as Scrapy wants it."""
        return cls(crawler)

    def _opened(self, spider: "CollectSpider") -> None:
        self._loop = asyncio.get_running_loop()
        self._timers = [self._loop.call_later(spider.job.budget.minutes * 60, spider.tally.stop, Stop.TIME)]
        self._at_signals(spider.tally.stop, Stop.INTERRUPTED)
        spider.tally.end = self._end

    def _received(self, data: bytes, spider: "CollectSpider") -> None:
        spider.tally.received += len(data)
        if spider.tally.received >= spider.job.budget.received:
            spider.tally.stop(Stop.BYTES)

    def _end(self) -> None:
        self._ending = asyncio.ensure_future(self._crawler.stop_async())
        self._timers.append(self._loop.call_later(GRACE_SECONDS, _cut))
        self._at_signals(_cut)

    def _closed(self, spider: "CollectSpider") -> None:
        spider.tally.is_whole = True
        for timer in self._timers:
            timer.cancel()

    def _at_signals(self, function: Callable[..., None], *arguments: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, function, *arguments)


def _cut() -> None:
    """End the reactor without waiting for requests, as Scrapy does at a second Ctrl-C."""
    from twisted.internet import reactor

    with contextlib.suppress(ReactorNotRunning):
        cast("Any", reactor).stop()
