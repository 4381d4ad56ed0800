"""A web shop on this machine, with products and with everything that can go wrong on a site."""

import contextlib
import gzip
import io
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import quote, unquote

import numpy as np
from PIL import Image


class Product(NamedTuple):
    """A product with one picture."""

    category: str
    picture: bytes


class Reply(NamedTuple):
    """What the shop sends: a body, or a function that yields its parts, perhaps without end."""

    body: bytes | Callable[[], Iterator[bytes]]
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Shop(ThreadingHTTPServer):
    """Serves `/sitemap.xml`, the products `/p/N`, their pictures `/img/N`, and what `pages` adds.

    A path of `pages` is a reply, or a function that makes one from the number of requests for it so far.
    `asked` counts the requests for each path, `times` has their moments, `agents` their user agents.
    """

    daemon_threads = True

    def __init__(
        self, products: Sequence[Product], pages: dict[str, "Reply | Callable[[int], Reply]"]
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.products, self.pages = products, pages
        self.asked: Counter[str] = Counter()
        self.times: list[tuple[str, float]] = []
        self.not_modified = 0
        self.agents: set[str] = set()
        self.robots = "User-agent: *\nDisallow: /secret/\n"

    @property
    def host(self) -> str:
        """HOST:PORT of the shop."""
        return f"127.0.0.1:{self.server_address[1]}"

    def address(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://{self.host}{path}"

    def reply(self, path: str) -> Reply:
        """Return what the shop sends for a path."""
        self.asked[path] += 1
        self.times.append((path, time.monotonic()))
        found = self.pages.get(path)
        if found is not None:
            return found(self.asked[path]) if callable(found) else found
        if path == "/robots.txt":
            return Reply(self.robots.encode(), "text/plain")
        if path == "/sitemap.xml":
            return Reply(_sitemap("sitemap", [self.address("/sitemap-1.xml.gz")]), "application/xml")
        if path == "/sitemap-1.xml.gz":
            pages = _sitemap("url", [self.address(f"/p/{number}") for number in range(len(self.products))])
            return Reply(gzip.compress(pages), "application/gzip")
        kind, _, number = path.strip("/").partition("/")
        if number.isdigit() and int(number) < len(self.products):
            if kind == "p":
                return self._product(int(number))
            if kind == "img":
                return Reply(self.products[int(number)].picture, "image/png")
        if kind == "calendar":
            return page("".join(f"<a href='{int(number or 0) * 2 + n}'>day</a>" for n in (1, 2)))
        return Reply(b"not found", status=404)

    def _product(self, number: int) -> Reply:
        # Each way of writing an address in turn; `<base>` applies to the last one.
        whole = self.address(f"/img/{number}")
        image = (f"../img/{number}", whole.removeprefix("http:"), f"/img/{number}", whole, str(number))[
            number % 5
        ]
        return product_page(self.products[number].category, image, base="/img/" if number % 5 == 4 else "")


class _Handler(BaseHTTPRequestHandler):
    server: Shop
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.agents.add(self.headers["User-Agent"])
        reply = self.server.reply(unquote(self.path.partition("?")[0]))
        with contextlib.suppress(OSError):  # the client has had enough
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        if isinstance(reply.body, bytes):
            tag = f'"{hash(reply.body):x}"'
            if reply.status == 200 and self.headers["If-None-Match"] == tag:
                self.server.not_modified += 1
                self.send_response(304)
                self.end_headers()
                return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers:
            self.send_header(name, value)
        if isinstance(reply.body, bytes):
            if reply.status == 200:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(reply.body)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for part in (reply.body,) if isinstance(reply.body, bytes) else reply.body():
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def open_shop(
    products: Sequence[Product], pages: dict[str, Reply | Callable[[int], Reply]] | None = None
) -> Iterator[Shop]:
    """Run a shop on a free port."""
    shop = Shop(products, pages if pages is not None else {})
    thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        shop.shutdown()
        thread.join()
        shop.server_close()


def png(seed: int, side: int = 40) -> bytes:
    """Return a picture of noise, another one for each seed."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def products(count: int, categories: Sequence[str] = ("Shirts", "Shoes")) -> list[Product]:
    """Return products with different pictures, in the categories in turn."""
    return [Product(categories[number % len(categories)], png(number)) for number in range(count)]


def page(body: str, head: str = "") -> Reply:
    """Return an HTML page."""
    return Reply(f"<html><head>{head}</head><body>{body}</body></html>".encode())


def product_page(category: str, *images: str, base: str = "") -> Reply:
    """Return a page that describes a product by JSON-LD."""
    product = {
        "@context": "https://schema.org",
        "@graph": [{"@type": "Product", "name": "A thing", "category": category, "image": list(images)}],
    }
    head = f"<base href='{base}'>" if base else ""
    return page("", f"{head}<script type='application/ld+json'>{json.dumps(product)}</script>")


def redirect(address: str) -> Reply:
    """Return a redirect."""
    return Reply(b"", status=302, headers=(("Location", address),))


def without_end(
    part: bytes, seconds: float = 0, *, is_chunked: bool = False
) -> Callable[[], Iterator[bytes]]:
    """Return a body that has a part again and again, with a pause after each."""
    sent = b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part

    def parts() -> Iterator[bytes]:
        for _ in itertools.count():
            yield sent
            time.sleep(seconds)

    return parts


def _sitemap(kind: str, addresses: Sequence[str]) -> bytes:
    root = {"sitemap": "sitemapindex", "url": "urlset"}[kind]
    entries = "".join(f"<{kind}><loc>{quote(each, safe=':/')}</loc></{kind}>" for each in addresses)
    return f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{root}>'.encode()
