"""What people decide about photos that came in before, on both databases and over HTTP."""

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.audit import AuditFilter
from returns_pipeline.records.notices import NoticeKind
from returns_pipeline.store import audit, match_lists, outbox, tables
from returns_pipeline.usecases import judging, match_decisions, reuse
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.deletion import delete
from returns_pipeline.usecases.runs import scan
from tests.returns import actions, announce, details, verdicts, with_returns, write_item
from tests.support import Installation
from tests.web import Site, site

#: Three returns; the second one comes with the photo of the first.
PHOTOS = {"RMA-1": "dark", "RMA-2": "dark", "RMA-3": "white"}


def two_nights(home: Installation) -> tuple[Context, InProcessQueue, int]:
    """Announce PHOTOS and let them come in, the second return a night later; return its photo's id."""
    pipeline = context, queue = with_returns(home, file_pattern="(RMA-[0-9]+)")
    announce(home.database, PHOTOS)
    incoming = home.settings.incoming_dir
    for number, names in enumerate((("RMA-1", "RMA-3"), ("RMA-2",))):
        for name in names:
            write_item(incoming / f"{name}.png", PHOTOS[name])
        scan(context, f"night {number}")
        queue.deliver(context)
    return *pipeline, photo_of(home, "RMA-2")


def photo_of(home: Installation, number: str) -> int:
    """Return the photo whose file has the name of a return."""
    query = sa.select(tables.images.c.id).where(tables.images.c.source_path.like(f"%/{number}.png"))
    with home.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def decide(context: Context, image_id: int, decision: str, who: str, seen: str | None = None) -> None:
    """Decide as a request of a person does, which judges the return too."""
    match_decisions.decide(context.db, image_id, decision, who, seen)
    judging.judge_queued(context)


def test_a_dismissed_photo_is_no_alarm_and_a_decision_can_be_changed(home: Installation) -> None:
    """The verdict names the earlier return, follows each decision, and a new comparison changes nothing."""
    context, queue, image_id = two_nights(home)
    db = home.database
    assert verdicts(db) == {"RMA-1": "match", "RMA-2": "reused photo", "RMA-3": "match"}
    assert details(db, "RMA-2")["earlier"] == ["RMA-1"]
    notice, _ = outbox.latest(db, 1)[0]
    assert (notice.kind, notice.data["earlier_returns"]) == (NoticeKind.RETURN_VERDICT, ["RMA-1"])
    decide(context, image_id, "dismissed", "ada")
    assert verdicts(db)["RMA-2"] == "match"
    assert match_lists.undecided(db) == []
    reuse.match_photos(context)
    queue.deliver(context)
    assert verdicts(db)["RMA-2"] == "match"
    decide(context, image_id, "confirmed", "ada", "dismissed")
    assert verdicts(db)["RMA-2"] == "reused photo"
    decide(context, image_id, "open", "ada", "confirmed")
    assert [each.photo.number for each in match_lists.undecided(db)] == ["RMA-2"]
    said = ["dismissed", "confirmed", "match_reopened"]
    for number in ("RMA-1", "RMA-2"):
        assert [each for each in actions(db, number) if each in said] == said
    events = audit.page(db, AuditFilter(action="match_decide"), None, 10)
    assert [(each.subject_id, each.detail["decision"]) for each in events] == [
        (str(image_id), None),
        (str(image_id), "confirmed"),
        (str(image_id), "dismissed"),
    ]


def test_of_two_people_at_the_same_moment_the_second_is_told(home: Installation) -> None:
    """One decision counts, the other is refused with who decided; the same again changes nothing."""
    context, _, image_id = two_nights(home)
    words = {"ada": "dismissed", "grace": "confirmed"}

    def try_it(who: str) -> str:
        try:
            match_decisions.decide(context.db, image_id, words[who], who)
        except ConflictError as fault:
            return fault.message
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = dict(zip(words, pool.map(try_it, words), strict=True))
    (first,) = [who for who, message in told.items() if not message]
    (second,) = [message for message in told.values() if message]
    assert second.startswith(f"{first} has decided meanwhile")
    before = actions(context.db, "RMA-2")
    match_decisions.decide(context.db, image_id, words[first], first)
    assert actions(context.db, "RMA-2") == before
    with pytest.raises(NotFoundError):
        match_decisions.decide(context.db, photo_of(home, "RMA-1"), "confirmed", "ada")
    with pytest.raises(RefusedError):
        match_decisions.decide(context.db, image_id, "perhaps", "ada")


