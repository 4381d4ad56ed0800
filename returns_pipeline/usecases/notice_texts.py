"""Sentences of notices that are made from their data when they are shown or sent.

Such a notice is stored by the request of a reviewer or by a worker, and read by people of other languages.
"""

from collections.abc import Sequence

from returns_pipeline.languages import category, gettext
from returns_pipeline.records.notices import Data, NoticeKind, StoredNotice
from returns_pipeline.records.returns import ReturnDecision
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.report import words
from returns_pipeline.report.words.retraining import retraining_sentence


def told(notice: StoredNotice) -> StoredNotice:
    """Return a notice with its text in the language that is spoken, if its data is enough for that."""
    # A notice of an earlier version does not have the shares.
    if notice.kind is NoticeKind.NIGHT_UNUSUAL and "shares" in notice.data:
        return notice._replace(text=unusual_text(notice.data))
    if notice.kind is NoticeKind.NIGHT_CHANGED:
        return notice._replace(text=changed_text(notice.data))
    if notice.kind is NoticeKind.IMAGE_CORRECTED:
        return notice._replace(text=_corrected_text(notice.data))
    if notice.kind is NoticeKind.RETURN_VERDICT:
        return notice._replace(text=_verdict_text(notice.data))
    if notice.kind is NoticeKind.RETURN_DECIDED:
        return notice._replace(text=_decision_text(notice.data))
    if notice.kind is NoticeKind.MODEL_RETRAINED:
        return notice._replace(text=retraining_sentence(notice.data))
    return notice


def _verdict_text(data: Data) -> str:
    about = {"number": data["return"], "verdict": words.VERDICTS.get(str(data["verdict"]), "")}
    # A notice of an earlier version does not have the numbers.
    earlier = data.get("earlier_returns")
    if isinstance(earlier, list) and earlier:
        numbers = ", ".join(map(str, earlier))
        return gettext(
            "Return {number}: {verdict}. The photo came in with: {earlier}.", **about, earlier=numbers
        )
    if data.get("found_product"):
        return gettext(
            "Return {number}: {verdict}. Expected: product {product}. The photo looks more like: {other}.",
            **about,
            product=data["product"],
            other=data["found_product"],
        )
    if not data["expected"] or not data["found"]:
        return gettext("Return {number}: {verdict}.", **about)
    return gettext(
        "Return {number}: {verdict}. Expected: {expected}. The photos show: {found}.",
        **about,
        expected=category(data["expected"]),
        found=words.outcome(category(data["found"])),
    )


def _decision_text(data: Data) -> str:
    about = {"who": data["by"], "number": data["return"]}
    said = str(data["decision"] or "")
    if said == ReturnDecision.ACCEPT:
        return gettext("{who} accepted return {number}.", **about)
    if said == ReturnDecision.REJECT:
        return gettext("{who} rejected return {number}.", **about)
    if said == ReturnDecision.ANOTHER_PHOTO:
        return gettext("{who} asks for another photo of return {number}.", **about)
    return gettext("{who} took back the decision on return {number}.", **about)


def _corrected_text(data: Data) -> str:
    outcome, predicted = str(data["outcome"]), data["predicted_label"]
    said = category(data["label"]) if outcome == ReviewOutcome.LABEL else words.outcome(outcome)
    about = {"who": data["by"], "image": data["image"], "name": data["name"], "said": said}
    if not predicted:
        return gettext("{who} corrected photo {image} ({name}): {said}; the model said nothing.", **about)
    return gettext(
        "{who} corrected photo {image} ({name}): {said}; the model said {predicted}.",
        **about,
        predicted=category(predicted),
    )


def unusual_text(data: Data) -> str:
    """Return the sentences of an unusual night."""
    sentences = [gettext("Run {run}:", run=data["run"])]
    changed = list(
        zip(*(_listed(data, key) for key in ("categories", "shares", "usual_shares")), strict=True)
    )
    if changed:
        named = ", ".join(
            gettext(
                "{category} {share:.1%} (usually {usual:.1%})",
                category=category(label),
                share=share,
                usual=usual,
            )
            for label, share, usual in changed
        )
        sentences.append(gettext("The mix of categories is unusual: {named}.", named=named))
    if data["unsure_share"] is not None:
        sentences.append(
            gettext(
                "The model was unsure about {share:.1%} of the photos, usually about {usual:.1%}.",
                share=data["unsure_share"],
                usual=data["usual_unsure_share"],
            )
        )
    return " ".join(sentences)


def changed_text(data: Data) -> str:
    """Return the sentences of a night that is unlike the nights before it."""
    sentences = [gettext("Run {run}: the photos are unlike those of the nights before.", run=data["run"])]
    parts = (_listed(data, key) for key in ("properties", "bins", "shares", "usual_shares"))
    sentences += [
        words.change(str(name), str(key), float(str(share)), float(str(usual)))
        for name, key, share, usual in zip(*parts, strict=True)
    ]
    return " ".join(sentences)


def _listed(data: Data, key: str) -> Sequence[object]:
    found = data[key]
    return found if isinstance(found, list) else []
