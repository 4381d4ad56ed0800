"""A bundle is a folder MODELS_DIR/NAME/VERSION/: one file format from training to worker.

model.keras        the trained model, preprocessing included: uint8 pixels in, probabilities out
openvino/          model.xml and model.bin, exported from model.keras
bundle.json        the manifest, read and written by this module
report/            plots and numbers of the training

A newer version may add keys to bundle.json. Readers ignore keys that they do not know and keep them when they
save the bundle again. Keys inside `input` are the exception: an unknown one is refused, because it may change
which pixels the model takes.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from returns_pipeline.errors import ConfigFault
from returns_pipeline.private_files import user_name
from returns_pipeline.records.models import ImageInput, ModelRef

MANIFEST = "bundle.json"
#: Most characters of a label, as the database stores it.
LABEL_LENGTH = 100
KERAS_MODEL = "model.keras"
OPENVINO_MODEL = "openvino/model.xml"
OPENVINO_WEIGHTS = "openvino/model.bin"

#: (threshold, precision) pairs of one label, both ascending.
PrecisionSteps = tuple[tuple[float, float], ...]
#: A pair of numbers in bundle.json: written on one line, so that a person can read the file.
_NUMBER_PAIR = re.compile(r"\[\s+[-\d.e]+,\s+[-\d.e]+\s+\]")


@dataclass(frozen=True, slots=True)
class Bundle:
    """One trained model on disk.

    `labels` in the order of the model's output; `main_categories` has the main category of each label (for a
    model with one head: the label itself); `sha256` maps file names to digests.

    `temperature` calibrates the probabilities (1.0: as the model outputs them). `reliability` has, for each
    label, pairs of (probability, share of correct predictions among those that are at least as probable),
    both ascending, measured on validation images. It is empty if it was not measured.

    `unknown` has the keys of bundle.json that this version does not know, with their values. They do not
    change the digest.
    """

    folder: Path
    name: str
    version: int
    labels: tuple[str, ...]
    main_categories: tuple[str, ...]
    input: ImageInput
    sha256: dict[str, str]
    recipe: str
    command: str
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    reliability: tuple[PrecisionSteps, ...] = ()
    unknown: dict[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> ModelRef:
        """NAME/VERSION of this bundle."""
        return ModelRef(self.name, self.version)

    @property
    def digest(self) -> str:
        """One sha256 for the whole model: its files' digests, labels, input and calibration."""
        lines = "".join(f"{name} {digest}\n" for name, digest in sorted(self.sha256.items()))
        lines += json.dumps([self.labels, self.main_categories, self.input.shape])
        if self.temperature != 1.0 or self.reliability:  # bundles of before calibration keep their digest
            lines += json.dumps([self.temperature, self.reliability])
        return hashlib.sha256(lines.encode()).hexdigest()

    def file(self, name: str) -> Path:
        """Return the path of one file of the bundle after checking its sha256.

        Raises ConfigFault if it is missing or is not the file that was registered.
        """
        with readable(self.folder):
            return self._verified(name)

    def _verified(self, name: str) -> Path:
        path = self.folder / name
        expected = self.sha256.get(name)
        if expected is None or not path.is_file():
            raise ConfigFault(
                "The model bundle {bundle_ref} has no {name} in {folder}.",
                advice="Restore the bundle's folder or choose another model with RETURNS_MODEL.",
                bundle_ref=self.ref,
                name=name,
                folder=self.folder,
            )
        if file_sha256(path) != expected:
            raise ConfigFault(
                "{path} is not the file that bundle {bundle_ref} was made with (sha256 differs).",
                advice="Restore the bundle's folder or train the model again.",
                path=path,
                bundle_ref=self.ref,
            )
        return path

    def save(self) -> None:
        """Write bundle.json into the bundle's folder."""
        content = asdict(self)
        for name in _NOT_IN_MANIFEST:
            del content[name]
        content |= self.unknown
        text = _NUMBER_PAIR.sub(
            lambda pair: "".join(pair[0].split()).replace(",", ", "), json.dumps(content, indent=2)
        )
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


