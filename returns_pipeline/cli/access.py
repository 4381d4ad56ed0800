"""`users` and `tokens`: access to the web for people and for programs."""

from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database
from returns_pipeline.cli.options import Json
from returns_pipeline.records.access import LEAST_PASSWORD, LOCAL, MOST_NAME, Role, Token, User, is_valid_name

if TYPE_CHECKING:
    from collections.abc import Sequence

users_app = typer.Typer(help="People who may use the web page.", no_args_is_help=True)
tokens_app = typer.Typer(help="Tokens of programs that use the REST interface.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME")]
RoleOption = Annotated[
    Role,
    typer.Option(
        help="viewer: read only; reviewer: send and review photos too; operator: scan, retry and choose the "
        "model too; admin: manage users and delete photos too."
    ),
]
Password = Annotated[
    str,
    typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, help="Prompted for if left out."),
]


@users_app.command("add")
def add_user(name: Name, password: Password, role: RoleOption = Role.REVIEWER) -> None:
    """Add a user."""
    from returns_pipeline.report.words import with_article
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person
    from returns_pipeline.web.security.access import hash_password

    password_hash = hash_password(_require_long_password(password))
    access.add_user(open_database(), _require_valid_name(name), password_hash, role, by=person())
    console.print_line(f"{name} is {with_article(role)} and can log in.")


@users_app.command("password")
def change_password(name: Name, password: Password) -> None:
    """Change a user's password; all sessions of the user end."""
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person
    from returns_pipeline.web.security.access import hash_password

    password_hash = hash_password(_require_long_password(password))
    access.change_user(open_database(), name, password_hash=password_hash, by=person())
    console.print_line(f"The password of {name} is changed.")


@users_app.command("role")
def change_role(name: Name, role: Annotated[Role, typer.Argument()]) -> None:
    """Change a user's role; it takes effect immediately."""
    from returns_pipeline.report.words import with_article
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person

    access.change_user(open_database(), name, role=role, by=person())
    console.print_line(f"{name} is {with_article(role)}.")


@users_app.command("disable")
def disable_user(name: Name) -> None:
    """Forbid a user to log in; all sessions of the user end. The user's reviews stay."""
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person

    access.change_user(open_database(), name, is_disabled=True, by=person())
    console.print_line(f"{name} cannot log in any more. To undo: `returns-pipeline users enable {name}`.")


@users_app.command("enable")
def enable_user(name: Name) -> None:
    """Let a user log in again."""
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person

    access.change_user(open_database(), name, is_disabled=False, by=person())
    console.print_line(f"{name} can log in.")


@users_app.command("list")
def list_users(as_json: Json = False) -> None:
    """Show every user."""
    from returns_pipeline.store import access

    _show(access.all_users(open_database()), "disabled", as_json)


@tokens_app.command("add")
def add_token(name: Name, role: RoleOption = Role.REVIEWER) -> None:
    """Create a token for a program and print it; it is not shown again."""
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person
    from returns_pipeline.web.security.access import digest, new_token

    token = new_token()
    access.add_token(open_database(), _require_valid_name(name), digest(token), role, by=person())
    console.print_line(token)
    console.print_note("Keep it: it is not shown again. Send it as `Authorization: Bearer TOKEN`.")


@tokens_app.command("revoke")
def revoke_token(name: Name) -> None:
    """Revoke a token; it takes effect immediately."""
    from returns_pipeline.store import access
    from returns_pipeline.usecases.models import person

    access.revoke_token(open_database(), name, by=person())
    console.print_line(f"The token {name} is revoked.")


@tokens_app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """Show the names of all tokens. The tokens themselves are not stored."""
    from returns_pipeline.store import access

    _show(access.all_tokens(open_database()), "revoked", as_json)


def _require_valid_name(name: str) -> str:
    if not is_valid_name(name):
        raise typer.BadParameter(
            f"{name!r} is not a valid name: 1 to {MOST_NAME} printable characters, not {LOCAL!r}."
        )
    return name


def _require_long_password(password: str) -> str:
    if len(password) < LEAST_PASSWORD:
        raise typer.BadParameter(f"A password needs at least {LEAST_PASSWORD} characters.")
    return password


def _show(found: "Sequence[User] | Sequence[Token]", ended: str, as_json: bool) -> None:
    """Print users or tokens; `ended` is the word for one that is not valid any more."""
    from returns_pipeline.terminal import Terminal, framed_table

    if as_json:
        console.print_json([each._asdict() for each in found], default=str)
        return
    if not found:
        console.print_line("There is none yet.")
        return
    table = framed_table()
    table.add_column("name", overflow="fold")
    for heading in ("role", "since", "state"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        state = f"{ended} {each.ended_at:%Y-%m-%d}" if each.ended_at else "active"
        table.add_row(each.name, each.role, f"{each.created_at:%Y-%m-%d}", state)
    Terminal().print_table(table)
