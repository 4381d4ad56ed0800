"""Receivers can verify notices, with each of two secrets, and no secret is told."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from pydantic import SecretStr
from structlog.testing import capture_logs

from returns_pipeline.channels import webhook
from returns_pipeline.channels.addresses import addresses
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.store import tables
from returns_pipeline.usecases import notices
from returns_pipeline.usecases.context import Context
from tests.notices import address_of, example, is_genuine, tell, told_by
from tests.receivers import SECRET, Request, receiver
from tests.support import Installation
from tests.web import free_port


def test_no_secret_is_in_the_log_the_database_or_the_answers(
    sqlite_home: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the path of a webhook, which may be a token, nor a password of Apprise is written anywhere."""
    mail = f"mailto://user:pa55word@127.0.0.1:{free_port()}?to=desk@example.com&from=a@example.com"
    with receiver() as here, capture_logs() as logs:
        context, _ = told_by(sqlite_home, here, apprise=SecretStr(mail))
        here.status = 500
        tell(sqlite_home.database, "one")
        notices.deliver(context)
    assert [line["event"] for line in logs if line["event"] == "notice_not_delivered"] * 2
    with sqlite_home.database.read() as connection:
        rows = connection.execute(sa.select(tables.deliveries)).all()
    assert len(rows) == 2
    written = f"{logs}{rows}{address_list(context)}{''.join(capfd.readouterr())}"
    for secret in ("t0ken", "pa55word", SECRET):
        assert secret not in written


def address_list(context: Context) -> str:
    """Return how the addresses look in a traceback."""
    return repr(addresses(context.settings))


def test_the_receiver_of_the_pages_verifies_signatures(sqlite_home: Installation, tmp_path: Path) -> None:
    """The program in docs/notices.md accepts a genuine notice once, and refuses a forged and an old one."""
    page = (PROJECT_ROOT / "docs" / "notices.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    port, output = free_port(), tmp_path / "output"
    with output.open("w") as stream:
        running = subprocess.Popen(
            [sys.executable, "-c", program, str(port)],
            env={**os.environ, "RETURNS_WEBHOOK_SECRET": SECRET},
            stdout=stream,
            stderr=subprocess.DEVNULL,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        settings = sqlite_home.settings.model_copy(
            update={"webhooks": SecretStr(url), "webhook_secret": SecretStr(SECRET)}
        )
        (address,) = addresses(settings).values()
        deadline = time.monotonic() + 30
        while not webhook.send(address, example()).is_delivered:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert webhook.send(address, example()).is_delivered
        assert webhook.send(replace(address, keys=(b"another key",)), example("msg_2")).text[:8] == "HTTP 401"
        old = {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
        assert requests.post(url, b"{}", headers=old, timeout=10).status_code == 401
    finally:
        running.kill()
        running.wait()
    assert output.read_text().splitlines() == ["test This is a test."]


def test_two_secrets_sign_so_that_one_can_be_replaced(sqlite_home: Installation) -> None:
    """Each of several secrets has its signature in the header."""
    from returns_pipeline.settings.notices import new_secret

    with receiver() as here:
        both = SecretStr(f"{new_secret(b'2' * 32)}, {SECRET}")
        context, _ = told_by(sqlite_home, here, webhook_secret=both)
        assert webhook.send(address_of(context), example()).is_delivered
    (request,) = here.requests
    signatures = request.headers["webhook-signature"].split(" ")
    assert len(signatures) == 2
    assert is_genuine(Request({**request.headers, "webhook-signature": signatures[1]}, request.body))


def test_a_moment_is_in_utc_and_names_stay_readable() -> None:
    """The body is UTF-8 JSON with an aware moment."""
    notice = example()._replace(text="Schöne Schuhe 鞋")
    body = webhook.payload(notice)
    assert "Schöne Schuhe 鞋".encode() in body
    moment = datetime.fromisoformat(re.findall(rb'"timestamp":"([^"]+)"', body)[0].decode())
    assert moment.utcoffset() == timedelta()
