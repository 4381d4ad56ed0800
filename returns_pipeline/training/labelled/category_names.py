"""What people call categories in other languages: a JSON file `{"de": {"Bag": "Tasche"}}`."""

from collections.abc import Mapping
from pathlib import Path

from returns_pipeline.classify.manifest import MANIFEST_BYTES, read_category_names
from returns_pipeline.classify.reading import open_file, parse_json
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.text import printable
from returns_pipeline.training.labelled.folders import Labels

_MOST_SHOWN = 20

#: For each language, by its code, the names of labels and main categories.
Names = Mapping[str, Mapping[str, str]]


def read_names(path: Path) -> dict[str, dict[str, str]]:
    """Return the names of a file. Raises RefusedError, with the file and its first fault, for another one."""
    try:
        with open_file(path, MANIFEST_BYTES) as stream:
            return read_category_names(parse_json(stream.read(MANIFEST_BYTES)))
    except OSError as error:
        reason: object = error.strerror or error
    except ValueError as error:
        reason = error
    raise RefusedError(
        "{path} cannot be read as names of categories: {reason}.",
        advice='Write a JSON object like {{"de": {{"Bag": "Tasche"}}}}.',
        path=printable(path),
        reason=reason,
    )


def require_labels(names: Names, labels: Labels) -> None:
    """Raise RefusedError if there is a name for what is neither a label nor a main category."""
    known = {*labels.names, *labels.mains}
    for language, of_language in names.items():
        unknown = [label for label in of_language if label not in known]
        if unknown:
            raise RefusedError(
                "The photos have no category {label!r}, which has a name in the language {language}.",
                advice="Write it as its folder does, without the number. The categories are: {known}.",
                label=unknown[0],
                language=language,
                known=_listed(sorted(known)),
            )


def _listed(known: list[str]) -> str:
    more = len(known) - _MOST_SHOWN
    return ", ".join(known[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
