"""Who asks, and what they may do: tokens of machines, sessions of people, the token of one's own machine."""

import base64
import binascii
import contextlib
import functools
import hashlib
import hmac
import os
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends, Request
from itsdangerous import BadData, URLSafeTimedSerializer

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.access import Role
from returns_pipeline.settings import LOOPBACK, Settings
from returns_pipeline.store import access
from returns_pipeline.store.database import Database
from returns_pipeline.web.errors import ForbiddenError, TooOftenError, UnauthorizedError

COOKIE = "returns_session"
#: Seconds that a session lasts: a long working day.
SESSION_SECONDS = 12 * 3600
#: Log-ins that a name, and an address (of an office, perhaps), may try in so many seconds.
_OF_NAME, _OF_ADDRESS, _WINDOW = 5, 30, 60.0
#: The name of whoever has the token of this machine.
LOCAL = "local"
_SAFE = {"GET", "HEAD", "OPTIONS"}

_hasher = PasswordHasher()
#: Each takes 64 MiB.
_at_once = threading.BoundedSemaphore(2)


class Principal(NamedTuple):
    """Who asks. `csrf` is what forms of this session carry; None without a session."""

    name: str
    role: Role
    csrf: str | None = None


class Keeper:
    """Knows users, tokens and sessions: one for each process of the web."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Read the secrets of this home, or make them."""
        self._db, self._is_off = database, settings.api_auth == "off"
        secret = settings.web_secret.get_secret_value() or _secret(settings, "web-secret")
        self._signer = URLSafeTimedSerializer(secret, salt="session")
        self.local_token = _secret(settings, "web-token") if settings.web_host in LOOPBACK else None
        self._lock = threading.Lock()
        self._attempts: dict[str, deque[float]] = {}

    def of_request(self, request: Request) -> Principal | None:
        """Return who asks; None for nobody. Raises UnauthorizedError for credentials that open nothing."""
        if self._is_off:
            require_same_origin(request)
            if (request.url.hostname or "") not in LOOPBACK:
                # A name of somebody else's that leads here: a page of theirs could read the answers.
                raise ForbiddenError(
                    "Open this page by its own address.",
                    "It is one of {loopback}.",
                    loopback=sorted(LOOPBACK),
                )
            return Principal(LOCAL, Role.OPERATOR)
        session = self._of_session(request.cookies.get(COOKIE))
        token = _token_of(request.headers.get("authorization", ""))
        # A proxy may send credentials of its own: whoever has a session needs no token.
        if session is not None or token is None:
            return session
        found = self.of_token(token)
        if found is None:
            raise UnauthorizedError("This token opens nothing.")
        return found

    def of_token(self, token: str) -> Principal | None:
        """Return whose token this is."""
        if self.is_local(token):
            return Principal(LOCAL, Role.OPERATOR)
        found = access.token(self._db, digest(token))
        return Principal(found.name, found.role) if found else None

    def is_local(self, token: str) -> bool:
        """Whether this is the token of one's own machine."""
        return self.local_token is not None and hmac.compare_digest(token.encode(), self.local_token.encode())

    def log_in(self, name: str, password: str, address: str) -> Principal:
        """Return the user. Raises UnauthorizedError, after some failures TooOftenError."""
        self._count_attempt({f"name {name}": _OF_NAME, f"address {address}": _OF_ADDRESS})
        found = access.user(self._db, name)
        try:
            with _at_once:
                # As long for a name that does not exist: nobody learns from it which ones do. Made before it
                # is known whether it is needed: the first log-in takes twice as long, whoever it is.
                nobody = _hash_of_nobody()
                _hasher.verify(found[1] if found else nobody, password)
        except (VerificationError, InvalidHashError):
            found = None
        if found is None:
            raise UnauthorizedError("Name or password is wrong.")
        with self._lock:
            self._attempts.pop(f"name {name}", None)
        return Principal(found[0].name, found[0].role)

    def _count_attempt(self, keys: dict[str, int]) -> None:
        """Count before the password is looked at: many attempts at once are many too."""
        now = time.monotonic()
        with self._lock:
            for key in [key for key, last in self._attempts.items() if last[-1] < now - _WINDOW]:
                del self._attempts[key]
            for key, most in keys.items():
                attempts = self._attempts.setdefault(key, deque(maxlen=most))
                if len(attempts) == most and attempts[0] > now - _WINDOW:
                    raise TooOftenError("Too many log-ins failed. Wait a minute.")
                attempts.append(now)

    def open_session(self, principal: Principal) -> str:
        """Return what the cookie of a new session holds."""
        return self._signer.dumps([principal.name, secrets.token_urlsafe(16), self._stamp(principal.name)])

    def _of_session(self, cookie: str | None) -> Principal | None:
        if not cookie:
            return None
        try:
            name, csrf, stamp = self._signer.loads(cookie, max_age=SESSION_SECONDS)
        except (BadData, ValueError):
            return None
        if not hmac.compare_digest(stamp, self._stamp(name)):
            return None
        if name == LOCAL:
            return Principal(LOCAL, Role.OPERATOR, csrf)
        found = access.user(self._db, name)
        return Principal(found[0].name, found[0].role, csrf) if found else None

    def _stamp(self, name: str) -> str:
        """Return what changes with the password, so that a new one ends all sessions."""
        if name == LOCAL:
            return digest(self.local_token or "")[:16]
        found = access.user(self._db, name)
        return digest(found[1])[:16] if found else ""

    def require_somebody(self, settings: Settings) -> None:
        """Raise ConfigFault when nobody could log in at an address that others reach."""
        if settings.web_host not in LOOPBACK and not access.is_anybody(self._db):
            raise ConfigFault(
                "RETURNS_WEB_HOST={web_host} is reached by others, and there is neither a user nor a token.",
                "Add one: `returns-pipeline users add NAME --role operator`.",
                web_host=settings.web_host,
            )

    def address(self, settings: Settings, *, with_token: bool) -> str:
        """Return the page's address as a person of this machine opens it; the token logs in."""
        host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
        query = f"?token={self.local_token}" if with_token and self.local_token and not self._is_off else ""
        return f"http://{host}:{settings.web_port}/{query}"


