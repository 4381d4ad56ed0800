"""What is collected, and how much of it."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rules:
    """Where pictures are: CSS selectors on pages, columns in a file of addresses.

    `links` lead from page to page. Without `image` and `category`, JSON-LD and usual column names say it.
    `label` is the category of all pictures, `licence` that of pictures that state none.
    """

    links: tuple[str, ...] = ()
    image: str = ""
    category: str = ""
    label: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one call may take: pages, bytes of all responses, minutes; and pictures of each category."""

    pages: int = 5_000
    received: int = 2 << 30
    minutes: float = 60
    per_category: int = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """One call: the feed, an address or a file, and everything that was chosen for it.

    `delay` is the least time between two requests to one host, `timeout` the most of one response, both in
    seconds. `least_side` is the least width and height of a picture in pixels.
    """

    feed: str
    out: Path
    contact: str
    rules: Rules = field(default_factory=Rules)
    budget: Budget = field(default_factory=Budget)
    allowed_hosts: tuple[str, ...] = ()
    delay: float = 1.0
    timeout: float = 60.0
    least_side: int = 32
    max_file_bytes: int = 50 << 20
    max_pixels: int = 64_000_000
    image_seconds: float = 10.0


class Refusal(StrEnum):
    """Why a page or a picture was not taken, beside the codes of faults of pictures."""

    ROBOTS = "forbidden by robots.txt"
    PRIVATE = "private address"
    OTHER_SITE = "leads to another site"
    NOT_HTTP = "no http or https address"
    REDIRECTS = "too many redirects"
    SEEN = "leads to an address that was asked for already"
    STATUS = "HTTP status"
    TOO_LARGE = "more bytes than allowed"
    TIMEOUT = "took too long"
    NO_CONNECTION = "no connection"
    DAMAGED = "damaged response"
    NO_PAGE = "no HTML page"
    NO_SITEMAP = "no sitemap"
    NO_CATEGORY = "no category"
    TOO_SMALL = "fewer pixels than allowed"
    DECODER = "the decoder crashed or took too long"
    SAME_CONTENT = "same content as another picture"
    CATEGORY_FULL = "enough pictures of its category"
    KNOWN = "collected or judged before"


#: Refusals by the content of a picture: it is not fetched again.
FINAL = frozenset({Refusal.TOO_LARGE, Refusal.TOO_SMALL, Refusal.SAME_CONTENT})


class Stop(StrEnum):
    """Why a crawl ended before everything was fetched."""

    PAGES = "the budget of pages is used up"
    BYTES = "the budget of bytes is used up"
    TIME = "the time is over"
    ASKED_TO_WAIT = "the site asks to wait for longer than five minutes"
    INTERRUPTED = "it was interrupted"
    FAILED = "the pictures cannot be written"
