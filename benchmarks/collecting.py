"""`python -m benchmarks.collecting FOLDER`: collects from a shop that is made of FOLDER/products.csv.

Besides the products, the site has everything that goes wrong on one: forbidden pages, redirects, pauses that
it asks for, pages and pictures without end. A second call goes over the same site.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.shop import (
    Product,
    Reply,
    Shop,
    dangerous_pages,
    dangerous_pictures,
    linking,
    open_shop,
    product_page,
)

#: Bytes of the largest picture: enough for a shop, little of a picture without end.
_MOST_BYTES = 1_000_000


def main(
    folder: Annotated[Path, typer.Argument(help="Folder with products.csv and the pictures it names.")],
    count: Annotated[int, typer.Option("--products", help="Products of the shop.")] = 1000,
    image: Annotated[str, typer.Option(help="Column of the pictures' files.")] = "image",
    category: Annotated[str, typer.Option(help="Column of the categories.")] = "article_type",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the class folders; else they are removed.")
    ] = None,
) -> None:
    """Make the shop, collect from it twice, and print what was taken and how long it took."""
    with (folder / "products.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if (folder / row[image]).is_file()][:count]
    products = [Product(row[category], (folder / row[image]).read_bytes()) for row in rows]
    pages = dict[str, Any](dangerous_pages())
    with open_shop(products, pages) as shop, tempfile.TemporaryDirectory() as name:
        dangers = dangerous_pictures(shop)
        pages |= {path: reply for path, (reply, _) in dangers.items()}
        pages["/dangers"] = product_page("Dangers", "/busy", *dangers)
        pages["/busy"] = _busy
        pages["/home"] = linking("/dangers", "/calendar/1", *dangerous_pages())
        shop.further = ["/home"]
        for call in ("first call", "second call"):
            _collect(shop, call, out or Path(name) / "out", len(products))


def _busy(asked: int) -> Reply:
    if asked == 1:
        return Reply(b"", status=429, headers=(("Retry-After", "2"),))
    return Reply(b"no picture")


def _collect(shop: Shop, call: str, out: Path, products: int) -> None:
    asked, start = sum(shop.asked.values()), time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "returns_pipeline.cli", "collect", shop.address("/sitemap.xml")),
            *("--out", str(out), "--contact", "benchmark@example.org", "--allow-host", shop.host),
            *("--link", "a", "--delay", "0", "--timeout", "3", "--json"),
            *("--max-pages", str(products + 100)),
        ],
        env=os.environ | {"RETURNS_MAX_FILE_BYTES": str(_MOST_BYTES)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    seconds = time.monotonic() - start
    sent = sum(shop.asked.values()) - asked
    print(
        f"{call}: {seconds:.1f} s, {sent:,} requests, {report['new']:,} new pictures, "
        f"stopped: {report['stopped']}"
    )
    print(
        f"  {report['pages']:,} pages, {report['bytes'] / 1e6:.1f} MB, {len(report['categories'])} categories"
    )
    for reason, count in report["not_taken"].items():
        print(f"  {count:5,}  {reason}")


if __name__ == "__main__":
    typer.run(main)
