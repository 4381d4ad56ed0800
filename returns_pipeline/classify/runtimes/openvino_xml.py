"""Checks openvino/model.xml before OpenVINO reads it: a plain graph of OpenVINO's own operations."""

import re
from pathlib import Path
from xml.parsers import expat

from returns_pipeline.classify.reading import open_file
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.text import printable

#: Most bytes. The graph of a network with 200 layers has 0.3 MB; weights are in model.bin.
_MOST_BYTES = 64 * 1024 * 1024
_MOST_DEPTH = 64
_MOST_LAYERS = 100_000
#: The sets of operations that OpenVINO ships. Another one needs a library, which is code.
_OPSET = re.compile(r"opset[0-9]{1,2}")

#: Where OpenVINO keeps the path of the weights that it has read. An export does not have it.
_WEIGHTS_PATH = "__weights_path"


def require_plain(path: Path, weights_bytes: int) -> None:
    """Raise ConfigFault unless a model.xml is a graph of OpenVINO's own operations without a DOCTYPE.

    Every constant must be inside of the weights, a file of `weights_bytes`.
    """
    checker = _Checker(weights_bytes)
    try:
        with open_file(path, _MOST_BYTES) as stream:
            checker.parser.ParseFile(stream)
    except (OSError, ValueError, expat.ExpatError) as error:
        raise ConfigFault(
            "The model does not run: {path} cannot be read as an OpenVINO model: {reason}.",
            "Train or export the model again.",
            path=printable(path),
            reason=printable(error),
        ) from error


class _Checker:
    """Reads an XML file as a stream. Its parser raises ValueError for what is refused."""

    def __init__(self, weights_bytes: int) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._weights_bytes = weights_bytes
        self._open: list[str] = []
        self._layers = 0

    def _doctype(self, *_: object) -> None:
        # Entities of a DOCTYPE read other files or grow without end.
        raise ValueError("it has a DOCTYPE")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag != "net":
            raise ValueError("its first element is not <net>")
        if len(self._open) >= _MOST_DEPTH:
            raise ValueError("its elements are nested too deeply")
        if _WEIGHTS_PATH in (tag, *attributes, *attributes.values()):
            raise ValueError("it names another file with weights")
        if tag == "layer":
            self._layer(attributes)
        elif tag == "data" and self._open[-1:] == ["layer"] and "offset" in attributes:
            self._constant(attributes)
        self._open.append(tag)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _layer(self, attributes: dict[str, str]) -> None:
        self._layers += 1
        if self._layers > _MOST_LAYERS:
            raise ValueError(f"it has more than {_MOST_LAYERS:,} layers")
        version = attributes.get("version", "")
        if not _OPSET.fullmatch(version):
            name, kind = (attributes.get(key, "")[:100] for key in ("name", "type"))
            raise ValueError(
                f"its layer {name!r} is a {kind!r} of {version[:100]!r}, "
                "which is not one of OpenVINO's own sets of operations"
            )

    def _constant(self, attributes: dict[str, str]) -> None:
        try:
            offset, size = int(attributes["offset"]), int(attributes["size"])
        except (KeyError, ValueError):
            raise ValueError("a constant has no offset and size") from None
        if offset < 0 or size < 0 or offset + size > self._weights_bytes:
            raise ValueError(f"a constant is at byte {offset:,} to {offset + size:,}, outside of the weights")
