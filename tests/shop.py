"""A web shop on this machine, with products and with everything that can go wrong on a site."""

import contextlib
import gzip
import io
import itertools
import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
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

    The sitemap has the products and the `further` paths. A path of `pages` is a reply, or a function that
    makes one from the number of requests for it so far. `asked` counts the requests for each path, `times`
    has their moments, `agents` their user agents.
    """

    daemon_threads = True

    def __init__(
        self, products: Sequence[Product], pages: dict[str, "Reply | Callable[[int], Reply]"]
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.products, self.pages = products, pages
        self.further: list[str] = []
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
            pages = _sitemap(
                "url",
                map(self.address, [f"/p/{number}" for number in range(len(self.products))] + self.further),
            )
            return Reply(gzip.compress(pages), "application/gzip")
        kind, _, number = path.strip("/").partition("/")
        if number.isdigit() and int(number) < len(self.products):
            if kind == "p":
                return self._product(int(number))
            if kind == "img":
                return Reply(self.products[int(number)].picture, "image/png")
        if kind == "hop":
            return redirect(f"/hop/{int(number) + 1}")
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


def _sitemap(kind: str, addresses: Iterable[str]) -> bytes:
    root = {"sitemap": "sitemapindex", "url": "urlset"}[kind]
    entries = "".join(f"<{kind}><loc>{quote(each, safe=':/')}</loc></{kind}>" for each in addresses)
    return f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</{root}>'.encode()


def _bomb() -> bytes:
    """Return a PNG of a few bytes whose header says 30,000 x 30,000 pixels."""
    head = (30_000).to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4) for name, body in chunks
    )


def dangerous_pictures(shop: Shop) -> dict[str, tuple[Reply, str]]:
    """Return pictures that must not be taken: what a shop sends for each path, and the reason."""
    port = shop.server_address[1]
    whole = png(900)
    tiny = io.BytesIO()
    Image.new("RGB", (8, 8)).save(tiny, "PNG")
    return {
        "/secret/1.png": (Reply(png(901), "image/png"), "forbidden by robots.txt"),
        "/to-private": (redirect(f"http://127.0.0.2:{port}/img/0"), "private address"),
        "/to-number": (redirect(f"http://2130706434:{port}/img/0"), "private address"),
        "/to-metadata": (redirect("http://169.254.169.254/latest"), "private address"),
        "/to-file": (redirect("file:///etc/passwd"), "HTTP status 302"),
        "/loop": (redirect("/loop"), "leads to an address that was asked for already"),
        "/hop": (redirect("/hop/1"), "too many redirects"),
        "/huge": (
            Reply(without_end(bytes(65536)), "image/png", headers=(("Content-Length", str(10 << 30)),)),
            "more bytes than allowed",
        ),
        "/huge-chunked": (
            Reply(
                without_end(whole[:4096], is_chunked=True),
                "image/png",
                headers=(("Transfer-Encoding", "chunked"),),
            ),
            "more bytes than allowed",
        ),
        "/drip": (Reply(without_end(b"x", 0.1), "image/png"), "took too long"),
        "/page.jpg": (page("no picture"), "not_an_image"),
        "/drawing.svg": (Reply(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "unsupported_format"),
        "/script.png": (Reply(b"#!/bin/sh\nrm -rf /\n", "image/png"), "not_an_image"),
        "/bomb.png": (Reply(_bomb(), "image/png"), "too_many_pixels"),
        "/bomb.gz": (
            Reply(gzip.compress(bytes(5_000_000)), "image/png", headers=(("Content-Encoding", "gzip"),)),
            "more bytes than allowed",
        ),
        "/cut.png": (Reply(png(902, 200)[:5000], "image/png"), "truncated"),
        "/tiny.png": (Reply(tiny.getvalue(), "image/png"), "fewer pixels than allowed"),
        "/empty.png": (Reply(b"", "image/png"), "empty_file"),
        "/gone.png": (Reply(b"", status=410), "HTTP status 410"),
        "/copy.png": (Reply(png(0), "image/png"), "same content as another picture"),
    }


def dangerous_pages() -> dict[str, Reply]:
    """Return pages without end, in a circle, of another kind, and forbidden."""
    return {
        "/slow": Reply(without_end(b"<p>", 0.1)),
        "/endless": Reply(without_end(b"<p>" * 100_000)),
        "/bomb": Reply(gzip.compress(bytes(50_000_000)), headers=(("Content-Encoding", "gzip"),)),
        "/loop-a": redirect("/loop-b"),
        "/loop-b": redirect("/loop-a"),
        "/secret/page": page(""),
        "/text": Reply(b"text", "text/plain"),
    }


def linking(*addresses: str) -> Reply:
    """Return a page with links."""
    return page("".join(f"<a href='{address}'>x</a>" for address in addresses))
