"""The spider: reads the feed, goes from page to page of one site, and asks for the pictures."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from lxml.etree import LxmlError
from scrapy import Request
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    UnsupportedURLSchemeError,
)
from scrapy.http import HtmlResponse, Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.spiders import SitemapSpider
from twisted.python.failure import Failure

from returns_pipeline.collecting import pages
from returns_pipeline.collecting.collection import Collection, Source
from returns_pipeline.collecting.feeds import read_lines
from returns_pipeline.collecting.job import Job, Refusal
from returns_pipeline.collecting.storing import Picture
from returns_pipeline.collecting.tally import Tally
from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled.written_folders import folder_name

#: Most bytes of a file of addresses and of a sitemap (sitemaps.org), unpacked.
FEED_BYTES = 50 << 20
_SITEMAP = re.compile(rb"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]")
_HEAD = 4096
#: Before all pages: what is found is fetched first, so the queue stays short.
_PICTURE_PRIORITY = 1000
#: Refusals that are no news: they are counted, not written down.
_SILENT = frozenset({Refusal.KNOWN, Refusal.CATEGORY_FULL})
_REASONS = (
    (DownloadTimeoutError, Refusal.TIMEOUT),
    (DownloadCancelledError, Refusal.TOO_LARGE),
    (UnsupportedURLSchemeError, Refusal.NOT_HTTP),
    ((CannotResolveHostError, DownloadConnectionRefusedError, DownloadFailedError), Refusal.NO_CONNECTION),
)


class CollectSpider(SitemapSpider):
    """Collects the pictures of one job.

    Pictures are requests of the scheduler like pages. So those that wait are in the queue on the disk when a
    crawl is stopped, which those of Scrapy's media pipelines are not.
    """

    name = "collect"
    sitemap_rules = [("", "parse_page")]  # noqa: RUF012 - Scrapy's

    job: Job
    collection: Collection
    tally: Tally

    async def start(self) -> AsyncIterator[Request]:
        """Ask for the feed, or read it if it is a file."""
        if is_address(self.job.feed):
            yield self._page(self.job.feed, self.read_feed, most_bytes=FEED_BYTES)
            return
        path = Path(self.job.feed)
        response = Response(path.absolute().as_uri(), body=path.read_bytes())
        for request in self.read_feed(response):
            yield request

    def read_feed(self, response: Response) -> Iterator[Request]:
        """Yield what a feed leads to: pages of a sitemap, pictures of lines; else it is a page itself."""
        try:
            if isinstance(response, HtmlResponse):
                yield from self.parse_page(response)
            elif response.url.endswith("/robots.txt") or self._is_sitemap(response):
                yield from self.parse_sitemap(response)
            else:
                for line in read_lines(response.body, self.job.rules):
                    page = response.urljoin(line.page) if line.page else response.url
                    yield from self._picture(
                        response.urljoin(line.address), page, line.category, line.licence
                    )
        except RefusedError as error:
            self.tally.fail(error)

    def parse_sitemap(self, response: Response) -> Iterator[Request]:
        """Yield the sitemaps of an index of sitemaps, or the pages of a sitemap."""
        try:
            requests = self._parse_sitemap(response)
        except LxmlError:
            requests = ()
            self.refuse(Source(response.url, "", "", ""), Refusal.NO_SITEMAP)
        for request in requests:
            if request.callback == self._parse_sitemap:
                yield self._page(request.url, self.parse_sitemap, most_bytes=FEED_BYTES)
            else:
                yield self._page(request.url, self.parse_page)

    def sitemap_filter(self, entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Leave out entries that are no address."""
        return (entry for entry in entries if is_address(entry["loc"]))

    def parse_page(self, response: Response) -> Iterator[Request]:
        """Yield the pictures of a page, and the pages of the same site that it leads to."""
        site = response.meta.get("site") or _site(response.url)
        if _site(response.url) != site:
            self.refuse_request(cast("Request", response.request), Refusal.OTHER_SITE)
        elif not isinstance(response, HtmlResponse):
            self.refuse_request(cast("Request", response.request), Refusal.NO_PAGE)
        else:
            try:
                yield from self._requests_of(response, site)
            except ValueError as error:  # a rule that is no CSS
                self.tally.fail(
                    RefusedError(
                        "A rule is not a CSS selector: {reason}.",
                        advice="Correct --link, --image or --category.",
                        reason=str(error)[:200],
                    )
                )

    def _requests_of(self, response: TextResponse, site: str) -> Iterator[Request]:
        for found in pages.pictures(response, self.job.rules):
            yield from self._picture(
                response.urljoin(found.address), response.url, found.category, found.licence
            )
        for link in pages.links(response, self.job.rules):
            address = response.urljoin(link)
            if is_address(address) and _site(address) == site:
                yield self._page(address, self.parse_page, site=site)

    def _page(self, address: str, callback: Any, most_bytes: int | None = None, site: str = "") -> Request:
        meta: dict[str, Any] = {"is_page": True, "site": site}
        if most_bytes:
            meta["download_maxsize"] = most_bytes
        return Request(address, callback=callback, errback=self.failed, meta=meta)

    def _picture(self, address: str, page: str, category: str, licence: str) -> Iterator[Request]:
        source = Source(address, page, category, licence)
        if not is_address(address):
            self.refuse(source._replace(address=address[:200]), Refusal.NOT_HTTP)
        elif not folder_name(category):
            self.refuse(source, Refusal.NO_CATEGORY)
        else:
            meta = {"dont_cache": True, "download_maxsize": self.job.max_file_bytes}
            request = Request(
                address, self.take_picture, errback=self.failed, priority=_PICTURE_PRIORITY, meta=meta
            )
            request.meta["source"] = source._replace(address=request.url)
            yield request

    def take_picture(self, response: Response) -> Picture:
        """Hand a response to the pipeline."""
        return Picture(response.meta["source"], response.body)

    def failed(self, failure: Failure) -> None:
        """Note why a page or a picture did not come."""
        request = cast("Request", failure.request)  # type: ignore[attr-defined]  # Scrapy sets it
        self.refuse_request(request, _reason_of(failure.value))

    def refuse_request(self, request: Request, reason: str) -> None:
        """Count and note that a page or a picture is not taken."""
        asked = request.meta.get("redirect_urls", [request.url])[0]
        self.refuse(request.meta.get("source") or Source(asked, "", "", ""), reason)

    def refuse(self, source: Source, reason: str) -> None:
        """Count and note that a picture is not taken."""
        self.tally.refused[reason] += 1
        if reason not in _SILENT:
            self.collection.refuse(source.address, source.page, reason, source.category)

    def is_full(self, folder: str) -> bool:
        """Whether a class folder has as many pictures as the budget allows."""
        return self.collection.count(folder) >= self.job.budget.per_category

    def _is_sitemap(self, response: Response) -> bool:
        return _SITEMAP.search(self._get_sitemap_body(response)[:_HEAD]) is not None

    def _get_sitemap_body(self, response: Response) -> bytes:
        # Scrapy's takes only what is called XML.
        return super()._get_sitemap_body(response) or response.body


def is_address(text: str) -> bool:
    """Whether a text is an address of http or https, without a password."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


def _site(address: str) -> str:
    return urlsplit(address).netloc.lower()


def _reason_of(error: BaseException | None) -> str:
    if isinstance(error, HttpError):
        return f"{Refusal.STATUS} {error.response.status}"
    if isinstance(error, IgnoreRequest):
        told = str(error)
        if "robots.txt" in told:
            return Refusal.ROBOTS
        if "DOWNLOAD_MAXSIZE" in told:
            return Refusal.TOO_LARGE
        return told if told in set(Refusal) else Refusal.REDIRECTS
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Refusal.DAMAGED)
