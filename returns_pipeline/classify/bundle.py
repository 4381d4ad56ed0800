"""A bundle is a folder MODELS_DIR/NAME/VERSION/: one file format from training to worker.

model.keras        the trained model, preprocessing included: uint8 pixels in, probabilities out
openvino/          model.xml and model.bin, exported from model.keras; in int8 if `precision` says so
bundle.json        the manifest, read and written by this module
familiarity.bin    what the training photos look like: see classify.familiarity; older bundles lack it
report/            plots and numbers of the training

A newer version may add keys to bundle.json. Readers ignore keys that they do not know and keep them when they
save the bundle again. Keys inside `input` are the exception: an unknown one is refused, because it may change
which pixels the model takes.
"""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from returns_pipeline.classify.manifest import (
    MANIFEST_BYTES,
    Manifest,
    ManifestFamiliarity,
    ManifestRates,
    is_model_name,
    read_manifest,
)
from returns_pipeline.classify.models_folder import is_version, names_in, unreadable, versions_of
from returns_pipeline.classify.reading import open_file, parse_json
from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import N_, gettext
from returns_pipeline.records.models import FamiliarityShape, ImageInput, ModelRef, Precision
from returns_pipeline.records.text import printable
from returns_pipeline.records.verdicts import ExpectationRates

MANIFEST = "bundle.json"
KERAS_MODEL = "model.keras"
OPENVINO_MODEL = "openvino/model.xml"
OPENVINO_WEIGHTS = "openvino/model.bin"

#: Most bytes of one file. The largest shipped one has 17 MB.
MOST_FILE_BYTES = 4 * 1024**3

