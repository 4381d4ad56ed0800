"""A notice reaches its receiver at least once, signed, whatever the receiver and the workers do meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from returns_pipeline.channels import webhook
from returns_pipeline.host import doctor
from returns_pipeline.records.access import Role
from returns_pipeline.records.notices import NoticeKind
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import environment_of
from returns_pipeline.store import outbox, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import notices
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.sweep import sweep
from tests.notices import address_of, example, is_genuine, tell, told_by
from tests.receivers import SECRET, Request, mail_server, receiver
from tests.support import Installation, write_images
from tests.web import free_port, site


def test_a_finished_run_is_told_once_and_signed(home: Installation) -> None:
    """The webhook has the counts of the run and a valid signature; closing twice tells once."""
    write_images(home.settings.incoming_dir, 12)
    with receiver() as here:
        context, queue = told_by(home, here)
        run_id = scan(context, "night")
        queue.deliver(context)
        queue.send(Task.CLOSE_RUN, run_id)
        queue.send(Task.DELIVER_NOTICES)
        queue.deliver(context)
        sweep(context)
        queue.deliver(context)
    (request,) = here.requests
    assert is_genuine(request)
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    assert request.headers["content-type"] == "application/json"
    assert request.content["type"] == "run.finished"
    data = request.content["data"]
    assert (data["run"], data["seen"], data["classified"], data["failed"]) == (run_id, 12, 12, 0)


def test_a_receiver_that_fails_and_comes_back_gets_everything_with_the_same_ids(home: Installation) -> None:
    """After a failure one request is sent at a time, with growing pauses; a repeat has its id and body."""
    with receiver() as here:
        context, _ = told_by(home, here)
        tell(home.database, "one", "two", "three")
        here.status, now = 500, utc_now()
        notices.deliver(context, now)
        notices.deliver(context, now + timedelta(seconds=59))
        assert len(here.requests) == 1
        notices.deliver(context, now + timedelta(seconds=61))
        assert len(here.requests) == 2
        notices.deliver(context, now + timedelta(seconds=61 + 299))
        assert len(here.requests) == 2
        (failing, *_) = outbox.undelivered(home.database, 10)[::-1]
        assert (failing.attempts, failing.error) == (2, "HTTP 500 Internal Server Error")
        assert not outbox.has_work(home.database, now + timedelta(seconds=61 + 299))
        here.status = 200
        notices.deliver(context, now + timedelta(seconds=61 + 301))
    assert [request.content["text"][:3] for request in here.requests] == ["one", "one", "one", "two", "thr"]
    first, second, third = here.requests[:3]
    assert first.uid == second.uid == third.uid
    assert first.body == second.body == third.body
    assert all(map(is_genuine, here.requests))
    assert outbox.undelivered(home.database, 10) == []


def test_after_a_day_a_notice_is_given_up_and_shown(home: Installation) -> None:
    """It is tried nine times in a day; then `doctor` and `status` say so, and `notify retry` sends it."""
    with receiver() as here:
        context, _ = told_by(home, here)
        tell(home.database, "one")
        here.status, now = 503, utc_now()
        end = now + timedelta(hours=30)
        while now < end:
            notices.deliver(context, now)
            now += timedelta(minutes=1)
        assert len(here.requests) == 1 + len(notices.PAUSES)
        assert outbox.counts(home.database) == (0, 1)
        shown = replace(home, settings=context.settings)
        status = shown.run("status").stdout
        assert "1 notice could not be delivered." in status
        check = next(each for each in doctor.examine(context.settings) if each.name == "notices")
        assert not check.ok
        (listed,) = shown.json("notify", "list")
        assert (listed["error"], listed["attempts"]) == ("HTTP 503 Service Unavailable", 9)
        assert "t0ken" not in shown.run("notify", "list").stdout
        here.status = 200
        assert "1 deliveries" in shown.run("notify", "retry").stdout
        notices.deliver(context)
    assert len({request.uid for request in here.requests}) == 1
    assert outbox.counts(home.database) == (0, 0)


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(sqlite_home: Installation) -> None:
    """410 Gone gives a notice up after the first attempt."""
    with receiver() as here:
        context, _ = told_by(sqlite_home, here)
        here.status = 410
        tell(sqlite_home.database, "one")
        notices.deliver(context)
    assert outbox.counts(sqlite_home.database) == (0, 1)


def test_a_receiver_that_hangs_or_drips_is_cut(sqlite_home: Installation) -> None:
    """A request ends after its seconds, whether the receiver sends nothing or a byte now and then."""
    with receiver() as here:
        address = address_of(told_by(sqlite_home, here)[0])
        for event in (here.hangs, here.drips):
            event.set()
            began = time.monotonic()
            answer = webhook.send(address, example(), seconds=0.4)
            event.clear()
            assert not answer.is_delivered, answer
            assert 0.3 < time.monotonic() - began < 5
            assert "0.4 seconds" in answer.text
        assert webhook.send(address, example()).is_delivered
    answer = webhook.send(address, example())
    assert answer == (False, "Connection refused", False)


def test_a_redirect_is_not_followed(sqlite_home: Installation) -> None:
    """A receiver cannot lead the worker to another server, for example to one of the internal network."""
    with receiver() as here, receiver() as internal:
        here.status, here.headers = 302, {"Location": f"{internal.url}/latest/meta-data"}
        answer = webhook.send(address_of(told_by(sqlite_home, here)[0]), example())
    assert answer == (False, "HTTP 302 Found", False)
    assert internal.requests == []


_DELIVERING = """
from returns_pipeline.settings import load_settings
from returns_pipeline.store.database import Database
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases import notices
settings = load_settings()
notices.deliver(Context(settings, Database(settings.database_url), InProcessQueue(), None))
"""


def test_a_worker_killed_between_sending_and_recording_sends_again_with_the_same_id(
    home: Installation,
) -> None:
    """The process is killed when the receiver has the request; after the lease another one repeats it."""
    with receiver() as here:
        context, _ = told_by(home, here)
        tell(home.database, "one")
        born = threading.Event()
        worker: list[subprocess.Popen[bytes]] = []

        def kill(_: Request) -> None:
            born.wait()
            worker[0].send_signal(signal.SIGKILL)
            worker[0].wait()

        here.before = kill
        environment = {**os.environ, **environment_of(context.settings)}
        worker.append(subprocess.Popen([sys.executable, "-c", _DELIVERING], env=environment))
        born.set()
        assert worker[0].wait(60) == -signal.SIGKILL
        here.before = lambda _: None
        notices.deliver(context)
        assert len(here.requests) == 1, "the lease of the dead process holds it"
        notices.deliver(context, utc_now() + timedelta(seconds=outbox.LEASE_SECONDS + 1))
    first, second = here.requests
    assert (first.uid, first.body) == (second.uid, second.body)
    assert outbox.undelivered(home.database, 10) == []


def test_a_notice_that_ends_each_worker_is_given_up(sqlite_home: Installation) -> None:
    """An address whose channel hangs or crashes is tried with the same pauses, and not for ever."""
    with receiver() as here:
        context, _ = told_by(sqlite_home, here)
        tell(sqlite_home.database, "one")
        notices.deliver(sqlite_home.in_process()[0])
        tell(sqlite_home.database, "two")
        now, tried = utc_now(), 0
        outbox.spread(sqlite_home.database, [address_of(context).recipient], {NoticeKind.RUN_FINISHED}, now)
        for _ in range(30 * 60):
            # Claimed, and never recorded.
            tried += outbox.claim(sqlite_home.database, now, notices.PAUSES) is not None
            now += timedelta(minutes=1)
        assert len(notices.PAUSES) < tried < 2 + len(notices.PAUSES)
        notices.deliver(context, now + timedelta(hours=9))
    assert here.requests == []
    assert outbox.counts(sqlite_home.database) == (0, 1)


def test_two_workers_never_send_the_same_notice(home: Installation) -> None:
    """Deliveries are claimed: with four workers at the same time, each arrives once."""
    with receiver() as here:
        context, _ = told_by(home, here)
        tell(home.database, *(f"cause {number}" for number in range(40)))
        workers = [threading.Thread(target=notices.deliver, args=(context,)) for _ in range(4)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
    assert Counter(request.uid for request in here.requests).most_common(1)[0][1] == 1
    assert len(here.requests) == 40


def test_one_address_that_fails_does_not_stop_the_other(sqlite_home: Installation) -> None:
    """Each address has its own deliveries, and its own failures."""
    with receiver() as good, receiver() as bad:
        bad.status = 500
        both = SecretStr(f"{bad.url}/a,b?c=1, {good.url}")
        context, _ = told_by(sqlite_home, good, webhooks=both)
        tell(sqlite_home.database, "one", "two")
        notices.deliver(context)
    assert (len(bad.requests), len(good.requests)) == (1, 2)
    assert outbox.counts(sqlite_home.database) == (1, 0)


def test_a_new_address_gets_no_old_notices_and_a_removed_one_is_given_up(sqlite_home: Installation) -> None:
    """What happened before an address was set, or is not chosen, is not sent to it."""
    context, _ = sqlite_home.in_process()
    tell(sqlite_home.database, "before")
    notices.deliver(context)
    with receiver() as here:
        context, _ = told_by(sqlite_home, here, notice_events=(NoticeKind.RUN_FAILED,))
        tell(sqlite_home.database, "not chosen")
        notices.deliver(context)
        context, _ = told_by(sqlite_home, here)
        here.status = 500
        tell(sqlite_home.database, "after")
        notices.deliver(context)
        assert [request.content["text"] for request in here.requests] == ["after is finished."]
    notices.deliver(sqlite_home.in_process()[0], utc_now() + timedelta(hours=1))
    assert outbox.counts(sqlite_home.database) == (0, 1)


def test_old_notices_are_deleted(sqlite_home: Installation) -> None:
    """The outbox does not grow for ever: after 30 days a notice and its deliveries are gone."""
    with receiver() as here:
        context, _ = told_by(sqlite_home, here)
        tell(sqlite_home.database, "one")
        notices.deliver(context)
        notices.watch(context, utc_now() + timedelta(days=29))
        assert len(outbox.latest(sqlite_home.database, 10)) == 1
        notices.watch(context, utc_now() + timedelta(days=31))
    assert outbox.latest(sqlite_home.database, 10) == []


def test_a_lost_message_and_a_clock_that_was_ahead_delay_nothing_for_long(sqlite_home: Installation) -> None:
    """The sweep sends what is due; a moment too far ahead to be a pause is due too."""
    with receiver() as here:
        context, queue = told_by(sqlite_home, here)
        tell(sqlite_home.database, "one")
        here.status = 500
        notices.deliver(context)
        with sqlite_home.database.write() as connection:
            ahead = utc_now() + timedelta(days=300)
            connection.execute(sa.update(tables.deliveries).values(next_attempt_at=ahead, leased_until=ahead))
        here.status = 200
        sweep(context)
        assert queue.waiting(Task.DELIVER_NOTICES) == [None]
        queue.deliver(context)
    assert len(here.requests) == 2
    assert outbox.undelivered(sqlite_home.database, 10) == []


def test_a_mail_arrives_through_apprise(sqlite_home: Installation) -> None:
    """A real mail server gets the sentence and the id; while it is away, the notice waits."""
    port = free_port()
    mail = f"mailto://127.0.0.1:{port}?from=returns@example.com&to=desk@example.com"
    context, _ = sqlite_home.in_process()
    context = replace(context, settings=context.settings.model_copy(update={"apprise": SecretStr(mail)}))
    tell(sqlite_home.database, "Run 7")
    now = utc_now()
    notices.deliver(context, now)
    assert outbox.counts(sqlite_home.database) == (1, 0)
    with mail_server(port) as mails:
        notices.deliver(context, now + timedelta(seconds=61))
    (found,) = mails
    assert found["to"] == "desk@example.com"
    assert found["subject"] == "Returns: A run is finished"
    ((notice, (delivery,)),) = outbox.latest(sqlite_home.database, 10)
    text = found.get_body(("plain", "html"))
    assert text is not None
    assert "Run 7 is finished." in text.get_content()
    assert notice.uid in text.get_content()
    assert delivery.delivered_at


def test_notify_test_shows_what_each_address_answered(sqlite_home: Installation) -> None:
    """It sends to all of them now, and fails if one does not take it; without any address it says so."""
    with receiver() as good, receiver() as bad:
        bad.status = 404
        urls = f"{good.url}/hook,{bad.url}/hook"
        done = sqlite_home.run(
            *("notify", "test", "--event", "night.late"),
            RETURNS_WEBHOOKS=urls,
            RETURNS_WEBHOOK_SECRET=SECRET,
        )
        assert done.returncode == 1
        assert f"ok   webhook  {good.url}: HTTP 204 No Content" in done.stdout
        assert f"FAIL webhook  {bad.url}: HTTP 404 Not Found" in done.stdout
    assert good.types() == bad.types() == ["night.late"]
    assert is_genuine(good.requests[0])
    done = sqlite_home.run("notify", "test")
    assert done.returncode == 3
    assert "RETURNS_WEBHOOKS" in done.stderr


def test_rest_and_the_first_page_say_what_was_not_delivered(tmp_path: Path) -> None:
    """A viewer reads the notices in pages, without an address; the first page has one line."""
    with receiver() as bad, site(tmp_path, with_workers=False) as here:
        bad.status = 410
        context, _ = told_by(here.home, bad)
        tell(here.home.database, "one", "two")
        notices.deliver(context)
        viewer = here.token_for(Role.VIEWER)
        first = here.ask("GET", "/api/v1/notices?limit=1", viewer).json()
        second = here.ask("GET", f"/api/v1/notices?limit=1&cursor={first['next']}", viewer).json()
        texts = [page["notices"][0]["text"] for page in (first, second)]
        assert (texts, second["next"]) == (["two is finished.", "one is finished."], None)
        (delivery,) = second["notices"][0]["deliveries"]
        assert (delivery["channel"], delivery["error"]) == ("webhook", "HTTP 410 Gone")
        assert delivery["given_up_at"]
        assert bad.url not in str(second)
        assert here.ask("GET", "/api/v1/notices", "").status_code == 401
        assert "could not be delivered." in here.page("/").text
