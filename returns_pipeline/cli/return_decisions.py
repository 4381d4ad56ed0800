"""`returns-pipeline returns show` and `returns decide`: one return, and what a person decides about it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli.options import MOST_ID, Json, Who

if TYPE_CHECKING:
    from datetime import datetime

    from returns_pipeline.records.returns import Return, ReturnEvent
    from returns_pipeline.store.database import Database

Number = Annotated[str, typer.Argument(help="The return's number.", metavar="NUMBER")]


def show(number: Number, as_json: Json = False) -> None:
    """Show a return: what was announced, its verdict, its photos, decisions and history."""
    from returns_pipeline.cli.installation import open_database

    database = open_database()
    _print(database, _existing(database, number), as_json)


def decide(
    number: Number,
    decision: Annotated[
        str,
        typer.Argument(
            help="accept, reject, another_photo, or open, which takes a decision back.", metavar="DECISION"
        ),
    ],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    replaces: Annotated[
        int | None,
        typer.Option(min=0, max=MOST_ID, help="Version of another person's decision that this one replaces."),
    ] = None,
    who: Who = "",
    as_json: Json = False,
) -> None:
    """Decide a return. Another person's decision is only replaced if --replaces names its version."""
    import getpass
    import socket

    from returns_pipeline.cli.installation import open_database
    from returns_pipeline.usecases import return_decisions

    database = open_database()
    person = who or f"{getpass.getuser()}@{socket.gethostname()}"
    found = return_decisions.decide(database, number, decision, note, person, replaces)
    _print(database, found, as_json)


def _existing(database: "Database", number: str) -> "Return":
    from returns_pipeline.errors import NotFoundError
    from returns_pipeline.records.returns import return_number
    from returns_pipeline.store import returns

    found = returns.find(database, return_number(number) or number)
    if found is None:
        raise NotFoundError("There is no return {number}.", number=number)
    return found


def _print(database: "Database", found: "Return", as_json: bool) -> None:
    from returns_pipeline.cli.console import print_json, print_line
    from returns_pipeline.report import return_words, words
    from returns_pipeline.store import return_decisions, return_links, returns

    photos = return_links.photos_of_return(database, found.id)
    events = returns.history(database, found.id)
    version = return_decisions.version(database, found.id)
    sentences = return_words.sentences(found)
    if as_json:
        about = {name: _plain(value) for name, value in found._asdict().items() if name != "id"}
        print_json(
            {
                **about,
                "why": " ".join(sentences),
                "decision_version": version,
                "photos": [
                    {
                        "image": photo.id,
                        "name": photo.name,
                        "state": photo.state,
                        "source": photo.source,
                        "conflict": photo.conflict,
                        "label": photo.final_label,
                    }
                    for photo in photos
                ],
                "history": [_event(event) for event in events],
            }
        )
        return
    expected = found.expected.name if found.expected else "nothing said"
    announced = f"{found.announced_on:%Y-%m-%d}" if found.announced_on else "not announced"
    lines = {
        "Return": found.number,
        "Order": found.order_number or "",
        "Announced": announced,
        "Expected": expected,
        "Verdict": " ".join([words.VERDICTS.get(found.verdict or "", "none yet") + ".", *sentences]),
        "Decision": _decision(found, version),
        "Note": found.decision_note or "",
    }
    for name, line in lines.items():
        if line:
            print_line(f"{name:<10} {line}")
    for photo in photos:
        against = f", but {photo.conflict}" if photo.conflict else ""
        label = photo.final_label or photo.state
        print_line(f"{'Photo':<10} {photo.id} {photo.name}: {label} ({photo.source}{against})")
    for event in events:
        print_line(f"{event.at:%Y-%m-%d %H:%M} {event.who}: {event.action}")


def _decision(found: "Return", version: int) -> str:
    if found.decision is None or found.decided_at is None:
        return "none yet"
    said = found.decision.replace("_", " ")
    return f"{said}, by {found.decided_by} on {found.decided_at:%Y-%m-%d %H:%M} UTC (version {version})"


def _event(event: "ReturnEvent") -> dict[str, Any]:
    return {"at": event.at.isoformat(), "who": event.who, "action": event.action.value, **event.detail}


def _plain(value: "datetime | object") -> object:
    """Return a moment or a day as ISO 8601, another value as it is."""
    return value.isoformat() if hasattr(value, "isoformat") else value
