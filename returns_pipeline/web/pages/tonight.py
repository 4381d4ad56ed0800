"""The first page: how the last night went, and what is unusual about it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from returns_pipeline.languages import category, gettext, moment_text, ngettext, retold
from returns_pipeline.records.access import Role
from returns_pipeline.records.accuracy import RECENT_DAYS
from returns_pipeline.records.notices import StoredNotice
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.records.text import pathless
from returns_pipeline.report import charts, words
from returns_pipeline.report.words import counted
from returns_pipeline.store import deletion, images, outbox, retention, run_mixes, run_statistics, runs
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import accuracy, feeds
from returns_pipeline.usecases.causes import unusual_cause
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.intakes import alarms
from returns_pipeline.usecases.notice_texts import told
from returns_pipeline.usecases.schedule import PUNCTUAL, last_due, next_due
from returns_pipeline.web.dependencies import Pipeline, Web
from returns_pipeline.web.pages.open_returns import returns_to_check
from returns_pipeline.web.pages.page import Person, show
from returns_pipeline.web.pages.runs import warning
from returns_pipeline.web.queries import saved_views
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()

_TREND = 30
#: Runs of one night, of several intakes, are opened within this time.
_ONE_NIGHT = timedelta(hours=1)


class Share(NamedTuple):
    """One category: its photos, its share of the run, and its share of earlier runs of the same kind."""

    label: str
    images: int
    share: float
    usual: float | None


def _old_photos(db: Database) -> list[str]:
    """Return what the last pass over old photos did, in sentences; none before the first."""
    last = retention.last(db)
    return words.retention(last) if last else []


def _feeds(context: Context) -> list[str]:
    """Return a sentence for each feed whose addresses are not all fetched."""
    return [
        words.feed_line(each.name, each.counts)
        for each in feeds.status(context.settings, context.db)
        if each.counts.waiting or each.counts.refused
    ]


@router.get("/")
def tonight(request: Request, context: Pipeline, web: Web, person: Person) -> HTMLResponse:
    """Show the last night, open runs and the trend."""
    db, now = context.db, utc_now()
    work = images.open_work(db)
    newest = runs.latest(db, 3 * _TREND)
    last = _last(db, newest)
    is_last_night = last is not None and _is_of(last, last_due(context.settings, now))
    before = _before(newest, last) if last else []
    shares = _shares(db, last, before) if last else []
    closed = [run for run in newest if run.state is RunState.CLOSED and run.counts.seen][:_TREND]
    zone = ZoneInfo(context.settings.timezone)
    open_runs = [run for run in runs.unclosed(db) if run.kind is not RunKind.API]
    return show(
        request,
        "tonight.html",
        views=saved_views.listed(db, person),
        next_night=next_due(context.settings, now),
        faults=_faults(context, web, person, now),
        version=runs.version(db),
        open_runs=open_runs,
        night_runs=any(run.kind.is_night for run in open_runs),
        heading=_heading(last, is_last_night) if last else "",
        is_last_night=is_last_night,
        same_night=_same_night(newest, last) if last else [],
        coloured=warning(web, person, last) if last else "",
        today=now.astimezone(zone).date(),
        work=work,
        work_fault=pathless(retold(work.fault or "")) if person.may(Role.OPERATOR) else "",
        last=last,
        returns=returns_to_check(web),
        feeds=_feeds(context),
        undelivered=words.undelivered(outbox.counts(db)),
        old_photos=_old_photos(db) if person.may(Role.OPERATOR) else [],
        files_left=len(deletion.open_removals(db)) if person.may(Role.OPERATOR) else 0,
        unusual=_unusual(db, last) if last else None,
        changes=_changes(db, last) if last else [],
        accuracy=accuracy.of_run(db, now, last.id) if last else None,
        recent_days=RECENT_DAYS,
        reasons=[(code, words.fault(code), count) for code, count in run_statistics.reasons(db, last.id)]
        if last
        else [],
        shares=shares,
        usual_runs=len(before),
        shares_plot=charts.lying(
            gettext("Share of each category, with the usual share"),
            [charts.Bar(category(each.label), each.share, _in_words(each), each.usual) for each in shares],
            charts.share,
            charts.percent,
        ),
        trend=closed,
        trend_plot=_trend_plot(closed, zone),
    )


def _last(db: Database, newest: Sequence[RunSummary]) -> RunSummary | None:
    """Return the newest finished night; before the first night, the newest scan that found photos."""
    return runs.newest_night(db, finished=True) or next(
        (run for run in newest if run.kind.is_of_intake and run.counts.seen), None
    )


def _unusual(db: Database, last: RunSummary) -> StoredNotice | None:
    """Return the notice that a night is unusual; None if it is not."""
    found = outbox.find(db, unusual_cause(last.id))
    return told(found) if found else None


def _changes(db: Database, last: RunSummary) -> list[str]:
    """Return what of a night is unlike the nights before it, in sentences."""
    return [
        words.change(each.property, each.bin, each.share, each.usual)
        for each in run_mixes.changes(db, last.id)
    ]


def _faults(context: Context, web: Resources, person: Principal, now: datetime) -> list[str]:
    """Return what is wrong now. An operator also reads the cause and what to do about it."""
    found = alarms(context.settings, context.db, now)
    if person.may(Role.OPERATOR):
        return [*map(retold, web.obstacles()), *(pathless(each.shown) for each in found)]
    tell = gettext("Tell the operator of this system.")
    sentences = [pathless(each.shown_message) for each in found]
    if web.obstacles():
        sentences.insert(0, gettext("No photo can be classified now. New photos wait; none is lost."))
    return [f"{each} {tell}" for each in sentences]


def _is_of(last: RunSummary, due: datetime) -> bool:
    """Whether a run is the night that was due then, or a later one."""
    return last.kind.is_night and last.opened_at >= due - PUNCTUAL


def _heading(last: RunSummary, is_last_night: bool) -> str:
    """Return what the newest finished run is."""
    if not last.kind.is_night:
        return gettext("Newest photos")
    return gettext("Last night") if is_last_night else gettext("The newest finished night")


def _same_night(newest: Sequence[RunSummary], last: RunSummary) -> list[RunSummary]:
    """Return the other finished runs of a night: each intake has one of its own."""
    return [
        run
        for run in newest
        if run.kind.is_night
        and last.kind.is_night
        and run.id != last.id
        and run.state is RunState.CLOSED
        and abs(run.opened_at - last.opened_at) < _ONE_NIGHT
    ]


def _before(newest: Sequence[RunSummary], last: RunSummary) -> list[RunSummary]:
    """Return the finished runs before the last one: nights before a night, else runs of the intake."""
    return [
        run
        for run in newest
        if run.id < last.id
        and run.state is RunState.CLOSED
        and (run.kind.is_night if last.kind.is_night else run.kind.is_of_intake)
    ][:_TREND]


def _shares(db: Database, last: RunSummary, before: Sequence[RunSummary]) -> list[Share]:
    found = run_statistics.labels(db, [last.id, *(run.id for run in before)])
    counts = found[last.id]
    usual = Counter[str]()
    for run in before:
        usual.update(found[run.id])
    total, usual_total = sum(counts.values()), sum(usual.values())
    shares = [
        Share(
            label,
            counts.get(label, 0),
            counts.get(label, 0) / total if total else 0.0,
            usual[label] / usual_total if usual_total else None,
        )
        for label in {*counts, *usual}
    ]
    return sorted(shares, key=lambda each: (-each.images, each.label))


def _in_words(each: Share) -> str:
    photos = counted(each.images, "photo")
    if each.usual is None:
        return gettext(
            "{category}: {photos}, {share:.1%}",
            category=category(each.label),
            photos=photos,
            share=each.share,
        )
    return gettext(
        "{category}: {photos}, {share:.1%}, usually {usual:.1%}",
        category=category(each.label),
        photos=photos,
        share=each.share,
        usual=each.usual,
    )


def _trend_plot(closed: Sequence[RunSummary], zone: ZoneInfo) -> str:
    return charts.upright(
        ngettext(
            "Photos of the last run, those without a prediction in red",
            "Photos of the last {count} runs, those without a prediction in red",
            len(closed),
        ),
        [
            charts.Bar(
                str(run.id),
                run.counts.seen,
                gettext(
                    "Run {run}, {day}: {photos}",
                    run=run.id,
                    day=moment_text(run.opened_at, zone, "day"),
                    photos=counted(run.counts.seen, "photo"),
                ),
                None,
                run.counts.quarantined + run.counts.failed,
            )
            for run in reversed(closed)
        ],
        charts.number,
        gettext("Run"),
    )
