"""Authentication and roles: machines' tokens, people's sessions, and the token of this machine."""

import base64
import functools
import hashlib
import hmac
import secrets
from typing import NamedTuple
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import prefer
from returns_pipeline.records.access import LOCAL, Role, User
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.report.words import with_article
from returns_pipeline.settings import LOOPBACK, Settings
from returns_pipeline.store import access, audit
from returns_pipeline.store.database import Database
from returns_pipeline.web.errors import ForbiddenError, UnauthorizedError
from returns_pipeline.web.security.attempts import Attempt, LogIns, Tokens
from returns_pipeline.web.security.devices import Devices
from returns_pipeline.web.security.secret_files import new_token, secret_file, secret_of

COOKIE = "returns_session"
#: Seconds that a session lasts: a long working day.
SESSION_SECONDS = 12 * 3600
#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

__all__ = [
    "COOKIE",
    "LOCAL",
    "SAFE_METHODS",
    "SESSION_SECONDS",
    "Authenticator",
    "Principal",
    "address_of",
    "digest",
    "hash_password",
    "new_token",
    "require_csrf_token",
    "require_role",
    "require_same_origin",
]

_hasher = PasswordHasher()


class Principal(NamedTuple):
    """The caller of a request. `csrf` is the token that its session's forms carry; None without a session.

    `language` is the one that the person has chosen. `must_change_password`: the person has one that was
    generated, and may do nothing else before choosing another.
    """

    name: str
    role: Role
    csrf: str | None = None
    language: str | None = None
    must_change_password: bool = False

    def may(self, role: Role) -> bool:
        """Whether the caller has the rights of a role."""
        return self.role.rank >= role.rank

    @property
    def has_account(self) -> bool:
        """Whether the caller is a person who has logged in with a password."""
        return self.csrf is not None and self.name != LOCAL


class Authenticator:
    """Finds the caller of a request by token or session. Each web process has one."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Read the secrets of this installation; create them if they do not exist."""
        self._db, self._is_off = database, settings.api_auth == "off"
        secret = settings.web_secret.get_secret_value() or secret_of(settings, "web-secret")
        self._signer = URLSafeTimedSerializer(secret, salt="session")
        self.local_token = secret_of(settings, "web-token") if settings.web_host in LOOPBACK else None
        self.devices = Devices(secret)
        self._log_ins, self._tokens = LogIns(), Tokens()

    def of_request(self, request: Request) -> Principal | None:
        """Return the caller; None without credentials. Raises UnauthorizedError for an invalid token.

        From then on the request speaks the language that the caller has chosen.
        """
        found = self._of_request(request)
        if found is not None:
            prefer(getattr(found, "language", None))
        return found

    def of_this_machine(self, request: Request) -> Principal | None:
        """Return the caller if that needs no database: a client with the token of this machine, or any."""
        token = None if request.cookies.get(COOKIE) else _token_of(request.headers.get("authorization", ""))
        is_known = self._is_off or (token is not None and self._is_local(token))
        return self._of_request(request) if is_known else None

    def _of_request(self, request: Request) -> Principal | None:
        if self._is_off:
            require_same_origin(request)
            if (request.url.hostname or "") not in LOOPBACK:
                # Another site's host name may point to this machine: its pages could then read responses.
                raise ForbiddenError(
                    "Open this page by the address of this machine.",
                    "It is one of {loopback}.",
                    loopback=", ".join(sorted(LOOPBACK)),
                )
            return Principal(LOCAL, Role.ADMIN)
        session = self._of_session(request.cookies.get(COOKIE))
        token = _token_of(request.headers.get("authorization", ""))
        # A proxy may add credentials of its own: a session counts more than a token.
        if session is not None or token is None:
            return session
        found = self._of_token(token, address_of(request))
        if found is None:
            raise UnauthorizedError("This token is unknown or was revoked.")
        return found

    def _of_token(self, token: str, address: str) -> Principal | None:
        """Return the owner of a token; None for an unknown one. Raises TooManyAttemptsError."""
        if self._is_local(token):
            return Principal(LOCAL, Role.ADMIN)
        stamp = digest(token)
        self._tokens.require_attempts_left(stamp, address)
        found = access.token(self._db, stamp)
        self._tokens.count(stamp, address, is_right=found is not None)
        # What a person's program does, the person does.
        return Principal(found.owner or found.name, found.role) if found else None

    def of_local_token(self, token: str, address: str) -> Principal | None:
        """Return the owner of the token of this machine; None for another. Raises TooManyAttemptsError."""
        if self._is_local(token):
            return Principal(LOCAL, Role.ADMIN)
        stamp = digest(token)
        self._tokens.require_attempts_left(stamp, address)
        self._tokens.count(stamp, address, is_right=False)
        return None

    def _is_local(self, token: str) -> bool:
        return self.local_token is not None and hmac.compare_digest(token.encode(), self.local_token.encode())

    async def log_in(self, name: str, password: str, address: str, device_cookie: str | None) -> Principal:
        """Return the user. Raises UnauthorizedError, and TooManyAttemptsError after several attempts."""
        found = await self.check_password(name, password, address, device_cookie)
        await run_in_threadpool(access.note_log_in, self._db, found.name, address)
        return found

    async def check_password(
        self, name: str, password: str, address: str, device_cookie: str | None
    ) -> Principal:
        """Return the user of a password. Raises UnauthorizedError and TooManyAttemptsError as `log_in`."""
        attempt = Attempt(name, address, self.devices.known(device_cookie, name))
        found = await self._log_ins.attempt(
            attempt, lambda: run_in_threadpool(self._of_password, name, password)
        )
        if found is None:
            if self._log_ins.is_worth_a_record(attempt):
                await run_in_threadpool(self._record_refusal, attempt)
            raise UnauthorizedError("Name or password is wrong.")
        return found

    def _record_refusal(self, attempt: Attempt) -> None:
        self._record(attempt.name, AuditAction.LOG_IN_REFUSED, address=attempt.address)

    def note_local_log_in(self, address: str) -> None:
        """Record that a browser has logged in with the token of this machine."""
        self._record(LOCAL, AuditAction.LOG_IN, address=address)

    def note_log_out(self, person: Principal) -> None:
        """Record that a person has logged out."""
        self._record(person.name, AuditAction.LOG_OUT)

    def _record(self, name: str, action: AuditAction, **detail: object) -> None:
        with self._db.write() as connection:
            audit.record(connection, name, action, AuditSubject.USER, name, **detail)

    def _of_password(self, name: str, password: str) -> Principal | None:
        found = access.user(self._db, name)
        # An unknown name takes as long as a known one, so that the time does not reveal which names exist.
        # Computed before the check, so that the first log-in is slow for either.
        unmatched = _unmatched_hash()
        try:
            _hasher.verify(found[1] if found else unmatched, password)
        except (VerificationError, InvalidHashError):
            return None
        return _principal(found[0]) if found else None

    def open_session(self, principal: Principal) -> str:
        """Return the cookie value of a new session."""
        return self._signer.dumps([principal.name, secrets.token_urlsafe(16), self._stamp(principal.name)])

    def _of_session(self, cookie: str | None) -> Principal | None:
        if not cookie:
            return None
        try:
            name, csrf, stamp = self._signer.loads(cookie, max_age=SESSION_SECONDS)
        except (BadData, ValueError):
            return None
        if name == LOCAL:
            is_same = hmac.compare_digest(stamp, self._stamp(LOCAL))
            return Principal(LOCAL, Role.ADMIN, csrf) if is_same else None
        found = access.user(self._db, name)
        if found is None or not hmac.compare_digest(stamp, digest(found[1])[:16]):
            return None
        return _principal(found[0], csrf)

    def _stamp(self, name: str) -> str:
        """Return a digest that changes with the password, so that a new password ends all sessions."""
        if name == LOCAL:
            return digest(self.local_token or "")[:16]
        found = access.user(self._db, name)
        return digest(found[1])[:16] if found else ""

    def require_account(self, settings: Settings) -> None:
        """Raise ConfigFault if other machines can reach the web but no user or token exists."""
        if settings.web_host not in LOOPBACK and not access.has_accounts(self._db):
            raise ConfigFault(
                "RETURNS_WEB_HOST={web_host} lets other machines in, but there is no user and no token.",
                "Add a user: `returns-pipeline users add NAME --role admin`.",
                web_host=settings.web_host,
            )

    def address(self, settings: Settings, *, is_private: bool) -> str:
        """Return the address of the first page for a browser on this machine, and how to log in.

        Only `is_private` output, a terminal for example, gets the token: others may read a log.
        """
        host = f"[{settings.web_host}]" if ":" in settings.web_host else settings.web_host
        address = f"http://{host}:{settings.web_port}/"
        if self._is_off or not self.local_token:
            return address
        if is_private:
            return f"{address}?token={self.local_token}"
        file = secret_file(settings, "web-token")
        return f"{address} (to log in without a user, add ?token= and the content of {file})"


