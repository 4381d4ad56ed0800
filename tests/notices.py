"""Notices for tests: told by a run or made up, and whether a signature is genuine."""

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.channels.addresses import Address, addresses
from returns_pipeline.records.notices import Notice, NoticeKind, StoredNotice
from returns_pipeline.store import outbox
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases.context import Context
from tests.receivers import KEY, Receiver, Request
from tests.support import Installation


def told_by(home: Installation, here: Receiver, **settings: Any) -> tuple[Context, InProcessQueue]:
    """Return the pipeline in this process with a receiver as its only address."""
    context, queue = home.in_process()
    return replace(context, settings=here.of(context.settings, **settings)), queue


def tell(database: Database, *causes: str) -> None:
    """Add a notice for each cause."""
    found = [Notice(each, NoticeKind.RUN_FINISHED, f"{each} is finished.", {"run": 1}) for each in causes]
    outbox.add_alone(database, found)


def example(uid: str = "msg_1") -> StoredNotice:
    """Return a notice that is in no database."""
    return StoredNotice(1, uid, NoticeKind.TEST, utc_now(), "This is a test.", {})


def address_of(context: Context) -> Address:
    """Return the only address of the settings."""
    (found,) = addresses(context.settings).values()
    return found


def is_genuine(request: Request) -> bool:
    """Verify a signature as the specification of Standard Webhooks describes it."""
    content = f"{request.uid}.{request.headers['webhook-timestamp']}.".encode() + request.body
    digest = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    return request.headers["webhook-signature"] == f"v1,{digest}"
