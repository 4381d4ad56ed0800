"""The audit log: every cause is in it, a page is quick however long it is, and a file has all of it."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.records.access import Role
from returns_pipeline.records.audit import AuditAction, AuditFilter, AuditPlace, AuditSubject
from returns_pipeline.records.reviews import Judgement, Word
from returns_pipeline.report import words
from returns_pipeline.store import access, audit, reviews
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import audit_events, review_changes
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images, write_stub_bundle
from tests.web import Site, site

_ODD = "=1+1\n<b>"


def classified(home: Installation, count: int) -> list[int]:
    """Classify images; return their ids."""
    write_images(home.settings.incoming_dir, count)
    context, queue = home.in_process()
    scan(context, "night")
    queue.deliver(context)
    with home.database.read() as connection:
        return list(connection.execute(sa.text("SELECT id FROM images ORDER BY id")).scalars())


def walk(db: Database, wanted: AuditFilter, size: int) -> list[AuditPlace]:
    """Return the places of all events, page by page."""
    found: list[AuditPlace] = []
    while page := audit.page(db, wanted, found[-1] if found else None, size):
        found += [event.place for event in page]
    return found


def test_pages_have_every_event_and_review_once(home: Installation) -> None:
    """Newest first, also for many rows of the same moment, and whatever the size of a page is."""
    db, ids = home.database, classified(home, 12)
    for number in range(10):
        audit.note(db, "ann" if number % 2 else "bob", "scan", AuditSubject.INTAKE, number)
        reviews.decide_many(db, "ann", [Judgement(ids[number], Word("label", "dark", "dark"), None)])
    now = utc_now()
    with db.write() as connection:
        for table, column in ((audit_events, "at"), (review_changes, "changed_at")):
            older = sa.update(table).where(table.c.id > 5)
            connection.execute(older.values({column: now}))
    whole = walk(db, AuditFilter(), 1000)
    assert len(whole) == len(set(whole)) == 20
    assert whole == sorted(whole, reverse=True)
    for size in (1, 3, 7):
        assert walk(db, AuditFilter(), size) == whole
    assert [len(batch) for batch in audit.batches(db, AuditFilter())] == [20]
    assert len(walk(db, AuditFilter(who="bob"), 3)) == 5
    assert len(walk(db, AuditFilter(who="ann"), 3)) == 15
    assert (
        len(walk(db, AuditFilter(action="scan"), 3)) == len(walk(db, AuditFilter(action="review"), 3)) == 10
    )
    assert walk(db, AuditFilter(since=now), 4) == whole[:10]
    assert walk(db, AuditFilter(before=now), 4) == whole[10:]
    review = audit.page(db, AuditFilter(action="review"), None, 1)[0]
    assert (review.who, review.subject) == ("ann", AuditSubject.IMAGE)
    assert words.audit_details(review)[0].startswith(("Confirmed as", "Corrected to"))


def test_a_page_reads_an_index_and_sorts_nothing(home: Installation) -> None:
    """Both tables are read in the order of the page, so a million reviews cost what a hundred cost."""
    db, now = home.database, utc_now()
    place = AuditPlace(now, is_review=True, id=7)
    filters = (
        AuditFilter(),
        AuditFilter(who="ann"),
        AuditFilter(since=now - timedelta(days=2), before=now),
        AuditFilter(who="ann", since=now),
    )
    of_events = [
        audit.events_query(wanted, after)
        for wanted in (*filters, AuditFilter(action="scan"))
        for after in (None, place, place._replace(is_review=False))
    ]
    of_reviews = [audit.reviews_query(wanted, after) for wanted in filters for after in (None, place)]
    with db.write() as connection:
        if not db.is_sqlite:
            # The tables are empty here, and PostgreSQL would read all of nothing.
            for way in ("seqscan", "bitmapscan"):
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        for query in of_events + of_reviews:
            text = query.limit(50).compile(connection, compile_kwargs={"literal_binds": True})
            explain = "EXPLAIN QUERY PLAN" if db.is_sqlite else "EXPLAIN"
            rows = connection.exec_driver_sql(f"{explain} {text}")
            plan = "\n".join(str(tuple(row)) for row in rows)
            assert "ix_" in plan, plan
            assert "Sort" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan


def test_a_long_or_odd_name_is_recorded(home: Installation) -> None:
    """What comes from outside fits the columns, and an empty or failed cause leaves no event."""
    db = home.database
    audit.note(db, "x" * 300, "scan", AuditSubject.INTAKE, "\udc80\x00" + "y" * 300, name="ü")
    (event,) = audit.page(db, AuditFilter(), None, 10)
    assert (len(event.who), len(event.subject_id), event.detail) == (100, 200, {"name": "ü"})

    def failing() -> None:
        with db.write() as connection:
            audit.record(connection, "ann", "scan", AuditSubject.INTAKE, "")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert len(audit.page(db, AuditFilter(), None, 10)) == 1


def test_every_action_and_subject_has_words() -> None:
    """The page and its filter show no code; a code of a newer version is shown as it is."""
    assert set(words.AUDIT_ACTIONS) == set(AuditAction)
    assert set(words.AUDIT_SUBJECTS) == set(AuditSubject)
    assert set(words.ROLES) == set(words.RIGHTS) == set(Role)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web of an installation whose photos this process has classified."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        classified(running.home, 5)
        yield running


def newest(here: Site, count: int = 1, **wanted: Any) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return the newest events: who, what, to which thing, and its detail."""
    found = audit.page(here.home.database, AuditFilter(**wanted), None, count)
    return [(event.who, event.action, f"{event.subject} {event.subject_id}", event.detail) for event in found]


