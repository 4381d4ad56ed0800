"""An embedding space is a folder SPACES_DIR/NAME/VERSION/: a network from pixels to a vector.

space.json               what this module reads and writes
openvino/model.xml       the network: uint8 [n, h, w, 3] pixels to float32 [n, dimensions], with model.bin

Vectors of two spaces cannot be compared, so each stored vector names its space, by name, version and digest.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, file_sha256
from returns_pipeline.classify.manifest import HIGHEST_VERSION, is_model_name
from returns_pipeline.classify.models_folder import is_version, versions_of
from returns_pipeline.classify.reading import open_file, parse_json
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ImageInput, ModelRef
from returns_pipeline.records.text import printable

MANIFEST = "space.json"
#: Most bytes of a vector, as the database stores it.
MOST_DIMENSIONS = 256
_MANIFEST_BYTES = 1024 * 1024
_FILES = (OPENVINO_MODEL, OPENVINO_WEIGHTS)
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_ADVICE = "Set RETURNS_SPACES_DIR to a folder with embedding spaces, or restore the space's folder."


class _Content(BaseModel):
    """The schema of space.json. Unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: Annotated[str, Field(max_length=100)]
    version: Annotated[int, Field(ge=0, le=HIGHEST_VERSION)]  # a draft has 0
    side: Annotated[int, Field(ge=16, le=1024)]
    dimensions: Annotated[int, Field(ge=1, le=MOST_DIMENSIONS)]
    metric: Literal["cosine"]
    sha256: dict[str, _Digest]
    command: str = ""
    data: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    parts: list[Annotated[int, Field(ge=1)]] = []


@dataclass(frozen=True, slots=True)
class Space:
    """One version of an embedding space. `side`: width and height in pixels of the pictures it takes.

    `metrics` are what its training measured on products that it was not trained on; `data` says for people
    what it was trained on. `parts` are the dimensions of the parts of a vector in their order, an attribute
    each and the look at the end; empty if they are not known.
    """

    folder: Path
    name: str
    version: int
    side: int
    dimensions: int
    metric: str
    sha256: dict[str, str]
    command: str
    data: dict[str, Any]
    metrics: dict[str, float]
    parts: list[int] = field(default_factory=list)

    @property
    def ref(self) -> ModelRef:
        """NAME/VERSION."""
        return ModelRef(self.name, self.version)

    @property
    def input(self) -> ImageInput:
        """The pixels that the network takes."""
        return ImageInput(self.side, self.side, 3)

    @property
    def digest(self) -> str:
        """One sha256 for everything that decides about a vector."""
        lines = "".join(f"{name} {self.sha256[name]}\n" for name in sorted(self.sha256))
        return hashlib.sha256(f"{lines}{self.side} {self.dimensions} {self.metric}".encode()).hexdigest()

    def model(self) -> tuple[Path, Path]:
        """Return the network's two files after checking their sha256. Raises ConfigFault if one differs."""
        for name in _FILES:
            path = self.folder / name
            try:
                is_same = file_sha256(path) == self.sha256.get(name)
            except (OSError, ValueError) as error:
                raise _fault(path, error) from error
            if not is_same:
                raise _fault(path, "its sha256 is not the one in space.json")
        return self.folder / OPENVINO_MODEL, self.folder / OPENVINO_WEIGHTS

    def save(self) -> None:
        """Write space.json into the folder."""
        content = {name: getattr(self, name) for name in _Content.model_fields}
        (self.folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_space(folder: Path) -> Space:
    """Read a space from its folder. Raises ConfigFault that names the file and its fault."""
    path = folder / MANIFEST
    try:
        with open_file(path, _MANIFEST_BYTES) as stream:
            content = _Content.model_validate(parse_json(stream.read(_MANIFEST_BYTES)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _fault(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise _fault(path, error) from error
    if content.parts and sum(content.parts) != content.dimensions:
        raise _fault(path, "the parts are not all dimensions")
    return Space(folder=folder, **content.model_dump())


def find_space(spaces_dir: Path, name: str) -> Space:
    """Return NAME/VERSION, or the highest version of NAME. Raises ConfigFault if there is none."""
    name, _, version = name.partition("/")
    versions = versions_of(spaces_dir, name) if is_model_name(name) else []
    if version and is_version(version) and int(version) in versions:
        return load_space(spaces_dir / name / version)
    if version or not versions:
        raise ConfigFault(
            "There is no embedding space {name} in {folder}.",
            _ADVICE,
            name=printable(f"{name}/{version}" if version else name),
            folder=printable(spaces_dir),
        )
    return load_space(spaces_dir / name / str(versions[-1]))


def publish_space(space: Space, spaces_dir: Path) -> Space:
    """Move a finished draft to SPACES_DIR/NAME/VERSION, the next free version; return it there.

    Raises ConfigFault if the folder cannot be written.
    """
    try:
        (spaces_dir / space.name).mkdir(parents=True, exist_ok=True)
        version = max(versions_of(spaces_dir, space.name), default=0)
        while True:
            version += 1
            final = replace(space, version=version)
            final.save()
            target = spaces_dir / space.name / str(version)
            try:
                final.folder.rename(target)
            except OSError:
                if not os.path.lexists(target):
                    raise
                continue  # another process published this version first
            return replace(final, folder=target)
    except OSError as error:
        raise _fault(spaces_dir / space.name, error) from error


def _fault(path: Path, reason: object) -> ConfigFault:
    return ConfigFault(
        "The embedding space cannot be used: {path}: {reason}.",
        _ADVICE,
        path=printable(path),
        reason=printable(getattr(reason, "strerror", None) or reason),
    )