_NOT_IN_MANIFEST = {"folder", "unknown"}
_KEYS = {each.name for each in fields(Bundle)} - _NOT_IN_MANIFEST


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's content in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_bundle(folder: Path, *, placed: bool = True) -> Bundle:
    """Read a bundle from its folder, which must be NAME/VERSION if it is `placed`.

    Raises ConfigFault if it is missing or broken.
    """
    manifest = folder / MANIFEST
    try:
        content = _read_object(manifest)
        bundle = Bundle(
            folder=folder,
            unknown={key: value for key, value in content.items() if key not in _KEYS},
            **{
                **{key: value for key, value in content.items() if key in _KEYS},
                "labels": tuple(content["labels"]),
                "main_categories": tuple(content["main_categories"]),
                "input": ImageInput(**content["input"]),
                "temperature": float(content.get("temperature", 1.0)),
                "reliability": tuple(map(_precision_steps, content.get("reliability", ()))),
            },
        )
    except FileNotFoundError:
        raise ConfigFault(
            "There is no model bundle in {folder} ({manifest} is missing).",
            advice="Set RETURNS_MODELS_DIR and RETURNS_MODEL to a bundle that exists, or train one: "
            "`returns-pipeline train fashion-mnist`.",
            folder=folder,
            manifest=MANIFEST,
        ) from None
    except PermissionError as error:
        raise _unreadable(folder, error) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigFault(
            "{manifest} cannot be read as a model bundle: {reason!r}.",
            advice="Restore the bundle's folder or train the model again.",
            manifest=manifest,
            reason=error,
        ) from error
    if placed and (folder.parent.name, folder.name) != (bundle.name, str(bundle.version)):
        raise ConfigFault(
            "{manifest} belongs to the bundle {bundle_ref}, but lies in {parent_name}/{folder_name}.",
            advice="Move the folder to NAME/VERSION, or train a new version.",
            manifest=manifest,
            bundle_ref=bundle.ref,
            parent_name=folder.parent.name,
            folder_name=folder.name,
        )
    if len(bundle.labels) != len(bundle.main_categories) or not bundle.labels:
        raise ConfigFault("{manifest} must name one main category for each of its labels.", manifest=manifest)
    if max(map(len, (*bundle.labels, *bundle.main_categories))) > LABEL_LENGTH:
        raise ConfigFault(
            "{manifest} has a label of more than {label_length} characters.",
            manifest=manifest,
            label_length=LABEL_LENGTH,
        )
    if not (0 < bundle.temperature < math.inf) or len(bundle.reliability) not in {0, len(bundle.labels)}:
        raise ConfigFault(
            "{manifest} must have a temperature above 0, and reliability for each label or for none.",
            advice="Restore the bundle's folder or train the model again.",
            manifest=manifest,
        )
    return bundle


def _read_object(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise TypeError("it is not a JSON object")
    return content


def _precision_steps(steps: list[list[float]]) -> PrecisionSteps:
    return tuple((float(threshold), float(precision)) for threshold, precision in steps)


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Raise ConfigFault, which says what to permit, where this process's user may not read `folder`."""
    try:
        yield
    except PermissionError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: PermissionError) -> ConfigFault:
    return ConfigFault(
        "The user {user} may not read the model in {folder}: {reason}.",
        "Let this user read it and enter the folders above it: `chmod -R a+rX {folder}`; with Compose "
        "`chmod -R a+rX models` on the host.",
        user=user_name(),
        folder=folder,
        reason=error.strerror,
    )


def versions_of(models_dir: Path, name: str) -> list[int]:
    """Return the versions of one model that are on disk, lowest first."""
    folder = models_dir / name
    with readable(folder):
        if not folder.is_dir():
            return []
        entries = [entry for entry in folder.iterdir() if entry.name.isdecimal() and entry.is_dir()]
    return sorted(int(entry.name) for entry in entries)


def find_bundle(models_dir: Path, model: str) -> Bundle:
    """Return the bundle of `model`: `NAME/VERSION`, or `NAME` for its highest version.

    Raises ConfigFault if there is none.
    """
    name, _, version = model.partition("/")
    if not re.fullmatch(r"\w+([.-]\w+)*", name):
        raise ConfigFault(
            "{model!r} is not a model.",
            advice="Write NAME or NAME/VERSION, like fashion-mnist/1.",
            model=model,
        )
    with readable(models_dir):
        has_folder = models_dir.is_dir()
    if not has_folder:
        raise ConfigFault(
            "The models folder {models_dir} does not exist.",
            advice="Set RETURNS_MODELS_DIR to a folder with bundles (NAME/VERSION/bundle.json), or remove "
            "the setting to use the shipped models; if those are gone, install returns-pipeline again.",
            models_dir=models_dir,
        )
    if version:
        if not version.isdecimal():
            raise ConfigFault(
                "{model!r} is not a model.",
                advice="Write NAME or NAME/VERSION, like fashion-mnist/1.",
                model=model,
            )
        return load_bundle(models_dir / name / version)
    versions = versions_of(models_dir, name)
    if not versions:
        raise ConfigFault(
            "There is no model {name!r} in {models_dir}.",
            advice="Set RETURNS_MODELS_DIR and RETURNS_MODEL to a bundle that exists, or train one: "
            "`returns-pipeline train fashion-mnist`.",
            name=name,
            models_dir=models_dir,
        )
    return load_bundle(models_dir / name / str(versions[-1]))
