"""The comparison of two models on labelled photos, for `returns-pipeline models compare`."""

from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.cli.evaluate import named_bundle
from returns_pipeline.errors import RefusedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, PhotoPredictions


def compare_models(
    first: str, second: str, data: Path, mapping: Path | None, limit: int | None, *, as_json: bool
) -> None:
    """Compare two models on the same photos, and test whether their difference is significant."""
    from dataclasses import asdict

    import numpy as np

    from returns_pipeline.cli.console import print_json, progress_bar
    from returns_pipeline.cli.output.evaluation import print_comparison
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.evaluation.comparison import compare
    from returns_pipeline.training.evaluation.photo_predictions import (
        LabelledPhotos,
        find_labelled_photos,
        predict_photos,
    )

    settings = load_settings()
    bundles = [named_bundle(settings, first), named_bundle(settings, second)]
    photos = find_labelled_photos(data.absolute(), bundles[0], mapping, limit)
    truths = [photos.truth, _truth_for_second(bundles, photos)]
    results: list[tuple[PhotoPredictions, NDArray[np.bool_]]] = []
    for bundle, truth in zip(bundles, truths, strict=True):
        with progress_bar(str(bundle.ref)) as on_progress:
            predictions = predict_photos(bundle, LabelledPhotos(photos.paths, truth), settings, on_progress)
        correct = predictions.probabilities.argmax(axis=1) == truth[predictions.indices]
        results.append((predictions, correct))
    (of_first, correct_first), (of_second, correct_second) = results
    # Only the photos that both models could read.
    shared, rows_first, rows_second = np.intersect1d(
        of_first.indices, of_second.indices, assume_unique=True, return_indices=True
    )
    found = compare(
        photos.truth[shared], correct_first[rows_first], correct_second[rows_second], bundles[0].labels
    )
    names = [str(bundle.ref) for bundle in bundles]
    if as_json:
        values = asdict(found)
        values["per_class"] = [{**asdict(row), "difference": row.difference} for row in found.labels]
        del values["labels"]
        unreadable = len(photos.paths) - found.n
        print_json(
            {
                "models": names,
                **values,
                "unreadable": unreadable,
                "conclusion": found.conclusion(*names),
            }
        )
    else:
        print_comparison(found, names)


def _truth_for_second(bundles: "list[Bundle]", photos: "LabelledPhotos") -> "NDArray[np.int64]":
    """Return the true labels, indices into the first bundle's labels, as indices into the second bundle's."""
    import numpy as np

    first, second = bundles
    if photos.numbered and first.labels != second.labels:
        raise RefusedError(
            "The photos are labelled by an index, but {first_ref} and {second_ref} do not have the same "
            "labels in the same order.",
            advice="Put the photos into folders with the names of their labels.",
            first_ref=first.ref,
            second_ref=second.ref,
        )
    places = {label: index for index, label in enumerate(second.labels)}
    used = [first.labels[index] for index in np.unique(photos.truth)]
    missing = [label for label in used if label not in places]
    if missing:
        raise RefusedError(
            "{second_ref} has no label {missing!r}, which some photos have, so it cannot be compared with "
            "{first_ref}.",
            advice="Compare models with the same labels.",
            second_ref=second.ref,
            missing=missing[0],
            first_ref=first.ref,
        )
    return np.array([places.get(label, -1) for label in first.labels], np.int64)[photos.truth]