def require_same_origin(request: Request) -> None:
    """Raise ForbiddenError for a change that a page of somebody else's made a browser ask for."""
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if site not in {"none", "same-origin"} or not is_ours:
        raise ForbiddenError("This request does not come from a page of ours.", "Load the page again.")


def hash_password(password: str) -> str:
    """Return an argon2id hash, with its salt and its costs."""
    return _hasher.hash(password)


def digest(token: str) -> str:
    """Return the sha256 of a token in hex: long and random, it needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


@functools.cache
def _hash_of_nobody() -> str:
    # Made once, not at import: it takes as long as a log-in, and most who import this let nobody in.
    return hash_password(secrets.token_urlsafe(16))


def new_token() -> str:
    """Return a token of 256 random bits."""
    return secrets.token_urlsafe(32)


def _secret(settings: Settings, name: str) -> str:
    """Return a secret of this home, made once, in a file that only this user reads."""
    path = settings.home / name
    settings.home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=settings.home, prefix=f".{name}-") as draft:
            draft.write(new_token())
            draft.flush()
            # Whole or not at all, and never in place of another process's.
            with contextlib.suppress(FileExistsError):
                os.link(draft.name, path)
    return path.read_text(encoding="ascii").strip()


def _token_of(header: str) -> str | None:
    """Return the token of an Authorization header: `Bearer TOKEN`, or as the password of `Basic`.

    An address like http://token:TOKEN@host makes any HTTP client send the latter.
    """
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _principal(request: Request) -> Principal:
    keeper: Keeper = request.app.state.keeper
    found = keeper.of_request(request)
    if found is None:
        raise UnauthorizedError("Log in, or send a token: `Authorization: Bearer TOKEN`.")
    if request.method not in _SAFE:
        require_ours(found, request.headers.get("x-csrf-token"))
    return found


def require_ours(principal: Principal, sent: object) -> None:
    """Raise ForbiddenError for a change that comes with a session, but not with what its pages carry."""
    # Without a session there is no cookie that another site could make a browser send.
    if principal.csrf is None:
        return
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), principal.csrf.encode()):
        raise ForbiddenError("This request does not come from a page of ours. Load the page again.")


def require_role(principal: Principal, role: Role) -> None:
    """Raise ForbiddenError for somebody who may not do what needs a role."""
    if principal.role.rank < role.rank:
        raise ForbiddenError(
            "{principal_name} is a {role}; this needs a {needed}.",
            principal_name=principal.name,
            role=principal.role,
            needed=role,
        )


def _at_least(role: Role) -> Callable[[Principal], Principal]:
    def check(principal: Annotated[Principal, Depends(_principal)]) -> Principal:
        require_role(principal, role)
        return principal

    return check


Viewer = Annotated[Principal, Depends(_at_least(Role.VIEWER))]
Reviewer = Annotated[Principal, Depends(_at_least(Role.REVIEWER))]
Operator = Annotated[Principal, Depends(_at_least(Role.OPERATOR))]
