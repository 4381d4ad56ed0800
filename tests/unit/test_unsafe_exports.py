"""A model file that would read other files, run code or fill memory is refused before a runtime reads it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from returns_pipeline.classify.runtimes import keras_archive, keras_weights, openvino_xml
from returns_pipeline.classify.runtimes.keras_archive import WEIGHTS
from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "models"
SHIPPED = ("clothing/1", "clothing/2", "fashion-mnist/1", "fashion-mnist/2")


def _layer(class_name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _sequential(*layers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**_layer("Sequential", "keras"), "config": {"name": "s", "layers": layers}, **fields}


DENSE = _layer("Dense", units=4)
FUNCTION = _layer("function", "keras.models") | {"config": "load_model"}
_METADATA = b'{"keras_version": "3.15.1"}'


def _archive(path: Path, config: bytes, entries: dict[str, bytes] | None = None, **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("metadata.json", _METADATA)
        archive.writestr("config.json", config)
        for name, content in (entries or {}).items():
            archive.writestr(name, content)
    return path


def _inbound(**arguments: Any) -> dict[str, Any]:
    return DENSE | {"inbound_nodes": [{"args": [], "kwargs": arguments}]}


_UNSAFE_LAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "a saved model": (_layer("TFSMLayer", filepath="m"), "TFSMLayer"),
    "a pickle of PyTorch": (_layer("TorchModuleWrapper", module="AA=="), "TorchModuleWrapper"),
    "a JAX program": (_layer("JaxLayer"), "JaxLayer"),
    "a list of words": (_layer("StringLookup", vocabulary="/etc/passwd"), "StringLookup"),
    "numbers from an address": (_layer("IntegerLookup", vocabulary="gs://x/y"), "IntegerLookup"),
    "words of a text": (_layer("TextVectorization", vocabulary="x"), "TextVectorization"),
    "a pipeline": (_layer("Pipeline", layers=[]), "Pipeline"),
    "a wrapper": (_layer("TimeDistributed", layer=DENSE), "TimeDistributed"),
    "get_file": (_layer("get_file", "keras.utils"), "get_file"),
    "a hidden module": (_layer("TFSMLayer", "keras.src.export.tfsm_layer"), "TFSMLayer"),
    "a module of the system": (_layer("system", "os"), "contains code"),
    "a module of Keras' companion": (_layer("Backbone", "keras_hub.models"), "contains code"),
    "a lambda": (_layer("Lambda", name="f"), "contains code of its own: 'f'"),
    "an old format": ({"class_name": "Dense", "config": {"units": 4}}, "contains code"),
    "a registered class": (DENSE | {"registered_name": "mine>Dense"}, "contains code"),
    "a function as activation": (_layer("Dense", activation=FUNCTION), "of its own: 'load_model'"),
    "a function as argument": (_inbound(inputs=FUNCTION), "contains code of its own: 'load_model'"),
    "a class in a list in a list": (_layer("Dense", x=[[[_layer("Lambda")]]]), "contains code"),
    "an inner model's training": (_sequential(compile_config={"optimizer": FUNCTION}), "contains code"),
    "an optimizer": (_sequential(compile_config={"o": _layer("Adam", "keras.optimizers")}), "Adam"),
    "an array as text": (_layer("Dense", x=_layer("__numpy__", None)), "__numpy__"),
    "a type": (_layer("Dense", x=_layer("__typespec__", "tensorflow")), "__typespec__"),
    "a class that is a list": (DENSE | {"class_name": ["Dense"]}, "contains code"),
    "a class that is null": (DENSE | {"class_name": None}, "contains code"),
    "a path": (_layer("Dense", name="d", note="/etc/passwd"), "place outside of itself: '/etc/passwd'"),
    "a path of a person": (_layer("Dense", note=[["~/x"]]), "place outside"),
    "an address": (_layer("Dense", note="https://example.org/x"), "place outside"),
    "a control character": (_layer("\x1b[2J"), r"\\x1b"),
}  # fmt: skip


@pytest.mark.parametrize("case", _UNSAFE_LAYERS)
def test_a_class_that_is_not_on_the_list_is_refused(tmp_path: Path, case: str) -> None:
    """What may read a file, call a function or run code is named and refused, at any depth."""
    layer, sentence = _UNSAFE_LAYERS[case]
    path = _archive(tmp_path / "m.keras", json.dumps(_sequential(DENSE, layer)).encode())
    with pytest.raises(ConfigFault, match=sentence) as refused:
        keras_archive.require_safe(path)
    assert str(refused.value).isprintable()


def test_the_outermost_training_is_not_read(tmp_path: Path) -> None:
    """A model that was saved with its optimizer passes: Keras does not load its training."""
    trained = _sequential(DENSE, compile_config={"optimizer": _layer("Adam", "keras.optimizers")})
    keras_archive.require_safe(_archive(tmp_path / "m.keras", json.dumps(trained).encode()))


_GOOD = json.dumps(_sequential(DENSE)).encode()
_BAD_ARCHIVES: dict[str, tuple[bytes, dict[str, bytes], str]] = {
    "assets": (_GOOD, {"assets/vocabulary.txt": b"x"}, r"entry 'assets/vocabulary\.txt'"),
    "a path that leads out": (_GOOD, {"../x": b"x"}, r"entry '\.\./x'"),
    "an absolute path": (_GOOD, {"/etc/x": b"x"}, "entry '/etc/x'"),
    "weights as a pickle": (_GOOD, {"model.weights.npz": b"x"}, "model.weights.npz"),
    "a configuration twice": (_GOOD, {"config.json": b"{}"}, "occurs twice"),
    "a list": (b"[]", {}, "not a JSON object"),
    "no JSON": (b"{", {}, "cannot be read"),
    "another encoding": (_GOOD.decode().encode("utf-16"), {}, "utf-8"),
    "a key twice": (b'{"class_name": "Sequential",' + _GOOD[1:], {}, "a key occurs twice"),
    "brackets": (b"[" * 100_000, {}, "nested too deeply"),
    "no model": (json.dumps(DENSE).encode(), {}, "holds no model"),
    "a class without a name": (b'{"class_name": [], "config": {}}', {}, "holds no model"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", _BAD_ARCHIVES)
def test_an_archive_with_anything_else_is_refused(tmp_path: Path, case: str) -> None:
    """An archive has three entries, once each, and its configuration is one JSON object of a model."""
    config, entries, sentence = _BAD_ARCHIVES[case]
    with pytest.raises(ConfigFault, match=sentence):
        keras_archive.require_safe(_archive(tmp_path / "m.keras", config, entries))


def test_an_archive_that_expands_is_refused(tmp_path: Path) -> None:
    """A few kilobytes that become many megabytes are refused before they are unpacked."""
    zeros = {WEIGHTS: bytes(20_000_000)}
    bomb = _archive(tmp_path / "m.keras", _GOOD, zeros, compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ConfigFault, match="has 20,000,000 bytes"):
        keras_archive.require_safe(bomb)


def test_damaged_archives_are_refused_with_a_sentence(tmp_path: Path) -> None:
    """Each byte of a small archive changed, and each length: accepted or ConfigFault, nothing else."""
    whole = _archive(tmp_path / "m.keras", _GOOD, compression=zipfile.ZIP_DEFLATED).read_bytes()
    changed = tmp_path / "changed.keras"
    refused = 0
    for position in range(0, len(whole), 3):
        for damaged in (
            whole[:position],
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :],
        ):
            changed.write_bytes(damaged)
            try:
                keras_archive.require_safe(changed)
            except ConfigFault:
                refused += 1
    assert refused > len(whole) // 3


def _external(file: Any) -> None:
    file["layers"] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft(file: Any) -> None:
    file["layers"] = h5py.SoftLink("/elsewhere")


def _external_data(file: Any) -> None:
    file.create_dataset("kernel", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    file.create_virtual_dataset("kernel", layout)


def _huge(file: Any) -> None:
    file.create_dataset("kernel", (2**20, 2**20), "f4", chunks=True, compression="gzip")


def _words(file: Any) -> None:
    file.create_dataset("kernel", data=np.array(["x"], object), dtype=h5py.string_dtype())


def _circle(file: Any) -> None:
    layers = file.create_group("layers")
    layers["again"] = layers


_BAD_WEIGHTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "another file": (_external, "link to another place"),
    "another place": (_soft, "link to another place"),
    "bytes of another file": (_external_data, "another file"),
    "arrays of another file": (_virtual, "another file"),
    "an array that is not stored": (_huge, "more bytes than the file"),
    "texts": (_words, "not an array of numbers"),
    "a circle": (_circle, "occurs twice"),
}


@pytest.mark.parametrize("case", _BAD_WEIGHTS)
def test_weights_that_are_not_plain_arrays_are_refused(tmp_path: Path, case: str) -> None:
    """Weights are arrays of numbers that are stored in the file itself."""
    make, sentence = _BAD_WEIGHTS[case]
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        make(file)
    path = _archive(tmp_path / "m.keras", _GOOD, {WEIGHTS: content.getvalue()})
    with pytest.raises(ConfigFault, match=sentence):
        keras_weights.require_plain(path)


@pytest.mark.parametrize("damaged", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_weights_of_another_format_are_refused(tmp_path: Path, damaged: bytes) -> None:
    """Bytes that are no HDF5, and missing weights, raise ConfigFault."""
    entries = {WEIGHTS: damaged} if damaged else {}
    with pytest.raises(ConfigFault, match="weights in"):
        keras_weights.require_plain(_archive(tmp_path / "m.keras", _GOOD, entries))


@pytest.mark.parametrize("model", SHIPPED)
def test_shipped_models_are_safe(model: str) -> None:
    """The checks accept every model that this project has trained."""
    folder = MODELS / model
    keras_archive.require_safe(folder / "model.keras")
    keras_weights.require_plain(folder / "model.keras")
    weights = (folder / "openvino" / "model.bin").stat().st_size
    openvino_xml.require_plain(folder / "openvino" / "model.xml", weights)


_LAYER = '<net><layers><layer id="0" name="x" type="Const" version="{version}">{data}</layer></layers></net>'


def _constant(offset: object, size: object) -> str:
    return _LAYER.format(version="opset1", data=f'<data offset="{offset}" size="{size}"/>')


_LAUGHS = "<!DOCTYPE net [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><net>&b;</net>"
_FILE = "<!DOCTYPE net [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><net>&a;</net>"
_BAD_XML: dict[str, tuple[str, str]] = {
    "nothing": ("", "no element found"),
    "half": ("<net>", "no element found"),
    "entities that grow": (_LAUGHS, "DOCTYPE"),
    "another file": (_FILE, "DOCTYPE"),
    "another document": ("<html/>", "not <net>"),
    "deep": ("<net>" + "<a>" * 100_000, "too deeply"),
    "an extension": (_LAYER.format(version="extension", data=""), "'Const' of 'extension'"),
    "no set": (_LAYER.format(version="", data=""), "own sets of operations"),
    "outside of the weights": (_constant(8, 3), "byte 8 to 11"),
    "before the weights": (_constant(-8, 3), "outside"),
    "no number": (_constant("x", 3), "no offset and size"),
    "other weights": ("<net><rt_info><__weights_path value='/x'/></rt_info></net>", "another file"),
}  # fmt: skip


@pytest.mark.parametrize("case", _BAD_XML)
def test_a_graph_with_anything_else_is_refused(tmp_path: Path, case: str) -> None:
    """A model.xml has OpenVINO's own operations, constants inside of its weights, and no DOCTYPE."""
    text, sentence = _BAD_XML[case]
    path = tmp_path / "model.xml"
    path.write_text(text)
    with pytest.raises(ConfigFault, match=sentence):
        openvino_xml.require_plain(path, 10)
