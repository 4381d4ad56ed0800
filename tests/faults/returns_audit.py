"""What must be true of photos, returns and verdicts after any fault."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.number_patterns import NumberPattern
from returns_pipeline.records.returns import LinkSource, ReturnAction
from returns_pipeline.records.verdicts import VerdictKind
from returns_pipeline.settings import Settings
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import images, return_events, returns, returns_to_judge, runs

#: Ten photos of a night are one return: `image_12` is that of `image_120.png` to `image_129.png`.
FILE_PATTERN = r"^([a-z]+_[0-9]*)[0-9]\."
#: Returns that are announced before the night, and what all of them should contain.
ANNOUNCED = ("image_", *(f"image_{number}" for number in range(1, 20)))
EXPECTED = "dark"
#: Photos of one label from which the stub model is sure of a return.
_ENOUGH = 5


def audit_returns(db: Database, settings: Settings) -> list[str]:
    """Return what is wrong: photos without their return, or told twice; verdicts that are late or wrong."""
    with db.read() as connection:
        photos = connection.execute(
            sa.select(images, returns.c.number)
            .join_from(images, runs, runs.c.id == images.c.run_id)
            .join(returns, returns.c.id == images.c.return_id, isouter=True)
            .where(images.c.deleted_at.is_(None), images.c.state != "pending", runs.c.kind != "adhoc")
        ).all()
        stored = connection.execute(sa.select(returns)).all()
        events = connection.execute(sa.select(return_events).order_by(return_events.c.id)).all()
        waiting = connection.execute(sa.select(sa.func.count()).select_from(returns_to_judge)).scalar_one()
    wrong = [f"{waiting} returns wait for their verdict"] if waiting else []
    came = (event.detail["images"] for event in events if event.action == ReturnAction.PHOTO)
    told = Counter(chain.from_iterable(came))
    photos_of, events_of = defaultdict(list), defaultdict(list)
    for photo in photos:
        link, said = (photo.number, photo.return_source), said_number(settings, photo.source_path)
        if link != said:
            wrong.append(f"image {photo.id} belongs to {link}, not to {said}")
        if told[photo.id] != (photo.return_id is not None):
            wrong.append(f"the histories of returns have image {photo.id} {told[photo.id]} times")
        photos_of[photo.return_id].append(photo)
    for event in events:
        events_of[event.return_id].append(event)
    for row in stored:
        wrong += _of_verdict(row, photos_of[row.id], events_of[row.id])
    return wrong


def said_number(settings: Settings, path: str) -> tuple[str | None, str | None]:
    """Return the number that a path says by the patterns of the settings, and how it is known."""
    *_, folder, name = path.split("/")
    for pattern, text, source in (
        (settings.folder_pattern, folder, LinkSource.FOLDER),
        (settings.file_pattern, name, LinkSource.FILE_NAME),
    ):
        if pattern and (number := NumberPattern(pattern).find(text)):
            return number, source.value
    return None, None


def _of_verdict(row: Any, photos: Sequence[Any], events: Sequence[Any]) -> Iterator[str]:
    """Yield what is wrong with the verdict of one return."""
    given = [event.detail for event in events if event.action == ReturnAction.VERDICT]
    labels = [photo.final_label for photo in photos if photo.state == "classified"]
    verdict, judged = _right_verdict(row, set(labels), len(photos)), len(labels)
    if verdict in {VerdictKind.UNEXPECTED, VerdictKind.UNREADABLE}:
        judged = len(photos)
    if row.verdict != verdict:
        yield f"return {row.number} is {row.verdict} and should be {verdict}"
    elif verdict is not None and row.verdict_detail["photos"] != judged:
        yield f"return {row.number} was judged with {row.verdict_detail['photos']} of {judged} photos"
    if row.verdict != (given[-1]["verdict"] if given else None):
        yield f"the history of return {row.number} does not end with its verdict"
    if any(one | {"before": ""} == other | {"before": ""} for one, other in pairwise(given)):
        yield f"return {row.number} has a verdict twice"


def _right_verdict(row: Any, labels: set[str], photos: int) -> VerdictKind | None:
    """Return the verdict that the facts demand.

    Photos with different labels may have any, but have one. A few photos may leave the model unsure.
    """
    if not photos:
        return None
    if row.announced_on is None:
        return VerdictKind.UNEXPECTED
    if not labels:
        return VerdictKind.UNREADABLE
    if len(labels) > 1 and row.verdict is not None:
        return VerdictKind(row.verdict)
    if row.verdict == VerdictKind.UNSURE and photos < _ENOUGH:
        return VerdictKind.UNSURE
    return VerdictKind.MATCH if EXPECTED in labels else VerdictKind.MISMATCH
