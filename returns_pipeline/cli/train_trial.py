"""`train RECIPE --try NAME,…`: several backbones on a few photos, compared in one table."""

import contextlib
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from returns_pipeline.cli.options import MOST
from returns_pipeline.cli.train_options import LEAST_SIDE, MOST_SIDE, OptionalName
from returns_pipeline.cli.train_steps import is_loadable
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import Precision
from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from returns_pipeline.training.labelled.photo_folders import PhotoFolders
    from returns_pipeline.training.trials.backbones import Candidate, Tried

#: The name of the model where a trial needs one and none is given, and in the command that it advises.
_UNNAMED, _PLACEHOLDER = "trial", "NAME"
_TRY = "--try"
#: Options that the advised command does not have, or has anew: those with a value, and the others.
_LEFT_OUT = (_TRY, "--try-photos", "--backbone", "--side", "--weights")
_FLAGS_LEFT_OUT = ("--json", "--smoke")


class _Backbone(NamedTuple):
    """A backbone to try, and the side of its images if it is not that of the recipe."""

    name: str
    side: int | None


def trial_options(
    *,
    name: OptionalName = None,
    tries: Annotated[
        str | None,
        typer.Option(
            _TRY,
            metavar="NAME,…",
            help="Train nothing, but try these backbones on some photos and compare them in a table. Names "
            "are those of --backbone, for example lite0,lite1,keras:ConvNeXtTiny. NAME@SIDE: images of "
            "another --side.",
        ),
    ] = None,
    try_photos: Annotated[
        int,
        typer.Option(
            min=20, max=MOST, help="With --try: photos for training, and as many for validation, at most."
        ),
    ] = 600,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --try: print JSON instead of a table.")
    ] = False,
) -> None:
    """Options of the recipes that have a backbone."""


def trial_of(options: dict[str, Any]) -> list[_Backbone] | None:
    """Return the backbones that --try names; None without it. A trial needs no name of a model."""
    if options["tries"] is None:
        if options["name"] is None:
            raise typer.BadParameter("Name the model with --name, or compare backbones with --try.")
        if options["as_json"]:
            raise typer.BadParameter("--json needs --try.")
        return None
    if options.get("start_from") is not None:
        raise typer.BadParameter("--try compares backbones before a training: leave out --start-from.")
    options["name"] = options["name"] or _UNNAMED
    words = [word.strip() for word in options["tries"].split(",") if word.strip()]
    if not words:
        raise typer.BadParameter("Name backbones, for example --try lite0,lite1,lite2.")
    return [_backbone(word) for word in dict.fromkeys(words)]


def _backbone(word: str) -> _Backbone:
    name, at, side = word.rpartition("@")
    if not at:
        return _Backbone(word, None)
    if not re.fullmatch(r"\d{1,4}", side, re.ASCII) or not LEAST_SIDE <= int(side) <= MOST_SIDE:
        raise ConfigFault(
            "{word!r} has no valid size of images.",
            "Write NAME@SIDE with a SIDE from {least} to {most} pixels, for example lite0@224.",
            word=word,
            least=LEAST_SIDE,
            most=MOST_SIDE,
        )
    return _Backbone(name, int(side))


def try_and_print(
    wanted: Sequence[_Backbone],
    make: Callable[..., Any],
    folders: "PhotoFolders",
    options: dict[str, Any],
) -> None:
    """Try each backbone with a display of the progress, and print the comparison.

    `make` returns the options of the recipe with some of them changed.
    """
    candidates = [_candidate(each, make, options) for each in wanted]  # wrong names are refused first
    from returns_pipeline.cli.console import print_json
    from returns_pipeline.cli.output import trials as output
    from returns_pipeline.cli.output.training import TrainingProgress
    from returns_pipeline.training.pipeline.recipe import SMOKE_PHOTOS
    from returns_pipeline.training.trials.choice import choose
    from returns_pipeline.training.trials.run import try_backbones

    # Only the comparison goes to the standard output: Keras and NNCF print too.
    with contextlib.redirect_stdout(sys.stderr), TrainingProgress(stderr=True) as progress:
        trial = try_backbones(
            candidates,
            folders,
            SMOKE_PHOTOS if options["smoke"] else options["try_photos"],
            options["seed"],
            options["models_dir"],
            progress,
            in_int8=options["precision"] is Precision.INT8,
        )
    choice = choose(trial.tried)
    command = _command(choice.chosen, options)
    if options["as_json"]:
        print_json(output.as_dict(trial, choice, command))
    else:
        output.print_trial(trial, choice, command)


def _candidate(wanted: _Backbone, make: Callable[..., Any], options: dict[str, Any]) -> "Candidate":
    from returns_pipeline.training.trials.backbones import Candidate

    changed: dict[str, Any] = {
        "backbone": wanted.name,
        "weights": options["weights"] if is_loadable(wanted.name) else None,
    }
    if wanted.side is not None:
        if "side" not in options:
            raise ConfigFault("This recipe has one size of images.", "Leave out @{side}.", side=wanted.side)
        changed["side"] = wanted.side
    made = make(**changed)
    return Candidate(made.backbone, made.size, made.features)


def _command(chosen: "Tried", options: dict[str, Any]) -> str:
    """Return the typed command as one that trains the chosen backbone."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word in _LEFT_OUT:
            next(words, None)
        elif word not in _FLAGS_LEFT_OUT and not word.startswith(tuple(f"{option}=" for option in _LEFT_OUT)):
            kept.append(word)
    kept += ["--backbone", chosen.backbone]
    if "side" in options:
        kept += ["--side", str(chosen.size.height)]
    if options["weights"] and is_loadable(chosen.backbone):
        kept += ["--weights", options["weights"]]
    if options["name"] == _UNNAMED:
        kept += ["--name", _PLACEHOLDER]
    return printable(shlex.join(["returns-pipeline", *kept]))
