"""`returns-pipeline returns evaluate-products`: how well verdicts tell products of one category apart."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.cli.spaces import Catalogue
from returns_pipeline.cli.verdicts import percent, rates_of, with_interval

if TYPE_CHECKING:
    from returns_pipeline.training.evaluation.product_verdicts import Evaluation


def evaluate_products(
    catalogue: Catalogue,
    by: Annotated[
        str, typer.Option("--by", help="Attribute that a wrong product has in common with the expected one.")
    ] = "category",
    space: Annotated[
        str | None,
        typer.Option(help="NAME or NAME/VERSION of an embedding space; RETURNS_SPACE if not given."),
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=0.2, help="Wanted share of false alarms. Default: RETURNS_FALSE_ALARMS."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Decides what is altered, and how.")] = 0,
    as_json: Json = False,
) -> None:
    """Measure how many wrong products of the right category are a `mismatch`, and how many right ones.

    Each photo is an altered picture of a product and one return: half of them expect their own product, half
    of them another one of the same category.
    """
    from returns_pipeline.classify.spaces.embedder import Embedder
    from returns_pipeline.classify.spaces.space import find_space
    from returns_pipeline.cli.console import print_json, progress_bar
    from returns_pipeline.photos.decoding.bounds import Limits
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.evaluation.product_verdicts import evaluate

    settings = load_settings()
    found_space = find_space(settings.spaces_dir, space or settings.space)
    embedder = Embedder(found_space, threads=len(os.sched_getaffinity(0)))
    wanted = settings.false_alarms if false_alarms is None else false_alarms
    limits = Limits.of(settings)
    with progress_bar("comparing") as on_progress:
        found = evaluate(catalogue, by, embedder, limits, wanted, seed, lambda done: on_progress(done, None))
    numbers = {"space": str(found_space.ref), "seed": seed, "wanted": wanted, **_numbers(found)}
    if as_json:
        print_json(numbers)
    else:
        _print(numbers)


def _numbers(found: "Evaluation") -> dict[str, Any]:
    return {
        "n": found.outcome.found.of + found.outcome.false_alarms.of,
        **rates_of(found.outcome, intervals=True),
        "found_outside": found.outside.found.value,
        "unsure_outside": found.outside.unsure_wrong.value,
        "products": found.products,
        "left_out": found.left_out,
        "calibrated_on": found.calibrated_on,
    }


def _print(numbers: dict[str, Any]) -> None:
    from returns_pipeline.cli.console import print_line

    lines = {
        "Catalogue": f"{numbers['products']:,} products in {numbers['space']}, "
        f"{numbers['left_out']:,} without a usable picture",
        "Photos": f"{numbers['n']:,} altered pictures; {numbers['calibrated_on']:,} of other products decide "
        f"what is a mismatch, for {numbers['wanted']:.1%} false alarms",
        "False alarms": with_interval(numbers, "false_alarm", "false_alarm_rate", "right"),
        "Found": with_interval(numbers, "found", "found", "wrong"),
        "Unsure": f"{percent(numbers['unsure_right'])} of the right returns, "
        f"{percent(numbers['unsure_wrong'])} of the wrong ones",
        "Outside": f"{percent(numbers['found_outside'])} found, {percent(numbers['unsure_outside'])} unsure, "
        "if the product that came is not in the catalogue",
    }
    for name, line in lines.items():
        print_line(f"{name:<13} {line}")
