"""`returns-pipeline returns evaluate`: how well the verdicts of a model find wrong returns."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from returns_pipeline.cli.evaluate import Data, Limit, Mapping, named_bundle
from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.errors import ConfigFault, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table  # noqa: TID251 - only the type

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.records.verdicts import Thresholds
    from returns_pipeline.settings import Settings
    from returns_pipeline.training.evaluation.verdicts import Outcome

#: Most unreadable files on a terminal; JSON has all of them.
_MOST_LINES = 20


def evaluate(
    model: Annotated[
        str, typer.Argument(help="NAME, NAME/VERSION, or the folder of a bundle.", metavar="MODEL")
    ],
    data: Data,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=0.2, help="Wanted share of false alarms. Default: RETURNS_FALSE_ALARMS."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Decides which photos expect which label.")] = 0,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            help="Choose the model's thresholds from these photos from now on: store in its bundle.json "
            "what was measured on them. They must not be photos that it was trained with.",
        ),
    ] = False,
    mapping: Mapping = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Measure how many wrong returns get the verdict `mismatch`, and how many right ones.

    Each photo is one return that expects a label: half of them their own, half of them another one, drawn
    evenly. The verdicts are those of the model's thresholds.
    """
    from returns_pipeline.cli.console import print_json, progress_bar
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    bundle = named_bundle(settings, model)
    if len(bundle.labels) < 2:
        raise RefusedError(
            "{bundle_ref} has one label, so nothing can be mistaken for another.",
            advice="Choose a model with two labels or more.",
            bundle_ref=bundle.ref,
        )
    wanted = settings.false_alarms if false_alarms is None else false_alarms

    with progress_bar(str(bundle.ref)) as on_progress:
        predicted = _predict(bundle, data.absolute(), mapping, limit, settings, on_progress)
    numbers = {
        "model": str(bundle.ref),
        "data": str(data.absolute()),
        "seed": seed,
        **_measured(bundle, predicted, wanted, seed),
        "unreadable": predicted.unreadable,
        "saved": save,
    }
    if save:
        _save(bundle, predicted)
    if as_json:
        print_json(numbers)
    else:
        _print(numbers)


class _Predicted(NamedTuple):
    """Labelled photos: `truth` int64 [n], calibrated `probabilities` float32 [n, labels]."""

    truth: "NDArray[np.int64]"
    probabilities: "NDArray[np.float32]"
    fingerprint: str
    unreadable: list[dict[str, Any]]


def _predict(
    bundle: "Bundle",
    root: Path,
    mapping: Path | None,
    limit: int | None,
    settings: "Settings",
    on_progress: "Callable[[int, int | None], None]",
) -> _Predicted:
    from returns_pipeline.classify.confidence import tempered
    from returns_pipeline.training.evaluation.photo_predictions import find_labelled_photos, predict_photos
    from returns_pipeline.training.labelled.parts import fingerprint

    photos = find_labelled_photos(root, bundle, mapping, limit)
    found = predict_photos(bundle, photos, settings, on_progress)
    truth = photos.truth[found.indices]
    return _Predicted(
        truth,
        tempered(found.probabilities, bundle.temperature),
        fingerprint([photos.paths[index] for index in found.indices], truth, bundle.labels),
        [entry._asdict() for entry in found.unreadable],
    )


def _measured(bundle: "Bundle", photos: _Predicted, wanted: float, seed: int) -> dict[str, Any]:
    """Return the numbers of the command, as JSON has them."""
    from returns_pipeline.records.verdicts import LabelSpace
    from returns_pipeline.training.evaluation import verdicts
    from returns_pipeline.verdicts.rates import main_probabilities
    from returns_pipeline.verdicts.thresholds import thresholds_of

    truth, probabilities = photos.truth, photos.probabilities
    space = LabelSpace(bundle.labels, bundle.main_categories)
    chosen = thresholds_of(space, bundle.label_rates, bundle.main_rates, wanted)
    expected, _ = verdicts.swapped(truth, len(bundle.labels), seed)
    codes = verdicts.judge_every_swap(probabilities, chosen.label)
    cross = verdicts.cross_fitted(truth, probabilities, wanted, seed)
    numbers = {
        "n": len(truth),
        **rates_of(verdicts.judge(truth, probabilities, expected, chosen.label), intervals=True),
        "wanted": wanted,
        "thresholds": _thresholds(chosen.label, bundle),
        "chosen_from_these_photos": chosen.label.measured
        and photos.fingerprint == bundle.data.get("validation_sha256"),
        "every_swap": rates_of(verdicts.outcome_of_every_swap(truth, codes)),
        "cross_fitted": cross and dict(zip(("false_alarm_rate", "found"), cross, strict=True)),
        "per_label": [
            {"label": label, **rates_of(outcome)}
            for label, outcome in verdicts.outcome_of_labels(truth, codes, bundle.labels)
        ],
    }
    if bundle.main_categories != bundle.labels:
        of_mains, main_of, _ = main_probabilities(probabilities, bundle.main_categories)
        codes = verdicts.judge_every_swap(of_mains, chosen.main)
        numbers["main_category"] = {
            **rates_of(verdicts.outcome_of_every_swap(main_of[truth], codes)),
            "thresholds": _thresholds(chosen.main, bundle),
        }
    return numbers


