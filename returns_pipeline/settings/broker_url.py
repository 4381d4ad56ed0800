"""The broker's address: Redis, Redis with TLS, a unix socket, or Sentinels that know the master."""

import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")
_CERT_REQS = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS = (*_FILES, "ssl_cert_reqs", "ssl_check_hostname")
_SENTINEL = ("master_name", "sentinel_username", "sentinel_password")
_SOCKET = ("virtual_host", "password")
_MASTER = "mymaster"  # the name in the configuration that Sentinel is shipped with
#: Seconds to wait for one Sentinel before the next is asked.
_SENTINEL_SECONDS = 2.0


class BrokerAddress(NamedTuple):
    """A parsed RETURNS_BROKER_URL.

    `url` has no parameters of TLS and Sentinel; several Sentinels are separated by `;`. `tls` holds the
    keyword arguments of redis-py's SSLConnection, and is None without TLS. `options` are Celery's transport
    options.
    """

    url: str
    tls: dict[str, Any] | None
    options: dict[str, Any]


def parse_broker_url(text: str) -> BrokerAddress:
    """Return the parts of a broker's URL.

    Raises ValueError with what the URL should have, for an unknown scheme or parameter, a missing file, or
    two Sentinels with different passwords or databases. The message has no secret.
    """
    parts = _split(text)
    scheme = parts[0].scheme
    parameters = _parameters(parts, scheme)
    tls = _tls(parameters) if scheme == "rediss" or any(name in parameters for name in _TLS) else None
    if scheme == "sentinel":
        return BrokerAddress(_sentinel_urls(parts), tls, _sentinel_options(parameters, tls))
    # The parameters of a socket are for Celery, which parses them itself.
    return BrokerAddress(text if scheme == "redis+socket" else text.partition("?")[0], tls, {})


def _split(text: str) -> list[SplitResult]:
    try:
        parts = [urlsplit(each) for each in text.split(";")]
        for part in parts:
            _ = part.port  # raises ValueError for something else than a number
    except ValueError:
        raise ValueError("should be a URL with a port that is a number") from None
    # Only the first of several Sentinels needs the scheme.
    parts[1:] = [
        part if "://" in part.geturl() else urlsplit(f"sentinel://{part.geturl()}") for part in parts[1:]
    ]
    scheme = parts[0].scheme
    if scheme not in _SCHEMES or not text.startswith(f"{scheme}://"):
        raise ValueError("should start with redis://, rediss://, redis+socket:// or sentinel://")
    if len(parts) > 1 and {part.scheme for part in parts} != {"sentinel"}:
        raise ValueError("should have several addresses, separated by ;, only if all are sentinel://")
    return parts


def _parameters(parts: list[SplitResult], scheme: str) -> dict[str, str]:
    """Return the parameters after `?`; those of several Sentinels count for all."""
    allowed = {"redis": (), "rediss": _TLS, "redis+socket": _SOCKET, "sentinel": (*_SENTINEL, *_TLS)}[scheme]
    found: dict[str, str] = {}
    for part in parts:
        for name, value in parse_qsl(part.query, keep_blank_values=True):
            if name not in allowed:
                known = f"only the parameters {', '.join(allowed)}" if allowed else "no parameters"
                hint = ": TLS needs rediss://" if name in _TLS else ""
                raise ValueError(f"should have {known} after {scheme}://, not {name[:40]!r}{hint}")
            if found.setdefault(name, value) != value:
                raise ValueError(f"should have one value of {name}")
    return found


def _tls(parameters: dict[str, str]) -> dict[str, Any]:
    """Return the arguments of redis-py's SSLConnection. The broker's certificate is checked by default."""
    wanted = parameters.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if wanted not in _CERT_REQS:
        raise ValueError("should have ssl_cert_reqs=required, optional or none")
    check = parameters.get("ssl_check_hostname", "true").lower()
    if check not in {"true", "false"}:
        raise ValueError("should have ssl_check_hostname=true or false")
    found: dict[str, Any] = {
        "ssl_cert_reqs": _CERT_REQS[wanted],
        # Python refuses to check the name of a certificate that is not checked.
        "ssl_check_hostname": check == "true" and wanted == "required",
    }
    for name in _FILES:
        if value := parameters.get(name):
            file = Path(value).expanduser().absolute()
            try:
                file.open("rb").close()
            except OSError as error:
                raise ValueError(f"should name a readable file as {name}: {file}: {error.strerror}") from None
            found[name] = str(file)
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        raise ValueError("should have ssl_certfile too, the certificate of ssl_keyfile")
    return found


def _sentinel_urls(parts: list[SplitResult]) -> str:
    """Return the Sentinels' URLs, each with the user, password and database of the Redis behind them."""
    users = {(part.username, part.password) for part in parts if part.username or part.password}
    databases = {part.path.strip("/") for part in parts} - {""}
    if len(users) > 1 or len(databases) > 1:
        raise ValueError("should have the same user, password and database for every Sentinel")
    if not all(part.hostname for part in parts):
        raise ValueError("should have a host for every Sentinel")
    name, password = next(iter(users), (None, None))
    login = f"{_quoted(name)}:{_quoted(password)}@" if users else ""
    database = next(iter(databases), "0")
    return ";".join(f"sentinel://{login}{_host(part)}:{part.port or 26379}/{database}" for part in parts)


def _quoted(text: str | None) -> str:
    # Also quotes a `;` that was quoted: Celery separates Sentinels by it.
    return quote(unquote(text or ""), safe="")


def _host(part: SplitResult) -> str:
    host = part.hostname or ""
    return f"[{host}]" if ":" in host else host


def _sentinel_options(parameters: dict[str, str], tls: dict[str, Any] | None) -> dict[str, Any]:
    """Return the transport options: the master's name, and how to connect to a Sentinel."""
    login = {
        name: value for name in ("username", "password") if (value := parameters.get(f"sentinel_{name}"))
    }
    seconds = {"socket_timeout": _SENTINEL_SECONDS, "socket_connect_timeout": _SENTINEL_SECONDS}
    return {
        "master_name": parameters.get("master_name") or _MASTER,
        "sentinel_kwargs": {**seconds, **login, **({"ssl": True, **tls} if tls else {})},
    }
