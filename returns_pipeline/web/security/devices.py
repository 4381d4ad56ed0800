"""The browsers in which a user has logged in before, told by a signed cookie.

Nothing is stored here: the cookie holds an id of the browser and a digest for each of its users.
"""

import hashlib
import secrets

from itsdangerous import BadData, URLSafeTimedSerializer

DEVICE_COOKIE = "returns_device"
#: Seconds that a browser is known after a log-in: a year.
DEVICE_SECONDS = 365 * 24 * 3600
#: Users of one browser that are known, the newest ones: a cookie has 4 KiB.
_MOST_USERS = 50


class Devices:
    """Reads and writes the cookie of a browser."""

    def __init__(self, secret: str) -> None:
        """Sign with the secret of this installation."""
        self._signer = URLSafeTimedSerializer(secret, salt="device")

    def known(self, cookie: str | None, name: str) -> str | None:
        """Return the id of a browser in which this user has logged in before; else None."""
        device, users = self._read(cookie)
        return device if _digest(device, name) in users else None

    def with_user(self, cookie: str | None, name: str) -> str:
        """Return the cookie of a browser after a log-in."""
        device, users = self._read(cookie)
        user = _digest(device, name)
        return self._signer.dumps([device, [user, *(each for each in users if each != user)][:_MOST_USERS]])

    def _read(self, cookie: str | None) -> tuple[str, list[str]]:
        """Return id and users of a browser; a new id for one without a valid cookie."""
        try:
            device, users = self._signer.loads(cookie or "", max_age=DEVICE_SECONDS)
        except (BadData, ValueError):
            return secrets.token_urlsafe(12), []
        return device, users


def _digest(device: str, name: str) -> str:
    """Return what stands for a name in the cookie, so that it shows no names to other users."""
    return hashlib.sha256(f"{device}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
