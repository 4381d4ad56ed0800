"""Reads the configuration of a model.keras without Keras: its layers, and the version that wrote it."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from returns_pipeline.classify.bundle import MOST_FILE_BYTES
from returns_pipeline.classify.reading import open_file, parse_json
from returns_pipeline.classify.runtimes.keras_layers import is_allowed, is_code, is_model
from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import N_
from returns_pipeline.records.text import printable

#: Newest major version of Keras whose files can be run.
_KERAS_MAJOR = 3
_CONFIG, _METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
#: Most bytes of each entry. The configurations of real networks are much smaller.
_MOST_BYTES = {_CONFIG: 64 * 1024 * 1024, _METADATA: 1024 * 1024, WEIGHTS: MOST_FILE_BYTES}
#: How many times larger than in the file an entry may become. Keras compresses nothing; weights do not shrink
#: much, and JSON does not shrink more than this.
_MOST_EXPANSION = 100
#: Values that name a place outside of the file. No allowed class reads one, and no network needs one.
_PLACE = re.compile(r"[~/\\]|[a-zA-Z][\w+.-]*://", re.ASCII)
_ADVICE = N_("Replace it by layers that docs/models.md lists, for example Rescaling to scale pixels.")


def require_safe(path: Path) -> None:
    """Raise ConfigFault unless a .keras file has only classes of an allow-list, and a version that runs here.

    Any other class is, or may call, a program that would run in the worker, where safe mode does not refuse
    all of them.
    """
    try:
        metadata, config = _read(path)
        version = str(metadata["keras_version"])
        major = int(version.partition(".")[0])
    except Exception as error:
        # The zip reader raises errors of many kinds for damaged, encrypted and strangely compressed files.
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ConfigFault(
            "{path} cannot be read as a .keras file: {reason}.",
            "Save the model with Keras 3 and try again.",
            path=printable(path),
            reason=printable(reason),
        ) from error
    if major > _KERAS_MAJOR:
        raise ConfigFault(
            "{path} was written by Keras {version}; this version runs models of Keras {keras_major}.",
            "Save the model with Keras {keras_major}.",
            path=printable(path),
            version=printable(version),
            keras_major=_KERAS_MAJOR,
        )
    _require_allowed(path, config)


def unknown_layers(config: dict[str, Any]) -> set[str]:
    """Return the classes of a configuration that are not on the list."""
    classes = [_class_of(node) for node in _nodes(config) if isinstance(node, dict) and "class_name" in node]
    return {str(each[0]) for each in classes if not is_allowed(*each)}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return metadata.json and config.json. Raises an error of any kind."""
    with open_file(path, MOST_FILE_BYTES) as stream, zipfile.ZipFile(stream) as archive:
        seen = set()
        for entry in archive.infolist():
            most = _MOST_BYTES.get(entry.filename)
            if most is None:
                raise ValueError(
                    f"its entry {entry.filename!r} is not one that Keras writes for these layers"
                )
            if entry.filename in seen:
                raise ValueError(f"its entry {entry.filename} occurs twice")
            seen.add(entry.filename)
            if entry.file_size > most or entry.file_size > _MOST_EXPANSION * entry.compress_size:
                raise ValueError(f"its entry {entry.filename} has {entry.file_size:,} bytes")
        metadata, config = (parse_json(archive.read(name)) for name in (_METADATA, _CONFIG))
    if not isinstance(metadata, dict) or not isinstance(config, dict):
        raise ValueError("its metadata or configuration is not a JSON object")  # noqa: TRY004 - as the others
    return metadata, config


def _require_allowed(path: Path, config: dict[str, Any]) -> None:
    if not is_model(config.get("class_name")):
        raise _refusal("{path} holds no model, but {name}, a {layer} of the module {module}.", path, config)
    # Only the outermost object's training is never loaded: those of inner models are.
    inner = {key: value for key, value in config.items() if key != "compile_config"}
    for node in _nodes(inner):
        if isinstance(node, str):
            if _PLACE.match(node):
                raise ConfigFault(
                    "{path} names a place outside of itself: {place!r}.",
                    "Save a model that needs no other file.",
                    path=printable(path),
                    place=node[:100],
                )
        elif "class_name" in node and not is_allowed(*_class_of(node)):
            message = N_(
                "{path} has a layer that is not on the list: {name} is a {layer} of the module {module}."
            )
            if is_code(*_class_of(node)):
                message = N_("{path} contains code of its own: {name} is a {layer} of the module {module}.")
            raise _refusal(message, path, node)


def _nodes(config: Any) -> Iterator[dict[str, Any] | str]:
    """Yield every JSON object and every string of a configuration."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _class_of(node: dict[str, Any]) -> tuple[object, object, object]:
    return node.get("class_name"), node.get("module"), node.get("registered_name")


def _refusal(message: str, path: Path, node: dict[str, Any]) -> ConfigFault:
    class_name, module, _ = _class_of(node)
    config = node.get("config")
    given = config.get("name") if isinstance(config, dict) else config
    return ConfigFault(
        message,
        _ADVICE,
        path=printable(path),
        name=repr((given if isinstance(given, str) else str(class_name))[:100]),
        layer=printable(str(class_name)[:100]),
        module=printable(str(module or "none")[:100]),
    )