def _principal(user: User, csrf: str | None = None) -> Principal:
    return Principal(user.name, user.role, csrf, user.language, user.must_change_password)


def address_of(request: Request) -> str:
    """Return the address of the client; behind a trusted proxy, of the proxy's client."""
    return request.client.host if request.client else ""


def require_same_origin(request: Request) -> None:
    """Raise ForbiddenError for a change that another site's page made a browser request."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    is_same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if site not in {"none", "same-origin"} or not is_same:
        raise ForbiddenError("This request comes from another site.", "Load the page again.")


def hash_password(password: str) -> str:
    """Return an argon2id hash that contains its salt and its costs."""
    return _hasher.hash(password)


def digest(token: str) -> str:
    """Return the sha256 of a token in hex. A token is long and random, so it needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


@functools.cache
def _unmatched_hash() -> str:
    # Computed at the first log-in, not at import: it takes as long as a log-in.
    return hash_password(secrets.token_urlsafe(16))


def _token_of(header: str) -> str | None:
    """Return the token of an Authorization header: `Bearer TOKEN`, or as the password of `Basic`.

    An HTTP client sends `Basic` for an address like http://token:TOKEN@host.
    """
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except ValueError:  # neither base64 nor UTF-8
        return ""


def require_csrf_token(principal: Principal, sent: object) -> None:
    """Raise ForbiddenError for a change in a session without the token that the session's pages carry."""
    # Without a session there is no cookie that another site could make a browser send.
    if principal.csrf is None:
        return
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), principal.csrf.encode()):
        raise ForbiddenError("This form is out of date.", "Load the page again.")


def require_role(principal: Principal, role: Role) -> None:
    """Raise ForbiddenError if the caller's role is lower than `role`."""
    if principal.role.rank < role.rank:
        raise ForbiddenError(
            "{principal_name} is {role}; this needs {needed}.",
            principal_name=principal.name,
            role=with_article(principal.role),
            needed=with_article(role),
        )
