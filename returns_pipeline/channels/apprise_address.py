"""Sends a notice to an Apprise address: mail, Slack, Teams, ntfy and others.

Apprise is imported when the first notice is sent.
"""

import logging
import re
from typing import Any

from returns_pipeline.channels.addresses import Address
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.notices import Answer, NoticeKind, StoredNotice

#: Seconds for a connection, and for a response.
_SECONDS = 10.0
_SECRET = re.compile(r"[^\w.-]+")
_MOST_SHOWN = 200
_TITLES = {
    NoticeKind.RUN_FINISHED: "A run is finished",
    NoticeKind.RUN_FAILED: "A run has failed",
    NoticeKind.NIGHT_LATE: "The night is late",
    NoticeKind.NIGHT_UNUSUAL: "An unusual night",
    NoticeKind.NIGHT_CHANGED: "The photos have changed",
    NoticeKind.INTAKE_EMPTY: "An intake is empty",
    NoticeKind.WORK_OLD: "Work is open for long",
    NoticeKind.IMAGE_CORRECTED: "A photo was corrected",
    NoticeKind.TEST: "This is a test",
    NoticeKind.UNKNOWN: "A notice",
}


def send(address: Address, notice: StoredNotice) -> Answer:
    """Send a notice; return whether the service took it. Its own words are kept without the address."""
    service = _service(address)
    if service is None:
        return Answer(False, "Apprise does not understand this address.")
    from apprise import Apprise, LogCapture

    sender = Apprise(asset=_asset())
    sender.add(service)
    # Warnings only: more would show the content and the address.
    with LogCapture(level=logging.WARNING, fmt="%(message)s") as heard:
        is_sent = sender.notify(
            title=f"Returns: {_TITLES[notice.kind]}", body=f"{notice.text}\n\n{notice.uid}"
        )
        said = "" if is_sent else heard.getvalue()
    return Answer(bool(is_sent), "sent" if is_sent else _without_secrets(said, address.url))


def require_known(address: Address) -> None:
    """Raise ConfigFault if Apprise does not understand an address."""
    if _service(address) is None:
        raise ConfigFault(
            "Apprise does not understand the address {shown} of RETURNS_APPRISE.",
            "See https://appriseit.com/services/ for the form of each service's address.",
            shown=address.recipient.shown,
        )


def _service(address: Address) -> Any:
    from apprise import Apprise

    # Its lines could hold parts of an address, and would go to the log of the worker.
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.INFO)
    service = Apprise.instantiate(address.url, asset=_asset(), suppress_exceptions=True)
    if service is not None:
        service.socket_connect_timeout = service.socket_read_timeout = _SECONDS
    return service


def _asset() -> Any:
    from apprise import AppriseAsset

    return AppriseAsset(app_id="returns-pipeline", app_desc="Returns", app_url="", async_mode=False)


def _without_secrets(text: str, url: str) -> str:
    """Return what Apprise said, in one line, without any part of the address but its scheme."""
    line = " ".join(text.split())
    for part in sorted(_SECRET.split(url.partition("://")[2]), key=len, reverse=True):
        if len(part) > 2:
            line = line.replace(part, "…")
    return line[:_MOST_SHOWN] or "the service did not take it"
