"""`returns-pipeline models`: which version of a model works tonight."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import evaluate

if TYPE_CHECKING:
    from returns_pipeline.settings import Settings
    from returns_pipeline.store.database import Database

app = typer.Typer(help="Which version of a model works tonight.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
OneVersion = Annotated[str, typer.Argument(metavar="NAME/VERSION")]
Who = Annotated[str, typer.Option(help="Who decided it. Default: USER@HOST.")]
Reason = Annotated[str, typer.Option(help="Why, for those who read the history.")]


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """Show every version, on disk and in the database."""
    from returns_pipeline.cli import model_output
    from returns_pipeline.usecases import models

    found = models.versions(*_opened())
    if as_json:
        _print_json([model_output.version_as_dict(version) for version in found])
    else:
        model_output.print_versions(found)


@app.command()
def show(
    model: Annotated[
        str, typer.Argument(metavar="NAME[/VERSION]", help="NAME: the version that a run would use now.")
    ],
    as_json: Json = False,
) -> None:
    """Show everything about one version: labels, data, metrics and what was done to it."""
    from returns_pipeline.cli import model_output
    from returns_pipeline.store.models import history
    from returns_pipeline.usecases import models

    settings, database = _opened()
    version = models.show(settings, database, model)
    changes = [
        change
        for change in history(database, version.ref.name)
        if version.ref.version in (change.before, change.after)
    ]
    if as_json:
        _print_json(
            {
                **model_output.version_as_dict(version),
                **model_output.bundle_as_dict(version),
                "history": [model_output.change_as_dict(change) for change in changes],
            }
        )
    else:
        model_output.print_version(version, changes)


@app.command()
def register(
    path: Annotated[Path, typer.Argument(help="Folder of a bundle, anywhere.")],
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: the bundle's own.")] = None,
    who: Who = "",
) -> None:
    """Copy a bundle among the models, as a candidate. It is not used until it is promoted."""
    from returns_pipeline.usecases import models

    settings, database = _opened()
    ref, is_new = models.register(settings, database, path, name, who or models.person())
    if is_new:
        typer.echo(f"{ref} is registered as a candidate; `returns-pipeline models promote {ref}` uses it.")
    else:
        typer.echo(f"{ref} is this very bundle and was registered before; nothing was done.")


@app.command()
def promote(
    model: OneVersion,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it is measurably worse; never if it is broken.")
    ] = False,
    who: Who = "",
    reason: Reason = "",
) -> None:
    """Let new runs use a version, after looking whether it is sound and not worse. No worker restarts."""
    from returns_pipeline.usecases import models

    settings, database = _opened()
    done = models.promote(settings, database, model, who=who or models.person(), reason=reason, force=force)
    instead = f" instead of {done.replaced}" if done.replaced not in (None, done.ref.version) else ""
    typer.echo(f"{done.ref} is active{instead}: new runs use it. {done.remark}")


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")], who: Who = "", reason: Reason = ""
) -> None:
    """Let new runs use the version again that was active before the present one."""
    from returns_pipeline.usecases import models

    settings, database = _opened()
    done = models.rollback(settings, database, name, who=who or models.person(), reason=reason)
    typer.echo(f"{done.ref} is active again instead of {done.replaced}: new runs use it.")


@app.command()
def shadow(
    model: Annotated[str, typer.Argument(metavar="NAME/VERSION", help="With --off, NAME is enough.")],
    share: Annotated[float, typer.Option(help="Part of each night's images, 0 to 1.")] = 0.1,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    who: Who = "",
) -> None:
    """Let a candidate answer for a part of each night too; reports keep the active version's answers."""
    from returns_pipeline.usecases import models

    settings, database = _opened()
    who = who or models.person()
    if off:
        typer.echo(f"{models.end_shadow(database, model, who)} is no shadow any more.")
        return
    ref = models.shadow(settings, database, model, share, who)
    typer.echo(
        f"{ref} answers for {share:.0%} of each night's images beside the active version; "
        f"`returns-pipeline models compare {ref} --shadow` shows where they differ."
    )


@app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="NAME, NAME/VERSION, or a bundle's folder; a shadow with --shadow."),
    ],
    second: Annotated[str | None, typer.Argument(metavar="B", help="The model to compare it with.")] = None,
    data: evaluate.OptionalData = None,
    of_shadow: Annotated[
        bool, typer.Option("--shadow", help="Compare shadow A with the answers of the nights it went along.")
    ] = False,
    mapping: evaluate.Mapping = None,
    limit: evaluate.Limit = None,
    as_json: Json = False,
) -> None:
    """Compare two models on the same labelled photos, or a shadow with the version that worked."""
    if of_shadow:
        _compare_shadow(first, as_json=as_json)
    elif second is None or data is None:
        raise typer.BadParameter("say two models and a folder of labelled photos, or one model and --shadow.")
    else:
        evaluate.compare_models(first, second, data, mapping, limit, as_json=as_json)


def _compare_shadow(model: str, *, as_json: bool) -> None:
    from returns_pipeline.cli import model_output
    from returns_pipeline.report.changes import count_changes
    from returns_pipeline.store.models import shadow_predictions
    from returns_pipeline.usecases import models

    settings, database = _opened()
    pairs = shadow_predictions(database, models.show(settings, database, model).ref)
    if as_json:
        _print_json(model_output.changes_as_dict(count_changes(pairs)))
    else:
        model_output.print_answers(count_changes(pairs, model_output.MOST_FILES))


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="Name of a model. Default: every one.")] = None,
    as_json: Json = False,
) -> None:
    """Show what was done to the models, when and by whom."""
    from returns_pipeline.cli import model_output
    from returns_pipeline.store.models import history

    _, database = _opened()
    changes = history(database, name)
    if as_json:
        _print_json([model_output.change_as_dict(change) for change in changes])
    else:
        model_output.print_changes(changes)


def _opened() -> "tuple[Settings, Database]":
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database

    settings = load_settings()
    database = Database(settings.database_url)
    database.require_current()
    return settings, database


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))
