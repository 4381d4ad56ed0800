"""Runs one crawl with Scrapy. Its reactor starts once in a process."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess

from returns_pipeline import __version__
from returns_pipeline.collecting.collection import Collection
from returns_pipeline.collecting.job import Job
from returns_pipeline.collecting.spider import CollectSpider
from returns_pipeline.collecting.tally import Tally

#: Scrapy's queue of requests, and the names of the files beside it.
_QUEUE, _JOB, _RUNNING = "queue", "job.json", "running"
_PAGE_BYTES = 10 << 20
_HERE = "returns_pipeline.collecting"


def crawl(job: Job, collection: Collection, on_picture: Callable[[int], None]) -> Tally:
    """Collect what the budget allows, and return what was done.

    Goes on with the queue of the call before, if that one had the same feed and rules and ended in order.
    Raises PipelineError for a feed that cannot be read and a disk that is full.
    """
    tally = Tally(on_picture)
    queue, running = collection.state / _QUEUE, collection.state / _RUNNING
    asked = json.dumps([job.feed, asdict(job.rules)])
    before = collection.state / _JOB
    if running.exists() or not before.exists() or before.read_text(encoding="utf-8") != asked:
        # A process that was killed has lost the requests that it had taken from the queue.
        shutil.rmtree(queue, ignore_errors=True)
    before.write_text(asked, encoding="utf-8")
    running.touch()
    process = AsyncCrawlerProcess(_settings(job, collection.state))
    logging.captureWarnings(True)
    task = process.crawl(CollectSpider, job=job, collection=collection, tally=tally)
    process.start(install_signal_handlers=False)
    if task.done() and not task.cancelled() and (error := task.exception()):
        raise error
    if tally.is_whole:
        running.unlink()
        if tally.stopped is None:
            # The next call looks at every page again, with the ETag of the cache.
            shutil.rmtree(queue, ignore_errors=True)
    if tally.fault:
        raise tally.fault
    return tally


def _settings(job: Job, state: Path) -> dict[str, Any]:
    # A pause that a site asks for needs a delay that is not zero.
    delay = max(job.delay, 0.001)
    return {
        "USER_AGENT": f"returns-pipeline/{__version__} (+{job.contact})",
        "ROBOTSTXT_OBEY": True,
        "ROBOTSTXT_USER_AGENT": "returns-pipeline",
        "DOWNLOAD_DELAY": delay,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": delay,
        "CONCURRENT_REQUESTS": 8,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 2,
        "DOWNLOAD_TIMEOUT": job.timeout,
        "DOWNLOAD_MAXSIZE": _PAGE_BYTES,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "DOWNLOAD_HANDLERS": dict.fromkeys(("data", "file", "ftp", "s3")),
        "REDIRECT_MAX_TIMES": 5,
        "COOKIES_ENABLED": False,
        # Behind a proxy, the address that is connected to would not be the one that is checked.
        "HTTPPROXY_ENABLED": False,
        "TWISTED_DNS_RESOLVER": f"{_HERE}.resolver.PublicResolver",
        "COLLECT_ALLOWED": list(job.allowed_hosts),
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_POLICY": "scrapy.extensions.httpcache.RFC2616Policy",
        "HTTPCACHE_DIR": str(state / "cache"),
        "JOBDIR": str(state / _QUEUE),
        # Breadth first: pages without end, like those of a calendar, come after the others.
        "DEPTH_PRIORITY": 1,
        "SCHEDULER_DISK_QUEUE": "scrapy.squeues.PickleFifoDiskQueue",
        "SCHEDULER_MEMORY_QUEUE": "scrapy.squeues.FifoMemoryQueue",
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            f"{_HERE}.polite.PoliteRetry": 550,
            f"{_HERE}.polite.Gate": 560,
        },
        "ITEM_PIPELINES": {f"{_HERE}.storing.StorePictures": 100},
        "EXTENSIONS": {f"{_HERE}.polite.Budget": 0},
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_FILE": str(state / "log.txt"),
        "LOG_FILE_APPEND": False,
        "LOG_LEVEL": "INFO",
    }
