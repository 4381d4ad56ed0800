"""When a retraining is asked for, who may work on it, and what becomes of its result, on both databases."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from beat_schedule import beat_schedule
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConflictError, RefusedError
from returns_pipeline.languages import use
from returns_pipeline.records.audit import AuditAction, AuditFilter
from returns_pipeline.records.models import ModelStage
from returns_pipeline.records.retraining import Judgement, RetrainingState
from returns_pipeline.records.reviews import Word
from returns_pipeline.records.tasks import TRAIN, Task
from returns_pipeline.store import audit, images, outbox, retrainings, reviews
from returns_pipeline.store import models as model_rows
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.retrainings import RetrainingLostError
from returns_pipeline.usecases import models, proposals, retraining
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.notice_texts import told
from returns_pipeline.usecases.retraining import plan, request, send_lost
from tests.integration.test_reviews import closed_run
from tests.support import Installation, write_stub_bundle

BETTER = Judgement(photos=612, reviewed=271, difference=0.018, low=0.006, high=0.03, p=0.004)
WORSE = BETTER._replace(difference=-0.018, low=-0.03, high=-0.006)


def with_settings(home: Installation, **settings: object) -> tuple[Context, InProcessQueue]:
    """Return the pipeline with other settings."""
    return Installation(home.settings.model_copy(update=settings), home.database).in_process()


def reviewed_night(home: Installation, count: int, start: int = 0) -> None:
    """Classify a night, and give all of its images a label."""
    run_id = closed_run(home, count, start)
    for image in images.results(home.database, run_id, None):
        reviews.decide(home.database, "ada", image.id, Word("label", "white", "white"))


def judged(home: Installation, judgement: Judgement, **settings: object) -> RetrainingState:
    """Carry out a retraining whose new version is stub/2 and was judged so; return its state."""
    context, _ = with_settings(home, **settings)
    row = retrainings.require(home.database, request(context.settings, home.database, "stub", "ann"))
    held = retrainings.claim(home.database, row.id, 60)
    assert held is not None
    retrainings.change(home.database, held, version=2, learned=40, last_change=1)
    proposals.propose(context, held, find_bundle(home.settings.models_dir, "stub/2"), judgement)
    return retrainings.require(home.database, row.id).state


def test_only_enough_new_reviews_ask_for_a_retraining(home: Installation) -> None:
    """On its day, once, after the night, with enough labels that the last retraining did not know."""
    reviewed_night(home, 12)
    monday = datetime(2026, 11, 30, 2, 30, tzinfo=UTC)
    context, queue = with_settings(home, retrain="monday", retrain_reviews=12)

    def asked(now: datetime) -> int:
        plan(context, now)
        return len(queue.waiting(Task.RETRAIN))

    assert asked(monday - timedelta(days=1)) == 0
    assert asked(monday - timedelta(minutes=10)) == 0
    assert asked(monday) == 1
    assert asked(monday) == 1
    held = retrainings.claim(home.database, queue.take(Task.RETRAIN), 60)
    assert held is not None
    newest = retrainings.newest_change(home.database)
    retrainings.change(home.database, held, version=2, last_change=newest)
    proposals.fail(context, held, RefusedError("It cannot be."))
    assert asked(monday + timedelta(days=7)) == 0
    reviewed_night(home, 12, 100)
    assert asked(monday + timedelta(days=14)) == 1
    assert beat_schedule(context.settings)["retraining"]["task"] == Task.PLAN_RETRAINING
    assert "retraining" not in beat_schedule(home.settings)


def test_one_retraining_of_a_name_at_a_time(home: Installation) -> None:
    """It is asked for once, audited, claimed by one process, and sent again only if no process has it."""
    closed_run(home, 2)
    context, queue = with_settings(home, resend_seconds=0.0)
    row_id = request(home.settings, home.database, "stub", "ann")
    with pytest.raises(ConflictError, match="already"):
        request(home.settings, home.database, "stub", "bob")
    with pytest.raises(RefusedError, match="active"):
        request(home.settings, home.database, "unknown", "bob")
    asked = audit.page(home.database, AuditFilter(action=AuditAction.RETRAIN), None, 5)
    assert [each.who for each in asked] == ["ann"]
    send_lost(context)
    assert [message.queue for message in queue.messages] == [TRAIN]
    held = retrainings.claim(home.database, row_id, 60)
    assert held is not None
    assert retrainings.claim(home.database, row_id, 60) is None
    send_lost(context)
    assert len(queue.messages) == 1
    retrainings.release(home.database, held, counts=True)
    other = retrainings.claim(home.database, row_id, 60)
    assert other is not None
    with pytest.raises(RetrainingLostError):
        proposals.fail(context, held, RefusedError("Too late."))
    proposals.fail(context, other, RefusedError("No photo."))
    failed = retrainings.require(home.database, row_id)
    assert (failed.state, failed.attempts, failed.fault) == (RetrainingState.FAILED, 2, "No photo.")
    assert retrainings.claim(home.database, row_id, 60) is None
    request(home.settings, home.database, "stub", "bob")


def test_a_better_version_is_proposed_and_shadows_the_nights(home: Installation) -> None:
    """Its notice has the numbers, in the reader's language; a promotion ends the proposal."""
    closed_run(home, 2)
    write_stub_bundle(home.settings.models_dir, version=2)
    assert judged(home, BETTER, retrain_shadow=0.25) is RetrainingState.PROPOSED
    (row,) = proposals.shown(home.settings, home.database)
    notice = outbox.find(home.database, f"retraining {row.uid}")
    assert notice is not None
    sentence = "stub/2 is right 1.8 points more often than stub/1 (0.6 to 3.0, p = 0.004) on 612 photos"
    assert notice.text.startswith(sentence)
    with use("de"):
        assert "1,8 Prozentpunkte" in told(notice).text
    shadow = model_rows.find(home.database, row.candidate) if row.candidate else None
    assert shadow is not None
    assert shadow.shadow_share == 0.25
    models.promote(home.settings, home.database, "stub/2", who="ann")
    assert proposals.shown(home.settings, home.database) == []


