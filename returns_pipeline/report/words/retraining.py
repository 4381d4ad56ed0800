"""Words for retrainings: how far each is, and how a new version compares with the active one."""

from collections.abc import Mapping

from returns_pipeline.languages import N_, Words, gettext, retold
from returns_pipeline.records.retraining import Retraining, RetrainingState, RetrainingStep

_STEPS = Words(
    {
        RetrainingStep.COLLECTING: N_("collects photos"),
        RetrainingStep.TRAINING: N_("trains"),
        RetrainingStep.QUANTIZING: N_("makes the faster int8 version"),
        RetrainingStep.COMPARING: N_("compares the versions"),
    }
)

_LEAST_P = 0.001


def retraining_data(row: Retraining) -> dict[str, str | int | float | None]:
    """Return the plain values of a retraining, for `retraining_sentence`, for programs and for notices."""
    judgement = row.judgement
    return {
        "model": row.name,
        "state": str(row.state),
        "step": None if row.step is None else str(row.step),
        "base": str(row.base_ref),
        "candidate": None if row.candidate is None else str(row.candidate),
        "learned": row.learned,
        "photos": judgement.photos if judgement else None,
        "reviewed": judgement.reviewed if judgement else None,
        "difference": judgement.difference if judgement else None,
        "low": judgement.low if judgement else None,
        "high": judgement.high if judgement else None,
        "p": judgement.p if judgement else None,
        "fault": row.fault,
    }


def retraining_sentence(data: Mapping[str, object]) -> str:
    """Return what is known about a retraining, from the values of `retraining_data`."""
    state = RetrainingState(str(data["state"]))
    if state is RetrainingState.WAITING:
        return gettext("{model} will be retrained: it waits for the worker that trains.", **data)
    if state is RetrainingState.RUNNING:
        doing = _STEPS.get(str(data["step"]), "")
        return gettext("{model} is being retrained. Now: {doing}.", **{**data, "doing": doing})
    if state is RetrainingState.FAILED:
        reason = retold(str(data["fault"] or ""))
        return gettext("{model} could not be retrained: {reason}", **{**data, "reason": reason})
    if data["difference"] is None:
        return ""
    return _compared(state, data)


def _compared(state: RetrainingState, data: Mapping[str, object]) -> str:
    difference, low, high, p = (float(str(data[name])) for name in ("difference", "low", "high", "p"))
    # The interval is that of the difference in the direction that the sentence names.
    turned = difference < 0
    about = {
        **data,
        "points": abs(difference) * 100,
        "from": (-high if turned else low) * 100,
        "to": (-low if turned else high) * 100,
        "chance": gettext("p = {p:.3f}", p=p) if p >= _LEAST_P else gettext("p < 0.001"),
    }
    if state is RetrainingState.PROMOTED:
        return gettext(
            "{candidate} is right {points:.1f} points more often than {base} ({from:.1f} to {to:.1f}, "
            "{chance}) on {photos:,} photos that neither was trained on, {reviewed:,} of them reviewed. It"
            " was promoted.",
            **about,
        )
    if state is RetrainingState.PROPOSED:
        return gettext(
            "{candidate} is right {points:.1f} points more often than {base} ({from:.1f} to {to:.1f}, "
            "{chance}) on {photos:,} photos that neither was trained on, {reviewed:,} of them reviewed. "
            "Promote it?",
            **about,
        )
    if turned:
        return gettext(
            "{candidate} is right {points:.1f} points less often than {base} ({from:.1f} to {to:.1f}, "
            "{chance}) on {photos:,} photos that neither was trained on, {reviewed:,} of them reviewed. It"
            " stays a candidate.",
            **about,
        )
    return gettext(
        "{candidate} is right as often as {base} on {photos:,} photos that neither was trained on, "
        "{reviewed:,} of them reviewed. It stays a candidate.",
        **about,
    )
