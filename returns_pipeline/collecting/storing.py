"""The pipeline of Scrapy that checks pictures and keeps them, each content once."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from returns_pipeline.collecting.checking import PictureChecker
from returns_pipeline.collecting.collection import Source
from returns_pipeline.collecting.job import Refusal
from returns_pipeline.collecting.polite import spider_of
from returns_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


@dataclass(slots=True)
class Picture:
    """A response that should be a picture."""

    source: Source
    body: bytes


class StorePictures:
    """Keeps what is a picture, is not there yet, and has room in its category."""

    def __init__(self, crawler: "Crawler") -> None:
        """Keep the pictures of one crawl."""
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: "Crawler") -> Self:
        """Return the pipeline of a crawl, as Scrapy wants it."""
        return cls(crawler)

    def open_spider(self) -> None:
        """Take what is collected from the spider."""
        self._spider = spider_of(self._crawler)
        self._checker = PictureChecker(self._spider.job)

    def close_spider(self) -> None:
        """End the decoder."""
        self._checker.close()

    async def process_item(self, picture: Picture) -> Picture:
        """Check a picture and write it to its class folder, or write down why not."""
        spider, source = self._spider, picture.source
        digest = hashlib.sha256(picture.body).hexdigest()
        suffix, reason = (
            ("", "") if spider.collection.has(digest) else await self._checker.check(picture.body)
        )
        folder = spider.collection.folder_of(source.category)
        # Another picture of this content may have come while this one was decoded.
        if spider.collection.has(digest):
            spider.refuse(source, Refusal.SAME_CONTENT)
        elif reason:
            spider.refuse(source, reason)
        elif spider.is_full(folder):
            spider.refuse(source, Refusal.CATEGORY_FULL)
        else:
            try:
                spider.collection.keep(source, folder, digest, suffix, picture.body)
                spider.tally.add_picture()
            except PipelineError as fault:
                spider.tally.fail(fault)
        return picture
