"""The signature of a webhook, as Standard Webhooks 1.0 defines it (www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def signature(keys: Iterable[bytes], uid: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`: `v1,` and the HMAC-SHA256 in base64, for each key.

    Signed is `ID.TIMESTAMP.BODY`; `timestamp` is in seconds since 1970. A receiver accepts any of several
    signatures, so that a secret can be replaced without a stop.
    """
    content = f"{uid}.{timestamp}.".encode() + body
    digests = (hmac.new(key, content, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