def test_each_cause_is_recorded(here: Site) -> None:
    """Scans, retries, cancelling, uploads, downloads, exports and changes of models: each with its person."""
    here.ask("POST", "/api/v1/scans", headers={"Idempotency-Key": "a"})
    again = here.ask("POST", "/api/v1/scans", headers={"Idempotency-Key": "a"}).json()
    assert newest(here, 2) == [("local", "scan", "intake ", {})]
    here.ask("DELETE", f"/api/v1/jobs/{again['id']}")
    assert newest(here) == [("local", "cancel", f"job {again['id']}", {})]
    here.ask("POST", "/api/v1/retries?run=1")
    assert newest(here) == [("local", "retry", "run 1", {})]
    here.ask("GET", "/api/v1/runs/1/export?format=xlsx")
    here.ask("GET", "/api/v1/export?from=2026-01-01&to=2026-01-02")
    assert newest(here, 2) == [
        ("local", "export", "list 2026-01-01..2026-01-02", {"format": "csv"}),
        ("local", "export", "run 1", {"format": "xlsx"}),
    ]
    for headers in ({"Range": "bytes=5-9"}, {"Range": "bytes=0-9"}, {}):
        here.ask("GET", "/api/v1/images/1/original", headers=headers)
    here.ask("GET", "/api/v1/images/1/original?inline=1")
    assert newest(here, 3) == [
        ("local", "view", "image 1", {}),
        *[("local", "download", "image 1", {})] * 2,
    ]
    files = {"files": (f"{_ODD}.png", b"\x89PNG", "image/png")}
    assert here.ask("POST", "/upload", files=files).status_code == 200
    ((who, action, where, detail),) = newest(here)
    assert (who, action, where) == ("local", "upload", "intake incoming")
    assert set(detail) == {"name"}
    write_stub_bundle(here.home.settings.models_dir, version=2)
    assert here.ask("POST", "/api/v1/models/stub/2/promote", json={"reason": "newer"}).ok
    here.ask("POST", "/api/v1/models/stub/rollback")
    assert newest(here, 2) == [
        ("local", "roll_back", "model stub/1", {"before": 2, "reason": ""}),
        ("local", "promote", "model stub/2", {"before": 1, "reason": "newer"}),
    ]


def test_the_page_and_its_files_have_what_the_filter_says(here: Site) -> None:
    """A name is escaped on the page and no formula in a sheet; a file has the rows of the filter."""
    access.add_user(here.home.database, _ODD.replace("\n", ""), "x" * 64, Role.VIEWER, by=_ODD)
    text = here.page("/audit?action=user_add&from=2020-01-01&utm=x").text
    assert "=1+1\\n&lt;b&gt;" in text
    assert "<b>" not in text
    assert "format=xlsx" in text
    assert "Nothing was done that fits" in here.page("/audit?by=nobody&from=&to=").text
    assert here.page("/audit?from=2026-02-02&to=2026-01-01").status_code == 400
    sent = here.ask("GET", "/api/v1/audit/export?format=csv&action=user_add")
    (row,) = csv.DictReader(io.StringIO(sent.content.decode("utf-8-sig")))
    assert (row["action"], row["what"], row["details"]) == ("user_add", "user added", "role: viewer")
    assert row["who"].startswith("'=1+1")
    book = here.ask("GET", "/api/v1/audit/export?format=xlsx&action=user_add")
    with zipfile.ZipFile(io.BytesIO(book.content)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 2
    assert "<f>" not in sheet
    assert newest(here)[0][1:3] == ("export", "list audit")


def test_the_log_in_pages_by_rest(here: Site) -> None:
    """Following `next` gives every event once; another text is no cursor."""
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = here.ask("GET", f"/api/v1/audit?limit=2{cursor}").json()
        seen += body["events"]
        if body["next"] is None:
            break
        cursor = f"&cursor={body['next']}"
    whole = here.ask("GET", "/api/v1/audit?limit=1000").json()
    assert whole == {"events": seen, "next": None}
    for text in ("x", "WzEsMl0", "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjAwIiwgdHJ1ZSwgNV0"):
        assert here.ask("GET", f"/api/v1/audit?cursor={text}").status_code == 400, text
