"""Who may use the web: `users` for people, `tokens` for machines."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.records.access import Access, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.store.database import Database

users_app = typer.Typer(help="People who may use the web page.", no_args_is_help=True)
tokens_app = typer.Typer(help="Tokens of machines that use the REST interface.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME")]
RoleOption = Annotated[
    Role, typer.Option(help="viewer: look; reviewer: send and review photos too; operator: everything.")
]
Password = Annotated[
    str,
    typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, help="Asked for when left out."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_LEAST_LETTERS = 8


@users_app.command("add")
def add_user(name: Name, password: Password, role: RoleOption = Role.REVIEWER) -> None:
    """Add a user."""
    from returns_pipeline.store import access
    from returns_pipeline.web.security.access import hash_password

    access.add_user(_database(), _sound(name), hash_password(_strong(password)), role)
    typer.echo(f"{name} is a {role} and can log in.")


@users_app.command("password")
def change_password(name: Name, password: Password) -> None:
    """Give a user another password; all sessions of the user end."""
    from returns_pipeline.store import access
    from returns_pipeline.web.security.access import hash_password

    access.change_user(_database(), name, password_hash=hash_password(_strong(password)))
    typer.echo(f"{name} has another password.")


@users_app.command("role")
def change_role(name: Name, role: Annotated[Role, typer.Argument()]) -> None:
    """Give a user another role, at once."""
    from returns_pipeline.store import access

    access.change_user(_database(), name, role=role)
    typer.echo(f"{name} is a {role}.")


@users_app.command("disable")
def disable_user(name: Name) -> None:
    """Let a user log in no more; all sessions of the user end. What the user reviewed stays."""
    from returns_pipeline.store import access

    access.change_user(_database(), name, is_disabled=True)
    typer.echo(f"{name} cannot log in any more. `returns-pipeline users enable {name}` takes it back.")


@users_app.command("enable")
def enable_user(name: Name) -> None:
    """Let a user log in again."""
    from returns_pipeline.store import access

    access.change_user(_database(), name, is_disabled=False)
    typer.echo(f"{name} can log in.")


@users_app.command("list")
def list_users(as_json: Json = False) -> None:
    """Show every user."""
    from returns_pipeline.store import access

    _show(access.all_users(_database()), "disabled", as_json)


@tokens_app.command("add")
def add_token(name: Name, role: RoleOption = Role.REVIEWER) -> None:
    """Make a token for a machine and print it, this once."""
    from returns_pipeline.store import access
    from returns_pipeline.web.security.access import digest, new_token

    token = new_token()
    access.add_token(_database(), _sound(name), digest(token), role)
    typer.echo(token)
    typer.echo("Keep it: it is shown this once. Send it as `Authorization: Bearer TOKEN`.", err=True)


@tokens_app.command("revoke")
def revoke_token(name: Name) -> None:
    """Let a token open nothing any more, at once."""
    from returns_pipeline.store import access

    access.revoke_token(_database(), name)
    typer.echo(f"The token {name} opens nothing any more.")


@tokens_app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """Show every token's name; the tokens themselves are kept nowhere."""
    from returns_pipeline.store import access

    _show(access.all_tokens(_database()), "revoked", as_json)


def _database() -> "Database":
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database

    database = Database(load_settings().database_url)
    database.require_current()
    return database


def _sound(name: str) -> str:
    from returns_pipeline.web.security.access import LOCAL

    if name == LOCAL or not name.isprintable() or not 0 < len(name.strip()) <= 100:
        raise typer.BadParameter(f"{name!r} cannot be a name: 1 to 100 letters, not {LOCAL!r}.")
    return name


def _strong(password: str) -> str:
    if len(password) < _LEAST_LETTERS:
        raise typer.BadParameter(f"A password has at least {_LEAST_LETTERS} letters.")
    return password


def _show(found: "Sequence[Access]", ended: str, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    if as_json:
        typer.echo(json.dumps([each._asdict() for each in found], indent=2, default=str))
        return
    table = Table("name", "role", "since", "state")
    for each in found:
        state = f"{ended} {each.ended_at:%Y-%m-%d}" if each.ended_at else "works"
        table.add_row(each.name, each.role, f"{each.created_at:%Y-%m-%d}", state)
    Console().print(table)
