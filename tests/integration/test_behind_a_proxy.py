"""The web under a path of a proxy: every link stays under it, and the proxy's headers are trusted."""

import base64
import io
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin

import numpy as np
import pytest
import requests
from PIL import Image

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.web.security.access import hash_password
from returns_pipeline.web.static_files import static_address
from tests.proxy import proxy
from tests.support import LABELS, write_stub_bundle
from tests.web import Site, batch_of, closed_run, site

ROOT = "/returns"
PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test


class Links(HTMLParser):
    """The addresses in a page: those that a browser fetches, and those that forms are sent to."""

    def __init__(self, path: str, page: str) -> None:
        """Read the page at a path."""
        super().__init__()
        self._path = path
        self.fetched: set[str] = set()
        self.posted: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of one element."""
        found = dict(attrs)
        action = found.get("action")
        if tag == "form" and action is not None:
            (self.posted if found.get("method") == "post" else self.fetched).add(action)
        for name in ("href", "src", "data-events", "data-url"):
            value = found.get(name)
            if value and not value.startswith("#"):
                self.fetched.add(urldefrag(urljoin(self._path, value)).url)


def noise() -> bytes:
    """Return a bright picture that does not compress."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(130, 190, (280, 280), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give an installation with a closed run, images to review, and a run that stays open."""
    folder = tmp_path_factory.mktemp("site")
    overrides: dict[str, Any] = {"web_root": ROOT, "web_proxies": "127.0.0.1", "audit_share": 1.0}
    with site(folder, **overrides) as running:
        (running.home.settings.incoming_dir / "broken.png").write_bytes(b"no picture")
        closed_run(running, 70)
        access.add_user(running.home.database, "ann", hash_password(PASSWORD), Role.ADMIN)
        # A model can be rolled back only if another version was active before.
        write_stub_bundle(running.home.settings.models_dir, version=2)
        promoted = running.ask("POST", "/api/v1/models/stub/2/promote", json={"reason": "newer"})
        assert promoted.ok, promoted.text
        # The run of the day's images stays open.
        images, _ = batch_of(running, 1, 1000)
        assert running.ask("POST", "/process_batch", json={"images": images}).ok
        yield running


@pytest.fixture(scope="module")
def url(here: Site) -> Iterator[str]:
    """Give the address under which the proxy shows the web."""
    with proxy(ROOT, here.home.settings.web_port) as address:
        yield address


def log_in(url: str, **headers: str) -> requests.Response:
    """Send the form."""
    form = {"name": "ann", "password": PASSWORD, "next": "/runs/1?state=classified"}
    return requests.post(f"{url}/login", data=form, headers=headers, allow_redirects=False, timeout=60)


def test_every_link_of_every_page_stays_under_the_path(url: str) -> None:
    """Links, pictures, styles, scripts, exports, events and forms: none leaves the path, none is broken."""
    client = requests.Session()
    client.headers["Accept"] = "text/html,*/*"
    client.cookies.update(log_in(url).cookies)
    # Pages without a link from the first page.
    begin = ("/", "/docs", "/login", "/no-such-page", "/runs/1?code=not_an_image")
    open_, seen, posted = {ROOT + path for path in begin}, set[str](), set[str]()
    while open_:
        path = open_.pop()
        seen.add(path)
        assert path.startswith(f"{ROOT}/"), path
        with client.get(urljoin(url, path), stream=True, timeout=60, allow_redirects=False) as answer:
            assert answer.status_code == (404 if path == f"{ROOT}/no-such-page" else 200), path
            kind = answer.headers["content-type"].partition(";")[0]
            if kind == "text/event-stream":
                assert next(answer.iter_lines(chunk_size=1)).startswith(b"data: {")
                continue
            links = Links(path, answer.text if kind == "text/html" else "")
        # A form without its token is refused, but its address exists.
        for action in links.posted - posted:
            assert action.startswith(f"{ROOT}/"), (path, action)
            refused = client.post(urljoin(url, action), timeout=60, allow_redirects=False)
            assert refused.status_code == (401 if action == f"{ROOT}/login" else 403), (path, action)
        posted |= links.posted
        # Two images are enough: all their pages are alike.
        few = {
            link for link in links.fetched if not link.startswith((f"{ROOT}/images/", f"{ROOT}/api/v1/im"))
        }
        open_ |= (few | set(sorted(links.fetched - few)[:2])) - seen
    wanted = {"/", "/runs", "/runs/1", "/review", "/try", "/models", "/models/stub/rollback", "/openapi.json"}
    wanted |= {"/static/swagger-ui/swagger-ui-bundle.js", "/runs/1/report"}
    wanted |= {static_address("", name) for name in ("design.css", "style.css", "page.js", "icon.svg")}
    wanted |= {f"/api/v1/runs/1/export?format={kind}" for kind in ("csv", "xlsx", "json", "parquet")}
    assert {ROOT + path for path in wanted} <= seen
    for part in ("/events", "/thumbnail", "/images/", "cursor="):
        assert any(part in path for path in seen), part
    forms = {"/login", "/logout", "/try", "/review", "/runs/1/retry", "/models/stub/rollback"}
    forms |= {"/models/stub/1/promote", "/views"}
    forms |= {"/upload", "/upload/scan", "/runs/1/label", "/runs/2/label", "/review/grid"}
    forms |= {f"/account/{each}" for each in ("password", "language", "tokens")}
    forms |= {"/users", "/users/tokens", *(f"/users/person/{each}" for each in ("role", "state", "password"))}
    # The pages of images, and the review of each scope, have forms of their own.
    posted = {path.partition("?")[0] for path in posted if not path.startswith(f"{ROOT}/images/")}
    assert {ROOT + path for path in forms} == posted


