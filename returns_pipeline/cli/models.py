"""`returns-pipeline models`: the versions of each model, and which one new runs use."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console, evaluate, retraining, train_options, train_steps
from returns_pipeline.cli.compare import compare_models
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import Json, Reason, Who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.cli.output.training import TrainingProgress
    from returns_pipeline.training.labelled.parts import TrainingData

app = typer.Typer(help="Versions of the models, and which one new runs use.", no_args_is_help=True)

app.command()(retraining.retrain)
app.command()(retraining.proposals)

OneVersion = Annotated[str, typer.Argument(metavar="NAME/VERSION")]
TrainedOn = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the photos that the model was trained on, as `train` takes it."),
]
UseAnyway = Annotated[bool, typer.Option("--force", help="Use the photos even if checks find faults.")]


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """Show every version, on disk and in the database."""
    from returns_pipeline.cli.output import models as output
    from returns_pipeline.report.words.retraining import retraining_data, retraining_sentence
    from returns_pipeline.usecases import models, proposals

    settings, database = open_installation()
    found = models.versions(settings, database)
    if as_json:
        console.print_json([output.version_as_dict(version) for version in found])
        return
    output.print_versions(found)
    for row in proposals.shown(settings, database):
        console.print_line(retraining_sentence(retraining_data(row)))


@app.command()
def show(
    model: Annotated[
        str, typer.Argument(metavar="NAME[/VERSION]", help="NAME: the version that a run would use now.")
    ],
    as_json: Json = False,
) -> None:
    """Show one version: labels, data, metrics and history."""
    from returns_pipeline.cli.output import models as output
    from returns_pipeline.store.models import history
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    version = models.show(settings, database, model)
    changes = [
        change
        for change in history(database, version.ref.name)
        if version.ref.version in (change.before, change.after)
    ]
    if as_json:
        console.print_json(
            {
                **output.version_as_dict(version),
                **output.bundle_as_dict(version),
                "history": [output.change_as_dict(change) for change in changes],
            }
        )
    else:
        output.print_version(version, changes)


@app.command()
def accuracy(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    as_json: Json = False,
) -> None:
    """Show how often each version is right, estimated from reviews: now, by category and week by week."""
    from zoneinfo import ZoneInfo

    from returns_pipeline.cli.output import accuracy as output
    from returns_pipeline.errors import NotFoundError
    from returns_pipeline.store.database import utc_now
    from returns_pipeline.usecases import accuracy as estimates
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    if not models.versions(settings, database, name):
        raise NotFoundError("There is no model {model}.", model=name)
    now = utc_now()
    found = estimates.over_time(database, now, ZoneInfo(settings.timezone), name)
    left_out = estimates.left_out(database, now).get(name, 0)
    if as_json:
        console.print_json(output.as_dict(found, left_out))
    else:
        output.print_accuracy(found, left_out)


@app.command()
def register(
    path: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: the bundle's own.")] = None,
    who: Who = "",
) -> None:
    """Copy a bundle to the models as a candidate. It is not used before it is promoted."""
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    ref, is_new = models.register(settings, database, path, name, who or models.person())
    if is_new:
        console.print_line(
            f"{ref} is registered as a candidate. To use it: `returns-pipeline models promote {ref}`."
        )
    else:
        console.print_line(f"This bundle is registered already as {ref}; nothing was changed.")


@contextlib.contextmanager
def _training_photos(
    bundle: "Bundle", data: Path | None, validation: float, test: float, *, force: bool
) -> "Iterator[tuple[TrainingData, TrainingProgress]]":
    """Give the photos that a model was trained on, and what shows the progress."""
    import shutil
    import uuid

    from returns_pipeline.cli.output.training import TrainingProgress
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.labelled.photo_folders import PhotoFolders
    from returns_pipeline.training.recipes.bundle_data import load_data

    folders = PhotoFolders(data, None, validation, test, force) if data else None
    scratch = load_settings().models_dir / f".pixels-{uuid.uuid4().hex}"
    try:
        with TrainingProgress() as progress:
            yield load_data(bundle, folders, progress, scratch), progress
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@app.command()
def quantize(
    model: OneVersion,
    data: TrainedOn = None,
    validation: train_options.Validation = 0.2,
    test: train_options.Test = 0.1,
    force: UseAnyway = False,
    photos: train_options.Photos = True,
) -> None:
    """Write the next version of a model in int8: as right as float32, and several times as fast on a CPU."""
    from returns_pipeline.cli.output.training import print_bundle, require_nncf
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.pipeline import quantize as quantization
    from returns_pipeline.usecases import model_store

    require_nncf()
    settings = load_settings()
    models_dir = settings.models_dir
    bundle = model_store.find(settings, model)
    quantization.require_quantizable(bundle)
    with _training_photos(bundle, data, validation, test, force=force) as (images, progress):
        bundle = quantization.quantize(
            bundle, images, models_dir, train_steps.typed_command(), progress, photos=photos
        )
    model_store.send(settings, bundle)
    print_bundle(bundle)


@app.command()
def familiarity(
    model: OneVersion,
    data: TrainedOn = None,
    validation: train_options.Validation = 0.2,
    test: train_options.Test = 0.1,
    force: UseAnyway = False,
) -> None:
    """Learn what a model's training photos look like, so that it knows what is unlike them.

    The bundle gets the file familiarity.bin; its predictions stay the same. Workers use the file when they
    load the model again.
    """
    from returns_pipeline.errors import RefusedError
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.pipeline.familiarity import with_familiarity
    from returns_pipeline.usecases import model_store

    settings = load_settings()
    bundle = model_store.find(settings, model)
    with _training_photos(bundle, data, validation, test, force=force) as (images, progress):
        progress.stage("Learning what the photos look like")
        bundle = with_familiarity(bundle, images)
    if bundle.familiarity is None:
        raise RefusedError(
            "The network of {bundle_ref} has no feature map in an OpenVINO export, so it cannot tell what is "
            "unlike its training photos.",
            "Train a network with convolutions: `returns-pipeline train`.",
            bundle_ref=bundle.ref,
        )
    bundle.save()
    model_store.send(settings, bundle)
    known = bundle.familiarity
    console.print_line(
        f"{bundle.ref}: {known.features:,} features in {known.rank} dimensions, measured on {known.photos:,} "
        "validation photos."
    )


@app.command()
def promote(
    model: OneVersion,
    force: Annotated[
        bool, typer.Option("--force", help="Promote even a measurably worse version, but never a broken one.")
    ] = False,
    who: Who = "",
    reason: Reason = "",
) -> None:
    """Use a version for new runs, if it is intact and not worse. Workers need no restart."""
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    done = models.promote(settings, database, model, who=who or models.person(), reason=reason, force=force)
    instead = f" instead of {done.replaced}" if done.replaced not in (None, done.ref.version) else ""
    console.print_line(f"{done.ref} is active{instead}: new runs use it. {done.remark}")


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")], who: Who = "", reason: Reason = ""
) -> None:
    """Use the previously active version for new runs again."""
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    done = models.rollback(settings, database, name, who=who or models.person(), reason=reason)
    console.print_line(f"{done.ref} is active again instead of {done.replaced}: new runs use it.")


@app.command()
def shadow(
    model: Annotated[str, typer.Argument(metavar="NAME/VERSION", help="With --off, NAME is enough.")],
    share: Annotated[float, typer.Option(help="Share of each night's images, 0 to 1.")] = 0.1,
    off: Annotated[bool, typer.Option("--off", help="End the shadow.")] = False,
    who: Who = "",
) -> None:
    """Let a candidate predict a share of each night too; reports keep the active version's predictions."""
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    who = who or models.person()
    if off:
        console.print_line(f"{models.end_shadow(database, model, who)} is not a shadow any more.")
        return
    ref = models.shadow(settings, database, model, share, who)
    console.print_line(
        f"{ref} predicts {share:.0%} of each night's images beside the active version. "
        f"To see the differences: `returns-pipeline models compare {ref} --shadow`."
    )