def _thresholds(chosen: "Thresholds", bundle: "Bundle") -> dict[str, Any]:
    return {
        "mismatch_below": chosen.mismatch,
        "match_from": chosen.match,
        "measured_on": bundle.label_rates.images if bundle.label_rates and chosen.measured else None,
    }


def rates_of(outcome: "Outcome", *, intervals: bool = False) -> dict[str, Any]:
    """Return shares of right returns, of wrong ones and, for `unsure`, of all."""
    right, wrong = outcome.false_alarms.of, outcome.found.of
    unsure = outcome.unsure_right.count + outcome.unsure_wrong.count
    rates: dict[str, Any] = {
        "right": right,
        "false_alarm_rate": outcome.false_alarms.value,
        "unsure_right": outcome.unsure_right.value,
        "wrong": wrong,
        "found": outcome.found.value,
        "unsure_wrong": outcome.unsure_wrong.value,
        "missed": outcome.missed.value,
        "unsure": unsure / (right + wrong) if right + wrong else None,
    }
    if intervals:
        rates["false_alarm_interval"] = outcome.false_alarms.interval
        rates["found_interval"] = outcome.found.interval
    return rates


def _save(bundle: "Bundle", photos: _Predicted) -> None:
    """Store in the bundle what its thresholds are chosen from. The digest stays: no prediction changes."""
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.evaluation.verdicts import with_rates
    from returns_pipeline.usecases import model_store

    if photos.fingerprint == bundle.data.get("train_sha256"):
        raise RefusedError(
            "{bundle_ref} was trained with these photos, so it is surer of them than of others.",
            advice="Choose photos that it was not trained with.",
            bundle_ref=bundle.ref,
        )
    try:
        rated = with_rates(bundle, photos.truth, photos.probabilities)
        rated.save()
    except OSError as error:
        raise ConfigFault(
            "The thresholds cannot be stored in {folder}: {reason}.",
            advice="Give the user of this program permission to write there.",
            folder=bundle.folder,
            reason=error.strerror,
        ) from error
    model_store.send(load_settings(), rated)


def _print(numbers: dict[str, Any]) -> None:
    from returns_pipeline.cli.console import print_line
    from returns_pipeline.terminal import Terminal

    Terminal().print_table(_label_table(numbers))
    thresholds, every, cross = numbers["thresholds"], numbers["every_swap"], numbers["cross_fitted"]
    measured = thresholds["measured_on"]
    source = f"measured on {measured:,} images" if measured else "assumed: the bundle has no measured rates"
    lines = {
        "Model": numbers["model"],
        "Photos": f"{numbers['n']:,}, and {len(numbers['unreadable']):,} unreadable files",
        "Thresholds": f"mismatch below {thresholds['mismatch_below']:.4f}, match from "
        f"{thresholds['match_from']:.4f}, for {numbers['wanted']:.1%} false alarms; {source}",
        "False alarms": with_interval(numbers, "false_alarm", "false_alarm_rate", "right"),
        "Found": with_interval(numbers, "found", "found", "wrong"),
        "Unsure": f"{percent(numbers['unsure'])} of all returns",
        "Missed": f"{percent(numbers['missed'])} of the wrong returns are a match",
        "All swaps": _pair(every),
        "Cross-fitted": _pair(cross) if cross else "too few photos",
    }
    if main := numbers.get("main_category"):
        lines["Main category"] = _pair(main)
    for name, line in lines.items():
        print_line(f"{name:<13} {line}")
    if numbers["chosen_from_these_photos"]:
        print_line(
            "The thresholds were chosen from these photos, so the rates are too good. Cross-fitted are the "
            "rates to expect on new photos."
        )
    for entry in numbers["unreadable"][:_MOST_LINES]:
        print_line(f"unreadable  {entry['path']}: {entry['detail']}")
    if numbers["saved"]:
        print_line(f"Stored. The thresholds of {numbers['model']} are chosen from these photos from now on.")


def _label_table(numbers: dict[str, Any]) -> "Table":
    """Return a row for each expected label, over all swaps."""
    from returns_pipeline.terminal import plain_table

    table = plain_table()
    table.add_column("expected", overflow="fold")
    for heading in ("right", "false alarms", "unsure", "wrong", "found", "unsure", "missed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in numbers["per_label"]:
        table.add_row(
            row["label"],
            f"{row['right']:,}",
            percent(row["false_alarm_rate"]),
            percent(row["unsure_right"]),
            f"{row['wrong']:,}",
            *(percent(row[name]) for name in ("found", "unsure_wrong", "missed")),
        )
    return table


def percent(share: float | None) -> str:
    """Return a share as a percentage; empty for None."""
    return "" if share is None else f"{share:.1%}"


def _pair(rates: dict[str, Any]) -> str:
    return f"{percent(rates['false_alarm_rate'])} false alarms, {percent(rates['found'])} found"


def with_interval(numbers: dict[str, Any], name: str, rate: str, of: str) -> str:
    """Return a share of right or of wrong returns with its confidence interval."""
    if numbers[rate] is None:
        return f"no {of} returns"
    low, high = numbers[f"{name}_interval"]
    return f"{numbers[rate]:.1%} of {numbers[of]:,} {of} returns (95 % interval {low:.1%} to {high:.1%})"
