"""The web behind Caddy, with certificates of Caddy's own authority."""

import socket
from pathlib import Path

import requests

from tests.compose.progress import CheckError, expect, step
from tests.compose.releases import SERVICES
from tests.compose.stack import NAME, PASSWORD, Stack
from tests.web import free_port

_FILES = "docker-compose.yml:compose.tls.yml"


def serve(stack: Stack) -> None:
    """Serve the web with TLS, and try what Caddy must do; then go back to the plain stack."""
    plain, secure = free_port(), free_port()
    folder = stack.folder / "tls"
    folder.mkdir()
    stack.give([folder])
    stack.set(
        COMPOSE_FILE=_FILES,
        SITE="localhost",
        UPLOAD_LIMIT="2MB",
        HTTP_ADDRESS=f"127.0.0.1:{plain}",
        HTTPS_ADDRESS=f"127.0.0.1:{secure}",
    )
    with step("Caddy serves the web with TLS, and nothing else does"):
        stack.compose("up", "--detach")
        stack.wait_healthy(SERVICES + 2)
        expect("the port of the web", _is_open(stack.url), False)
        authority = folder / "caddy/pki/authorities/local/root.crt"
        response = requests.get(f"http://localhost:{plain}/", allow_redirects=False, timeout=60)
        expect("the redirect", response.headers.get("Location"), "https://localhost/")
        _try(f"https://localhost:{secure}", authority)
        _upload(stack, f"https://localhost:{secure}", authority)
    stack.set(COMPOSE_FILE="docker-compose.yml")
    stack.compose("up", "--detach", "--remove-orphans")
    stack.wait_healthy(SERVICES + 1)


def _try(url: str, authority: Path) -> None:
    """Log in, and guess passwords with forged addresses."""
    with requests.Session() as browser:
        browser.trust_env = False  # or a bundle of the environment would be used instead
        browser.verify = str(authority)
        form = {"name": NAME, "password": PASSWORD}
        page = browser.post(f"{url}/login", data=form, headers={"Origin": url}, timeout=60)
        if page.status_code != 200 or NAME not in page.text:
            raise CheckError(f"the log-in ends with {page.status_code} at {page.url}")
        expect("cookies for TLS only", {cookie.secure for cookie in browser.cookies}, {True})
        expect("the promise of TLS", page.headers.get("Strict-Transport-Security"), "max-age=31536000")
        expect(
            "guesses from forged addresses", [_guess(browser, url, n) for n in range(6)], [401] * 5 + [429]
        )


def _upload(stack: Stack, url: str, authority: Path) -> None:
    """Send a photo, and a file that is larger than Caddy lets through."""

    def status(body: bytes) -> int:
        file = {"file": ("photo.png", body)}
        return stack.ask("POST", "/predict", url, files=file, verify=str(authority)).status_code

    expect("a photo", status((stack.folder / "samples/image_1039_label_5.png").read_bytes()), 200)
    refused = status(bytes(3_000_000))
    # Caddy 2.6, which is Debian's, says 502.
    if refused not in {413, 502}:
        raise CheckError(f"a large upload ends with {refused}")


def _guess(browser: requests.Session, url: str, number: int) -> int:
    """Return the status of a wrong password, sent with an address that the client made up."""
    form = {"name": "guessed", "password": "wrong"}
    headers = {"X-Forwarded-For": f"203.0.113.{number}", "Origin": url}
    return browser.post(f"{url}/login", data=form, headers=headers, cookies={}, timeout=60).status_code


def _is_open(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
