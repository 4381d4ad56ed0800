"""No request, however odd, is an internal error: numbers, characters, lengths and kinds of bodies."""

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.databases import postgres_server
from tests.web import Site, closed_run, site

#: Texts as they stand in an address: large numbers, NUL, lone surrogates, other odd characters, odd cursors.
TEXTS = [
    *(
        "9223372036854775808",
        "1" * 5000,
        "1e400",
        "%00",
        "%ED%A0%80",
        "%FF",
        "%1B%0A",
        "%C2%B2",
        "..%2F..%2Fetc",
    ),
    *("%zz", "a" * 8000, "W251bGwsIHRydWVd", "WzFlNDAwLCAxXQ", "W05hTiwgMV0", "IlxcdWQ4MDAi", "W1tbW1s"),
]
VALUES: list[Any] = ["\ud800", "\0", "x" * 50_000, 2**63, 10**400, None, ["\ud800"]]
BODIES = [
    *(b"", b"{", b"null", b"1e999", b"\xff\xfe", b"\x00", b"[" * 30_000, b'{"a":' * 5_000),
    *(
        json.dumps({name: value}).encode()
        for name in ("label", "reason", "images", "\ud800")
        for value in VALUES
    ),
]
FORMS = [
    "&".join(f"{name}={text}" for name in ("action", "label", "image", "reason", "name", "password", "next"))
    for text in ("9223372036854775808", "%00", "%ED%A0%80", "%C2%B2", "%1B")
]
PART = b'--a\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nx\r\n--a--\r\n'
FILES = [
    PART % name for name in (b"a\x00.png", b"\xed\xa0\x80.png", b"x" * 5000, b"..", b"/etc/passwd", b"\xff")
]
KINDS = ("text/plain", "multipart/form-data", "multipart/form-data; boundary=a", "\xff")
HEADERS = [b"\xff", b"\xed\xa0\x80", b"x" * 5000, b"9223372036854775808", b""]
#: Each explains an image, which takes a worker's time; their parameters are those of other routes.
SLOW = ("/explanation", "/heatmap", "/events")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running installation with a closed run, on the stricter database."""
    with postgres_server() as server:
        url = server.replace("postgresql://", "postgresql+psycopg://")
        folder = tmp_path_factory.mktemp("site")
        with site(folder, database_url=url, audit_share=1.0, api_seconds=5) as running:
            closed_run(running, 5)
            yield running


class Client:
    """Sends bytes as they are: other clients repair or refuse odd requests."""

    def __init__(self, here: Site) -> None:
        """Connect to a site, as an operator."""
        self._connection = http.client.HTTPConnection("127.0.0.1", here.home.settings.web_port, timeout=60)
        self._headers = {"Authorization": f"Bearer {here.token}"}
        self.odd: list[str] = []

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, Any] | None = None
    ) -> None:
        """Send a request and note it if its response is an internal error or none at all."""
        for _ in range(2):  # the server may close a connection that was idle
            try:
                self._connection.request(method, path, body, self._headers | (headers or {}))
                answer = self._connection.getresponse()
                found: object = (answer.status, answer.read()[:100])
            except (http.client.HTTPException, ConnectionError) as error:
                self._connection.close()
                found = error
                continue
            if answer.status != 500:
                return
            break
        self.odd.append(f"{method} {path[:80]} {(body or b'')[:60]!r} {headers}: {found}")


def filled(path: str, part: str = "", text: str = "") -> str:
    """Return a path with a text for one of its parts; the others have values that exist."""
    values = {"name": "stub", part: text}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "1"), path)


def routes(here: Site) -> list[tuple[str, str, list[str]]]:
    """Return (method, path, query parameters) of the REST interface and of the pages."""
    document = here.ask("GET", "/openapi.json").json()["paths"]
    found = [
        (method.upper(), path, [each["name"] for each in kind.get("parameters", ()) if each["in"] == "query"])
        for path, methods in document.items()
        for method, kind in methods.items()
        if not path.endswith(SLOW)
    ]
    found += [
        ("GET", "/", ["token"]),
        ("GET", "/runs", ["before"]),
        ("GET", "/runs/{id}", ["state", "label", "decision", "code", "order", "cursor"]),
        ("GET", "/images/{id}", ["why"]),
        ("GET", "/models/{name}/{version}/promote", []),
        ("GET", "/models/{name}/rollback", []),
        ("GET", "/models/{name}/{version}/report/{path}", []),
        ("GET", "/login", ["next"]),
        *(("POST", path, []) for path in ("/login", "/logout", "/review", "/try", "/runs/{id}/retry")),
        *(("POST", f"/models/{{name}}/{path}", []) for path in ("{version}/promote", "rollback")),
    ]
    return found


def test_no_odd_address_is_an_internal_error(here: Site) -> None:
    """Each text in each part of each path and in each parameter."""
    client = Client(here)
    for method, path, parameters in routes(here):
        for text in TEXTS:
            for part in re.findall(r"\{(\w+)\}", path):
                client.send(method, filled(path, part, text))
            for name in [*parameters, text]:
                client.send(method, f"{filled(path)}?{name}={text}")
    assert not client.odd, "\n".join(client.odd)


def test_no_odd_body_is_an_internal_error(here: Site) -> None:
    """Each body for each route that changes something, also with a wrong media type."""
    client = Client(here)
    for method, path, _ in routes(here):
        if method != "POST" or path in {"/api/v1/scans", "/api/v1/retries"}:
            continue
        for body in BODIES:
            client.send("POST", filled(path), body, {"Content-Type": "application/json"})
        for kind in KINDS:
            for body in (b'{"images": ["AAAA"]}', b"--a\r\nContent-Disposition: form-data", b"\xff"):
                client.send("POST", filled(path), body, {"Content-Type": kind})
        for form in FORMS:
            kind = "application/x-www-form-urlencoded"
            client.send("POST", filled(path), form.encode(), {"Content-Type": kind})
    for path in ("/predict", "/try"):
        for body in FILES:
            client.send("POST", path, body, {"Content-Type": KINDS[2]})
    assert not client.odd, "\n".join(client.odd)


def test_no_odd_header_is_an_internal_error(here: Site) -> None:
    """Keys, reasons, cookies, credentials, hosts and media types with any bytes."""
    client = Client(here)
    names = (
        "Idempotency-Key",
        "X-Reason",
        "X-CSRF-Token",
        "Origin",
        "Host",
        "Content-Type",
        "Range",
    )
    sent = [(name, value) for name in names for value in HEADERS]
    for cookie in (b"returns_session=", b"returns_device="):
        sent += [("Cookie", cookie + value) for value in HEADERS]
    sent += [("Authorization", scheme + value) for scheme in (b"Bearer ", b"Basic ") for value in HEADERS]
    for name, value in sent:
        for path in ("/api/v1/runs", "/runs", "/static/style.css"):
            client.send("GET", path, None, {name: value})
        for path in ("/process_batch", "/login", "/api/v1/models/stub/rollback"):
            client.send("POST", path, b'{"images": []}', {name: value})
    assert not client.odd, "\n".join(client.odd)


def test_no_route_ignores_a_parameter(here: Site) -> None:
    """An unknown parameter is 422, and the sentence lists those of the route, as the document does."""
    for path, methods in here.ask("GET", "/openapi.json").json()["paths"].items():
        for method, described in methods.items():
            address = re.sub(r"\{[^}]*\}", "1", path)
            known = [each["name"] for each in described.get("parameters", ()) if each["in"] == "query"]
            for query in ("?detial=1", f"?{known[0]}=1&fbclid=a" if known else "?fbclid"):
                answer = here.ask(method.upper(), address + query)
                assert answer.status_code == 422, (method, path, answer.text)
                assert "There is no parameter" in answer.json()["error"]
                listed = f"are: {', '.join(known)}." if known else "no parameters"
                assert listed in answer.json()["advice"], (method, path)


def test_an_unknown_field_of_a_body_is_refused(here: Site) -> None:
    """The sentence lists the fields of the body."""
    answer = here.ask("POST", "/api/v1/models/stub/1/promote", json={"resaon": "better"})
    assert answer.status_code == 422
    assert "`resaon`" in answer.json()["error"]
    assert "reason, force" in answer.json()["advice"]


def test_a_page_opens_with_the_parameters_that_a_mail_program_adds(here: Site) -> None:
    """The reader of a link cannot remove them."""
    for path in ("/", "/runs", "/review", "/try", "/models", "/login", "/docs"):
        assert here.page(f"{path}?utm_source=mail&fbclid=1").status_code == 200, path


def test_an_id_out_of_bounds_is_invalid_and_an_unknown_one_missing(here: Site) -> None:
    """No id reaches a database column that cannot hold it: 422; an id that no row has is 404."""
    for path, end in (("runs", 2**31), ("images", 2**63)):
        for number, status in ((0, 422), (end, 422), (end - 1, 404)):
            for address in (f"/api/v1/{path}/{number}", f"/{path}/{number}"):
                assert here.ask("GET", address).status_code == status, address