def test_the_log_in_and_its_cookie_stay_under_the_path(here: Site, url: str) -> None:
    """After the log-in the wanted page comes, and the cookie is for this path only."""
    page = {"Accept": "text/html"}
    asked = requests.get(f"{url}/runs/1?state=failed", headers=page, allow_redirects=False, timeout=60)
    where = asked.headers["location"]
    assert (asked.status_code, where) == (303, f"{ROOT}/login?next=%2Fruns%2F1%3Fstate%3Dfailed")
    found = log_in(url)
    assert (found.status_code, found.headers["location"]) == (303, f"{ROOT}/runs/1?state=classified")
    cookie = found.headers["set-cookie"].lower()
    assert f"path={ROOT};" in f"{cookie};"
    assert "secure" not in cookie
    local = requests.get(f"{url}/?token={here.token}", allow_redirects=False, timeout=60)
    assert (local.status_code, local.headers["location"]) == (303, f"{ROOT}/")


def test_over_https_the_cookie_is_secure(url: str) -> None:
    """The scheme that the proxy reports counts, not the HTTP between proxy and web."""
    assert "; secure" in log_in(url, **{"X-Test-Scheme": "https"}).headers["set-cookie"].lower()


def test_guessing_is_counted_for_the_clients_address(here: Site, url: str) -> None:
    """Too many guesses from one address are refused; another client behind the same proxy is not."""
    client = {"X-Test-Client": "198.51.100.1"}
    found = []
    for name in (f"n{number}" for number in range(31)):
        # The stored text is not a hash, so that each guess takes no time.
        access.add_user(here.home.database, name, "no hash", Role.VIEWER)
        form = {"name": name, "password": "x"}
        found.append(requests.post(f"{url}/login", data=form, headers=client, timeout=60).status_code)
    assert found == [401] * 30 + [429]
    assert log_in(url, **client).status_code == 429
    assert log_in(url, **{"X-Test-Client": "198.51.100.2"}).status_code == 303


def test_programs_reach_the_interface_under_the_path(here: Site, url: str) -> None:
    """Large bodies are accepted there too, and the OpenAPI document names the path."""
    headers = {"Authorization": f"Bearer {here.token}"}
    photo = base64.b64encode(noise()).decode()
    assert len(photo) > 64 * 1024
    answer = requests.post(f"{url}/process_batch", json={"images": [photo]}, headers=headers, timeout=180)
    assert (answer.status_code, answer.json()) == (200, {"predictions": [LABELS.index("bright")]})
    described = requests.get(f"{url}/openapi.json", timeout=60)
    assert (described.status_code, described.json()["servers"]) == (200, [{"url": ROOT}])
    moved = requests.get(f"{url}/runs/", headers=headers, allow_redirects=False, timeout=60)
    assert (moved.status_code, moved.headers["location"]) == (307, f"{ROOT}/runs")
