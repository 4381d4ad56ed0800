"""`returns-pipeline collect`: pictures of a shop's products into class folders."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.errors import ConfigFault, NotFoundError

if TYPE_CHECKING:
    from returns_pipeline.collecting.collection import Collection
    from returns_pipeline.collecting.job import Job
    from returns_pipeline.collecting.tally import Tally


def collect(
    feed: Annotated[
        str,
        typer.Argument(
            help="A CSV or JSON file of picture addresses, a sitemap, or a page: a file or an http address.",
            metavar="FEED",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the class folders; it is created if needed.")],
    contact: Annotated[
        str, typer.Option(help="Mail or web address for the shop's operator. Default: RETURNS_CONTACT.")
    ] = "",
    link: Annotated[
        list[str] | None, typer.Option(help="CSS selector of links to follow on pages. May be repeated.")
    ] = None,
    image: Annotated[
        str, typer.Option(help="CSS selector of the pictures on a page, or the column of their addresses.")
    ] = "",
    category: Annotated[
        str, typer.Option(help="CSS selector of the category on a page, or its column.")
    ] = "",
    label: Annotated[str, typer.Option(help="The category of all pictures.")] = "",
    licence: Annotated[str, typer.Option(help="The licence of pictures that state none.")] = "",
    max_pages: Annotated[int, typer.Option(min=1, max=MOST, help="Most pages.")] = 5_000,
    max_bytes: Annotated[int, typer.Option(min=1, max=1 << 50, help="Most bytes received.")] = 2 << 30,
    max_minutes: Annotated[float, typer.Option(min=0.01, max=10_000, help="Most minutes.")] = 60,
    per_category: Annotated[int, typer.Option(min=1, max=MOST, help="Most pictures of a category.")] = 1_000,
    least_side: Annotated[
        int, typer.Option(min=1, max=1024, help="Least width and height of a picture in pixels.")
    ] = 32,
    delay: Annotated[
        float, typer.Option(min=0, max=3600, help="Least seconds between two requests to a host.")
    ] = 1.0,
    timeout: Annotated[float, typer.Option(min=0.1, max=3600, help="Most seconds of one response.")] = 60,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="HOST or HOST:PORT that may have a private address. May be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Collect pictures of products into class folders, politely. A second call goes on."""
    _require_scrapy()
    from returns_pipeline.collecting.hosts import AllowedHosts
    from returns_pipeline.collecting.job import Budget, Job, Rules, Stop
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    AllowedHosts.parse(allow_host or ())  # refuses a wrong one before anything is asked
    job = Job(
        feed=feed,
        out=out.absolute(),
        contact=_contact(contact or settings.contact),
        rules=Rules(tuple(link or ()), image, category, label, licence),
        budget=Budget(max_pages, max_bytes, max_minutes, per_category),
        allowed_hosts=tuple(allow_host or ()),
        delay=delay,
        timeout=timeout,
        least_side=least_side,
        max_file_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
        image_seconds=settings.image_seconds,
    )
    collection, tally = _collect(job)
    if as_json:
        console.print_json(_as_dict(collection, tally))
    else:
        _print(collection, tally)
    if tally.stopped is Stop.INTERRUPTED:
        raise typer.Exit(130)
    if not collection.counts:
        raise typer.Exit(1)


def _collect(job: "Job") -> tuple["Collection", "Tally"]:
    from returns_pipeline.collecting.collection import Collection
    from returns_pipeline.collecting.crawl import crawl
    from returns_pipeline.collecting.spider import is_address

    if not is_address(job.feed) and not Path(job.feed).is_file():
        raise NotFoundError(
            "{feed} is neither a file nor an address.",
            advice="Name a file, or an address that begins with https:// or http://.",
            feed=job.feed,
        )
    collection = Collection(job.out)
    try:
        with console.progress_bar("Collecting") as advance:
            tally = crawl(job, collection, lambda count: advance(count, None))
    finally:
        collection.close()
    return collection, tally


def _require_scrapy() -> None:
    if find_spec("scrapy") is None:
        raise ConfigFault(
            "Collecting needs Scrapy, which is not installed.",
            advice="`pip install -r requirements-collect.txt`.",
        )


def _contact(text: str) -> str:
    if not text:
        raise ConfigFault(
            "No contact is set, but a shop's operator must be able to reach you.",
            advice="Set RETURNS_CONTACT or --contact to a mail address or a web address.",
        )
    if not (text.isascii() and text.isprintable() and ("@" in text or "://" in text)) or set(text) & set(
        "()"
    ):
        raise ConfigFault(
            "{contact!r} is not a contact.",
            advice="Set RETURNS_CONTACT or --contact to a mail address or a web address.",
            contact=text,
        )
    return text


def _as_dict(collection: "Collection", tally: "Tally") -> dict[str, object]:
    return {
        "categories": collection.counts,
        "new": tally.pictures,
        "pages": tally.pages,
        "bytes": tally.received,
        "not_taken": dict(tally.refused.most_common()),
        "stopped": tally.stopped,
    }


def _print(collection: "Collection", tally: "Tally") -> None:
    from returns_pipeline.collecting.collection import REFUSED
    from returns_pipeline.report.words import counted

    for name, count in collection.counts.items():
        console.print_line(f"{count:7,}  {name}")
    console.print_line(
        f"{counted(sum(collection.counts.values()), 'picture')} in {collection.out}, {tally.pictures:,} new. "
        f"{counted(tally.pages, 'page')} and {tally.received / 1e6:,.1f} MB were read."
    )
    for reason, count in tally.refused.most_common():
        console.print_line(f"{count:7,}  not taken: {reason}")
    if tally.refused:
        console.print_line(f"{collection.out / REFUSED} lists them.")
    if tally.stopped:
        console.print_line(f"Not everything was fetched: {tally.stopped}. The same command goes on.")