def test_a_deleted_photo_takes_its_match_along(home: Installation) -> None:
    """Without the earlier photo the return is judged by its own photos again."""
    context, _, _ = two_nights(home)
    delete(context.settings, context.db, photo_of(home, "RMA-1"), "admin", context.photos)
    judging.judge_queued(context)
    assert verdicts(home.database)["RMA-2"] == "match"
    assert match_lists.undecided(home.database) == []


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, int]]:
    """Give the web alone after two nights, and the photo that came in before."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        yield running, two_nights(running.home)[2]


def test_matches_over_http(here: tuple[Site, int]) -> None:
    """REST, files and metrics name the earlier return; a reviewer decides, and the verdict follows."""
    running, image_id = here
    viewer, reviewer = running.token_for(Role.VIEWER), running.token_for(Role.REVIEWER)
    path = f"/api/v1/matches/{image_id}"

    def match(of: str) -> dict[str, Any]:
        (found,) = running.ask("GET", of, viewer).json()["matches"]
        return dict(found)

    first = match("/api/v1/returns/RMA-2")
    assert (first["image"], first["return"], first["earlier_return"]) == (image_id, "RMA-2", "RMA-1")
    assert (first["kind"], first["changes"], first["decision"]) == ("exact", [], None)
    assert match("/api/v1/returns/RMA-1") == match(f"/api/v1/images/{image_id}") == first
    assert match("/api/v1/matches") == first
    assert running.ask("GET", "/api/v1/returns/RMA-3", viewer).json()["matches"] == []
    rows = csv.DictReader(io.StringIO(running.ask("GET", "/api/v1/returns/export").text))
    assert {row["number"]: row["earlier_returns"] for row in rows}["RMA-2"] == "RMA-1"
    assert 'returns_matches{decision="none"} 1.0' in running.ask("GET", "/metrics").text
    assert running.ask("POST", path, viewer, json={"decision": "dismissed"}).status_code == 403
    assert running.ask("POST", path, reviewer, json={"decision": "yes"}).status_code == 422
    assert running.ask("POST", "/api/v1/matches/999", reviewer, json={"decision": "open"}).status_code == 404
    done = running.ask("POST", path, reviewer, json={"decision": "dismissed"}).json()
    assert (done["decision"], done["image"]) == ("dismissed", image_id)
    assert running.ask("GET", "/api/v1/returns/RMA-2", viewer).json()["verdict"] == "match"
    refused = running.ask("POST", path, json={"decision": "confirmed"})
    assert (refused.status_code, "are different" in refused.json()["error"]) == (409, True)
    done = running.ask("POST", path, json={"decision": "open", "replaces": "dismissed"}).json()
    assert (done["decision"], done["decided_by"]) == (None, None)


def test_pages_of_matches(here: tuple[Site, int]) -> None:
    """Both photos with both returns; a viewer has no button."""
    running, image_id = here
    viewer = running.token_for(Role.VIEWER)
    for path in ("/returns/RMA-2", "/returns/RMA-1", f"/images/{image_id}", "/matches"):
        page = running.page(path).text
        assert page.count("Both files are equal.") == 1, path
        assert "Different photos" in page
        shown = running.ask("GET", path, viewer, headers={"Accept": "text/html"}).text
        assert "Both files are equal." in shown
        assert "Different photos" not in shown
    assert running.page("/matches/999").status_code == 404


def test_a_return_that_came_on_two_days_is_said(here: tuple[Site, int]) -> None:
    """It is a sentence on the return's page, and no alarm."""
    running, _ = here
    context, queue = with_returns(running.home, file_pattern="(RMA-[0-9]+)")
    write_item(Path(running.home.settings.incoming_dir) / "RMA-3 again.png", "white", seed=9)
    run_id = scan(context, "another night")
    queue.deliver(context)
    assert "Photos of this return came in on" not in running.page("/returns/RMA-3").text
    with running.home.database.write() as connection:
        opened_at = tables.runs.c.opened_at
        earlier = connection.execute(sa.select(opened_at).where(tables.runs.c.id == run_id)).scalar_one()
        connection.execute(
            sa.update(tables.runs)
            .where(tables.runs.c.id == run_id)
            .values(opened_at=earlier.replace(year=2025))
        )
    assert "Photos of this return came in on 2 days: 2025-" in running.page("/returns/RMA-3").text
    assert verdicts(running.home.database)["RMA-3"] == "match"
