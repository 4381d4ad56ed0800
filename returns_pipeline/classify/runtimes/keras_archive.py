"""Reads the configuration of a model.keras without Keras: its layers, and the version that wrote it."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from returns_pipeline.errors import ConfigFault

#: Newest major version of Keras whose files can be run.
_KERAS_MAJOR = 3
#: Classes whose configuration is Python code or the name of a function in any module.
_CODE_CLASSES = frozenset({"Lambda", "__lambda__", "function"})
#: Most bytes of a configuration; those of real networks are much smaller.
_MAX_CONFIG_BYTES = 64 * 1024 * 1024


def require_safe(path: Path) -> None:
    """Raise ConfigFault unless a .keras file has only Keras' own layers and a version that can be run.

    A Lambda layer or a custom class is a program that would run in the worker, where safe mode refuses it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            metadata, config = _json(archive, "metadata.json"), _json(archive, "config.json")
        version = str(metadata["keras_version"])
        major = int(version.partition(".")[0])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigFault(
            "{path} cannot be read as a .keras file: {reason!r}.",
            "Save the model with Keras 3 and try again.",
            path=path,
            reason=error,
        ) from error
    if major > _KERAS_MAJOR:
        raise ConfigFault(
            "{path} was written by Keras {version}; this version runs models of Keras {keras_major}.",
            "Save the model with Keras {keras_major}.",
            path=path,
            version=version,
            keras_major=_KERAS_MAJOR,
        )
    for layer in _objects(config):
        if _is_custom(layer):
            name = _name(layer)
            raise ConfigFault(
                "{path} contains code of its own: {name} is a {layer} of the module {module}.",
                "Replace {name} by layers of Keras itself, for example Rescaling to scale pixels.",
                path=path,
                name=name,
                layer=layer.get("class_name"),
                module=layer.get("module") or "none",
            )


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > _MAX_CONFIG_BYTES:
        raise ValueError(f"{name} has more than {_MAX_CONFIG_BYTES:,} bytes")
    return json.loads(archive.read(name))


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that Keras would create from a configuration, outermost first."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "class_name" in node:
                yield node
            # The configuration of the training is never loaded.
            waiting += [value for key, value in node.items() if key != "compile_config"]
        elif isinstance(node, list):
            waiting += node


def _is_custom(layer: dict[str, Any]) -> bool:
    class_name, module, registered = (layer.get(key) for key in ("class_name", "module", "registered_name"))
    if class_name in _CODE_CLASSES:
        return True
    if module is not None and not f"{module}.".startswith("keras."):
        return True
    # Keras registers some of its own classes too, but without a package in the name.
    return registered is not None and registered != class_name


def _name(layer: dict[str, Any]) -> str:
    config = layer.get("config")
    given = config.get("name") if isinstance(config, dict) else config
    return repr(given if isinstance(given, str) else layer.get("class_name"))