def test_a_version_that_is_not_better_stays_a_candidate(home: Installation) -> None:
    """The sentence says so, and the rule does not promote it."""
    closed_run(home, 2)
    write_stub_bundle(home.settings.models_dir, version=2)
    rule = {"retrain_promote": 0.05, "retrain_promote_photos": 1}
    assert judged(home, WORSE, **rule) is RetrainingState.NOT_BETTER
    listed = home.run("models", "list").stdout
    assert "stub/2 is right 1.8 points less often than stub/1 (0.6 to 3.0, p = 0.004)" in " ".join(
        listed.split()
    )
    active = model_rows.active(home.database, "stub")
    assert active is not None
    assert active.facts.ref.version == 1


@pytest.mark.parametrize(
    ("p", "photos", "version"), [(0.01, 600, 2), (0.003, 600, 1), (0.01, 613, 1), (0.0, 1, 1)]
)
def test_the_rule_promotes_what_is_surely_better(
    sqlite_home: Installation, p: float, photos: int, version: int
) -> None:
    """A version is promoted without a person only below the p-value, on enough photos."""
    home = sqlite_home
    closed_run(home, 2)
    write_stub_bundle(home.settings.models_dir, version=2)
    state = judged(home, BETTER, retrain_promote=p, retrain_promote_photos=photos)
    active = model_rows.active(home.database, "stub")
    assert active is not None
    assert (active.facts.ref.version, active.stage) == (version, ModelStage.ACTIVE)
    assert (state is RetrainingState.PROMOTED) is (version == 2)


def test_a_second_message_starts_no_second_training(
    sqlite_home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a process holds a retraining, its message does nothing."""
    closed_run(sqlite_home, 2)
    context, _ = sqlite_home.in_process()
    row_id = request(context.settings, context.db, "stub", "ann")
    assert retrainings.claim(context.db, row_id, 60) is not None
    monkeypatch.setattr(subprocess, "Popen", None)
    retraining.retrain(context, row_id)
    assert retrainings.require(context.db, row_id).requested_at <= utc_now()