#: (threshold, precision) pairs of one label, both ascending.
PrecisionSteps = tuple[tuple[float, float], ...]
#: What a model knows whose bundle does not say it, and what the shipped models say.
_GREY = N_("grey pictures, scaled to {width} x {height} pixels")
_COLOUR = N_("colour pictures, scaled to {width} x {height} pixels")
_SHIPPED = N_("grey pictures of clothes, 28 x 28 pixels (Fashion-MNIST)")
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

    `names` has for languages, by their codes, what labels and main categories are called there. A label is
    still the id in database and files. Names may change at any time: they do not change the digest.
    The thresholds of verdicts are chosen from `label_rates` for an expected label, and from `main_rates` for
    an expected main category; None if they were not measured. They change no prediction, so they do not
    change the digest.

    `familiarity` says what familiarity.bin has; None for a bundle without it. It changes no label and no
    probability, so it does not change the digest: a bundle may get the file at any time.

    `precision` is that of the OpenVINO export; model.keras is in float32 always.

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
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    label_rates: ExpectationRates | None = None
    main_rates: ExpectationRates | None = None
    familiarity: FamiliarityShape | None = None
    precision: Precision = Precision.FLOAT32
    unknown: dict[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> ModelRef:
        """NAME/VERSION of this bundle."""
        return ModelRef(self.name, self.version)

    @property
    def knows(self) -> str:
        """The pictures that the model was trained on, for people, in the reader's language.

        They are `data.knows`, else what its input tells.
        """
        stated = self.data.get("knows")
        if isinstance(stated, str) and stated.strip():
            return printable(gettext(stated.strip()))
        size = self.input
        derived = _GREY if size.channels == 1 else _COLOUR
        return gettext(derived, width=size.width, height=size.height)

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
        path = self.folder / name
        expected = self.sha256.get(name)
        try:
            found = file_sha256(path) if expected else None
        except FileNotFoundError:
            found = None
        except (OSError, ValueError) as error:
            raise _unreadable_file(path, self.folder, error) from error
        if found is None:
            raise ConfigFault(
                "The model bundle {bundle_ref} has no {name} in {folder}.",
                advice="Restore the bundle's folder or choose another model with RETURNS_MODEL.",
                bundle_ref=self.ref,
                name=name,
                folder=printable(self.folder),
            )
        if found != expected:
            raise ConfigFault(
                "{path} is not the file that bundle {bundle_ref} was made with (sha256 differs).",
                advice="Restore the bundle's folder or train the model again.",
                path=printable(path),
                bundle_ref=self.ref,
            )
        return path

    def save(self) -> None:
        """Write bundle.json into the bundle's folder."""
        content = asdict(self)
        for name in _NOT_IN_MANIFEST:
            del content[name]
        if not self.names:
            del content["names"]
        for name in _OPTIONAL:
            if content[name] is None:
                del content[name]
        content |= self.unknown
        text = _NUMBER_PAIR.sub(
            lambda pair: "".join(pair[0].split()).replace(",", ", "), json.dumps(content, indent=2)
        )
        draft = self.folder / f".{MANIFEST}"
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(self.folder / MANIFEST)


_NOT_IN_MANIFEST = {"folder", "unknown"}
_OPTIONAL = {"label_rates", "main_rates", "familiarity"}


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's content in hex. Raises OSError, or ValueError if it is not a file."""
    with open_file(path, MOST_FILE_BYTES) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_bundle(folder: Path, *, placed: bool = True) -> Bundle:
    """Read a bundle from its folder, which must be NAME/VERSION if it is `placed`.

    Raises ConfigFault that names the file, the field and its fault, if it is missing or broken.
    """
    manifest = folder / MANIFEST
    try:
        with open_file(manifest, MANIFEST_BYTES) as stream:
            content = read_manifest(parse_json(stream.read(MANIFEST_BYTES)))
    except FileNotFoundError:
        raise ConfigFault(
            "There is no model bundle in {folder} ({manifest} is missing).",
            advice="Set RETURNS_MODELS_DIR and RETURNS_MODEL to a bundle that exists, or train one: "
            "`returns-pipeline train fashion-mnist`.",
            folder=printable(folder),
            manifest=MANIFEST,
        ) from None
    except OSError as error:
        raise _unreadable_file(manifest, folder, error) from error
    except ValueError as error:
        raise ConfigFault(
            "{manifest} cannot be read as a model bundle: {reason}.",
            advice="Correct it, restore the bundle's folder, or train the model again.",
            manifest=printable(manifest),
            reason=error,
        ) from error
    bundle = _of_manifest(folder, content)
    if placed and (folder.parent.name, folder.name) != (bundle.name, str(bundle.version)):
        raise ConfigFault(
            "{manifest} belongs to the bundle {bundle_ref}, but lies in {parent_name}/{folder_name}.",
            advice="Move the folder to NAME/VERSION, or train a new version.",
            manifest=printable(manifest),
            bundle_ref=bundle.ref,
            parent_name=printable(folder.parent.name),
            folder_name=printable(folder.name),
        )
    return bundle


def _unreadable_file(path: Path, folder: Path, error: OSError | ValueError) -> ConfigFault:
    """Return the fault of a file of the bundle in `folder` that cannot be read."""
    if isinstance(error, PermissionError):
        return unreadable(folder, error)
    return ConfigFault(
        "{path} cannot be read: {reason}.",
        advice="Give the user of this program permission to read the bundle's folder, or restore it.",
        path=printable(path),
        reason=error.strerror if isinstance(error, OSError) else error,
    )


def _of_manifest(folder: Path, content: Manifest) -> Bundle:
    return Bundle(
        folder=folder,
        name=content.name,
        version=content.version,
        labels=tuple(content.labels),
        main_categories=tuple(content.main_categories),
        input=ImageInput(content.input.height, content.input.width, content.input.channels),
        sha256=content.sha256,
        recipe=content.recipe,
        command=content.command,
        data=content.data,
        metrics=content.metrics,
        temperature=float(content.temperature),
        reliability=tuple(
            tuple((float(threshold), float(precision)) for threshold, precision in steps)
            for steps in content.reliability
        ),
        names=content.names,
        label_rates=_rates(content.label_rates),
        main_rates=_rates(content.main_rates),
        familiarity=_familiarity(content.familiarity),
        precision=Precision(content.precision),
        unknown=content.model_extra or {},
    )


def _familiarity(content: ManifestFamiliarity | None) -> FamiliarityShape | None:
    if content is None:
        return None
    return FamiliarityShape(content.features, content.rank, content.photos, content.sha256)


def _rates(content: ManifestRates | None) -> ExpectationRates | None:
    if content is None:
        return None
    right, wrong = (
        tuple((float(threshold), float(share)) for threshold, share in steps)
        for steps in (content.right, content.wrong)
    )
    return ExpectationRates(content.images, right, wrong)


def find_bundle(models_dir: Path, model: str) -> Bundle:
    """Return the bundle of `model`: `NAME/VERSION`, or `NAME` for its highest version.

    Raises ConfigFault if there is none.
    """
    name, slash, version = model.partition("/")
    if not is_model_name(name) or (slash and not is_version(version)):
        raise ConfigFault(
            "{model!r} is not a model.",
            advice="Write NAME or NAME/VERSION, like fashion-mnist/1.",
            model=model,
        )
    if slash:
        folder = models_dir / name / version
        if not os.path.lexists(folder):
            names_in(models_dir)  # its fault comes first
        return load_bundle(folder)
    names_in(models_dir)
    versions = versions_of(models_dir, name)
    if not versions:
        raise ConfigFault(
            "There is no model {name!r} in {models_dir}.",
            advice="Set RETURNS_MODELS_DIR and RETURNS_MODEL to a bundle that exists, or train one: "
            "`returns-pipeline train fashion-mnist`.",
            name=name,
            models_dir=printable(models_dir),
        )
    return load_bundle(models_dir / name / str(versions[-1]))
