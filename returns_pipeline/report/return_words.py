"""Codes of returns as words for people: filters, decisions, photos of a return, its history."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from returns_pipeline.languages import N_, Words, date_text, gettext, ngettext
from returns_pipeline.records.return_lists import Decided, VerdictGroup
from returns_pipeline.records.returns import LinkSource, Return, ReturnAction, ReturnDecision, ReturnEvent
from returns_pipeline.records.verdicts import ProductFacts, Verdict, VerdictKind, VerdictReason
from returns_pipeline.report import words

#: Verdicts that a list of returns is filtered by together; one that is missing has no verdict yet.
VERDICT_GROUPS = Words(
    {
        VerdictGroup.TO_CHECK: N_("everything to check"),
        VerdictGroup.EXPECTED: N_("all that were announced"),
        VerdictGroup.ARRIVED: N_("all with a photo"),
        VerdictGroup.WAITING: N_("waiting for photos"),
    }
)

#: What a person decided about a return, or may decide.
RETURN_DECISIONS = Words(
    {
        ReturnDecision.ACCEPT: N_("accepted"),
        ReturnDecision.REJECT: N_("rejected"),
        ReturnDecision.ANOTHER_PHOTO: N_("another photo is needed"),
        ReturnDecision.UNKNOWN: N_("unknown"),
    }
)

#: Whether a return is decided.
DECIDED = Words({Decided.OPEN: N_("not decided"), Decided.DECIDED: N_("decided")})

#: How it is known which return a photo belongs to.
LINK_SOURCES = Words(
    {
        LinkSource.GIVEN: N_("the number was sent with it"),
        LinkSource.CODE: N_("it shows the code of the return"),
        LinkSource.THE_SLIP: N_("it shows the slip of the return"),
        LinkSource.SLIP: N_("it follows the slip of the return"),
        LinkSource.FOLDER: N_("its folder has the number of the return"),
        LinkSource.FILE_NAME: N_("its file name has the number of the return"),
        LinkSource.UNKNOWN: N_("unknown"),
    }
)

#: The steps of a return's history. `{detail}` is a verdict or a decision, in words; `{image}` and `{earlier}`
#: are ids of photos.
RETURN_STEPS = Words(
    {
        ReturnAction.IMPORTED: N_("The return was announced after its first photo."),
        ReturnAction.CHANGED: N_("The announcement was changed."),
        ReturnAction.PHOTO: N_("A photo came in."),
        ReturnAction.VERDICT: N_("Result of the check: {detail}."),
        ReturnAction.DECISION: N_("Decision: {detail}."),
        ReturnAction.CONFIRMED: N_("A person saw that photo {image} is the same as photo {earlier}."),
        ReturnAction.DISMISSED: N_("A person saw that photo {image} and photo {earlier} are different."),
        ReturnAction.MATCH_REOPENED: N_(
            "The decision on whether photo {image} is the same as photo {earlier} was taken back."
        ),
        ReturnAction.CUSTOMER_DELETED: N_("The data of the customer were deleted."),
        ReturnAction.UNKNOWN: N_("unknown"),
    }
)

#: The names in a history that stand for this program.
_PROGRAM = frozenset({"", "system"})

#: The badge of each verdict.
BADGES = {
    VerdictKind.MATCH: "sure",
    VerdictKind.MISMATCH: "failed",
    VerdictKind.REUSED_PHOTO: "failed",
    VerdictKind.UNEXPECTED: "unsure",
    VerdictKind.UNSURE: "unsure",
    VerdictKind.UNREADABLE: "unusable",
}


def badge(verdict: str | None) -> str:
    """Return the kind of the badge of a verdict."""
    return BADGES.get(VerdictKind(verdict), "waiting") if verdict else "waiting"


def verdict_of(item: Return) -> Verdict | None:
    """Return the verdict that a return has; None while it waits for its photos."""
    if item.verdict is None:
        return None
    detail = item.verdict_detail or {}
    return Verdict(
        VerdictKind(item.verdict),
        VerdictReason(item.verdict_reason or ""),
        item.sureness,
        detail.get("expected", ""),
        detail.get("found", ""),
        detail.get("photos", 0),
        detail.get("measured", True),
        tuple(detail.get("earlier", ())),
        _product(detail.get("product")),
    )


def _product(detail: Mapping[str, Any] | None) -> ProductFacts | None:
    """Return the stored comparison with a product; None for one that another version has written."""
    try:
        return ProductFacts(**detail) if detail else None
    except TypeError:
        return None


def sentences(item: Return) -> list[str]:
    """Return why a return has its verdict, in sentences; none while it waits for its photos."""
    found = verdict_of(item)
    return words.verdict(found) if found else []


def several_days(days: Sequence[date]) -> str:
    """Return that the photos of a return came in on several days, which are sorted."""
    return gettext(
        "Photos of this return came in on {count} days: {days}. Two parcels may have the same number.",
        count=len(days),
        days=", ".join(map(date_text, days)),
    )


def counted(total: int, more: bool = False) -> str:
    """Return a number of returns."""
    if more:
        return ngettext("more than {count} return", "more than {count} returns", total)
    return ngettext("{count} return", "{count} returns", total)


def verdict_name(code: str | None) -> str:
    """Return a verdict in a few words; without one, that the return waits for its photos."""
    return words.VERDICTS.get(code, code) if code else VERDICT_GROUPS[VerdictGroup.WAITING]


def return_decision(code: str | None) -> str:
    """Return a decision in words; empty without one."""
    return RETURN_DECISIONS.get(code, code) if code else ""


def doer(event: ReturnEvent) -> str:
    """Return who did a step: a person's name, or the program."""
    return gettext("the program") if event.who in _PROGRAM else event.who


def return_step(event: ReturnEvent) -> str:
    """Return a step of a return's history as a sentence."""
    detail = event.detail
    if event.action is ReturnAction.DECISION and not detail.get("decision"):
        return gettext("The decision was taken back.")
    told = (
        verdict_name(detail.get("verdict"))
        if event.action is ReturnAction.VERDICT
        else return_decision(detail.get("decision"))
    )
    pair = {name: detail.get(name, "?") for name in ("image", "earlier")}
    return RETURN_STEPS[event.action].format(detail=told, **pair)
