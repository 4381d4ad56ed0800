"""What every training command does: checks its arguments, trains, prints the bundle."""

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import Precision
from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from returns_pipeline.training.pipeline.recipe import Recipe, Request


def require_valid(
    name: str, data: Path | None = None, mapping: Path | None = None, *, precision: Precision
) -> None:
    """Refuse a wrong name, a missing package and wrong folders before Keras is imported, which takes 10 s."""
    from returns_pipeline.cli.output.training import require_keras, require_nncf

    if not re.fullmatch(r"\w+(-\w+)*", name, re.ASCII) or len(name) > 90:  # a smoke test adds a word
        raise ConfigFault(
            "{name!r} is not a valid name for a model.",
            advice="Use words of letters and digits joined by `-`, at most 90 characters.",
            name=name,
        )
    require_keras()
    if precision is Precision.INT8:
        require_nncf()
    if data is not None:
        from returns_pipeline.training.labelled.folders import read_tree

        read_tree(data, mapping)


def category_names(path: Path | None) -> dict[str, dict[str, str]]:
    """Return the names of categories in a file; none without a file."""
    from returns_pipeline.training.labelled.category_names import read_names

    return read_names(path) if path else {}


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return printable(shlex.quote(str(path)))


def is_loadable(backbone: str) -> bool:
    """Whether a backbone is one of Keras or KerasHub, whose weights may be named."""
    return backbone.startswith(("keras:", "hub:"))


def known_backbone(backbone: str, known: tuple[str, ...], weights: str | None) -> str:
    """Return the full name of a backbone: lite0 is efficientnet-lite0. Raises ConfigFault for an unknown one.

    `known` are the names that a recipe takes besides those of Keras and KerasHub.
    """
    backbone = re.sub(r"^(?=lite\d$)", "efficientnet-", backbone)
    if is_loadable(backbone):
        return backbone
    if weights is not None:
        raise ConfigFault(
            "The backbone {backbone} takes no weights of a file.",
            "Leave out --weights, or choose a backbone keras:NAME or hub:PRESET.",
            backbone=printable(backbone),
        )
    if backbone not in known:
        raise ConfigFault(
            "There is no backbone {backbone!r}.",
            advice="Choose one of {known}.",
            backbone=backbone,
            known=", ".join((*known, "keras:NAME", "hub:PRESET")),
        )
    return backbone


def train_and_print(request: "Request", recipe: "Recipe") -> None:
    """Train with a display of the progress, and print the metrics of the bundle."""
    from returns_pipeline.cli.output.training import TrainingProgress, print_bundle
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.pipeline.train import train
    from returns_pipeline.usecases import model_store

    with TrainingProgress() as progress:
        bundle = train(request, recipe, progress)
    model_store.send(load_settings(), bundle)
    print_bundle(bundle)


def typed_command() -> str:
    """Return the command as typed, but without --resume: it repeats the whole training."""
    # A path may have bytes that are not UTF-8, which bundle.json cannot hold.
    return printable(shlex.join(["returns-pipeline", *(word for word in sys.argv[1:] if word != "--resume")]))


def bundle_name(name: str, smoke: bool) -> str:
    """Return the name of the bundle of a training, or of its trial."""
    # A smoke test must never become the newest version of a model in use.
    return f"{name}-smoke" if smoke else name


def bundles_folder(given: Path | None) -> Path:
    """Return the given folder of the bundles, or that of the settings."""
    from returns_pipeline.settings import load_settings
    from returns_pipeline.usecases import model_store

    if given:
        return given.absolute()
    settings = load_settings()
    model_store.refresh(settings)  # the next version's number is above those in the store
    return settings.models_dir
