"""The addresses that get notices, from the settings. An address may hold a password and is never shown."""

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from returns_pipeline.records.notices import Recipient
from returns_pipeline.settings import Settings
from returns_pipeline.settings.notices import split_addresses, webhook_keys

WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Address:
    """One address with the keys that sign what is sent to it; Apprise addresses have none."""

    recipient: Recipient
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(default=(), repr=False)


def addresses(settings: Settings) -> dict[str, Address]:
    """Return every address of the settings by the digest that stands for it in the database."""
    keys = webhook_keys(settings.webhook_secret.get_secret_value())
    found = [_webhook(url, keys) for url in split_addresses(settings.webhooks.get_secret_value())]
    found += [_apprise(url) for url in split_addresses(settings.apprise.get_secret_value())]
    return {each.recipient.target: each for each in found}


def _webhook(url: str, keys: tuple[bytes, ...]) -> Address:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    # The path may hold a token.
    return Address(Recipient(WEBHOOK, _digest(url), f"{parts.scheme}://{parts.hostname}{port}"), url, keys)


def _apprise(url: str) -> Address:
    scheme, digest = url.partition("://")[0].lower(), _digest(url)
    # Any part of an Apprise address may be a token, its host too.
    return Address(Recipient(scheme[:32], digest, f"{scheme}://… ({digest[:6]})"), url)


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]