@app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="NAME, NAME/VERSION, or a bundle's folder; with --shadow, a shadow."
        ),
    ],
    second: Annotated[str | None, typer.Argument(metavar="B", help="The model to compare it with.")] = None,
    data: evaluate.OptionalData = None,
    of_shadow: Annotated[
        bool,
        typer.Option("--shadow", help="Compare shadow A with the active version on the nights they shared."),
    ] = False,
    mapping: evaluate.Mapping = None,
    limit: evaluate.Limit = None,
    as_json: Json = False,
) -> None:
    """Compare two models on the same labelled photos, or a shadow with the active version."""
    if of_shadow:
        _compare_shadow(first, as_json=as_json)
    elif second is None or data is None:
        raise typer.BadParameter(
            "Name two models and a folder of labelled photos, or one model and --shadow."
        )
    else:
        compare_models(first, second, data, mapping, limit, as_json=as_json)


def _compare_shadow(model: str, *, as_json: bool) -> None:
    from returns_pipeline.cli.output import models as output
    from returns_pipeline.report.changes import count_changes
    from returns_pipeline.store.models import shadow_predictions
    from returns_pipeline.usecases import models

    settings, database = open_installation()
    pairs = shadow_predictions(database, models.show(settings, database, model).ref)
    if as_json:
        console.print_json(output.changes_as_dict(count_changes(pairs)))
    else:
        output.print_label_changes(count_changes(pairs, output.MAX_FILES))


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="Name of a model. Default: all models.")] = None,
    as_json: Json = False,
) -> None:
    """Show the changes of the models: what, when and by whom."""
    from returns_pipeline.cli.output import models as output
    from returns_pipeline.store.models import history

    _, database = open_installation()
    changes = history(database, name)
    if as_json:
        console.print_json([output.change_as_dict(change) for change in changes])
    else:
        output.print_changes(changes)
