"""Whatever a models folder holds is read as a bundle or refused with the name of the file and the field."""

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from returns_pipeline.classify.bundle import MANIFEST, find_bundle, load_bundle
from returns_pipeline.classify.manifest import HIGHEST_VERSION, MANIFEST_BYTES, read_manifest
from returns_pipeline.classify.models_folder import on_disk
from returns_pipeline.classify.publishing import copy_bundle, draft_folder, publish
from returns_pipeline.classify.reading import parse_json
from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.settings import PROJECT_ROOT
from tests.support import write_stub_bundle

_SHIPPED = json.loads((PROJECT_ROOT / "models" / "clothing" / "1" / MANIFEST).read_text(encoding="utf-8"))
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _places(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a JSON document, of the document too."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node[:3]) if isinstance(node, list) else ()
    return [place, *(found for key, value in pairs for found in _places(value, (*place, key)))]


def _changed(node: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a document with another value at `place`."""
    if not place:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[place[0]] = _changed(node[place[0]], place[1:], value)
    return copy


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_places(_SHIPPED)), _ANY_JSON)
def test_any_value_at_any_place_is_read_or_refused(place: tuple[Any, ...], value: Any) -> None:
    """A valid bundle.json with any JSON at any place is valid, or raises ValueError with one line of text."""
    text = json.dumps(_changed(_SHIPPED, place, value)).encode()
    try:
        manifest = read_manifest(parse_json(text))
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert sentence.isprintable()
    if sentence:
        return
    # What was accepted can be stored: as JSON, in UTF-8, without NaN.
    json.dumps([manifest.data, manifest.metrics, manifest.model_extra], allow_nan=False).encode()
    "".join([*manifest.labels, *manifest.main_categories, manifest.name]).encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_refused(text: bytes) -> None:
    """Bytes that are not the JSON of a bundle raise ValueError, nothing else."""
    with pytest.raises(ValueError, match=r"\w"):
        read_manifest(parse_json(text))


def _manifest(**fields: Any) -> bytes:
    return json.dumps(_SHIPPED | {"name": "m"} | fields).encode()


_MANY = [f"label {number}" for number in range(10_001)]
_REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Expecting value"),
    "a list": (b"[]", "not a JSON object"),
    "a number": (b"1", "not a JSON object"),
    "a string": (b'"x"', "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "100,000 brackets": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "200 brackets": (_manifest(data={"x": json.loads("[" * 200 + "]" * 200)}), "nested too deeply"),
    "not UTF-8": (_manifest().decode().encode("utf-16"), "utf-8"),
    "a key twice": (b'{"name": "m",' + _manifest()[1:], "a key occurs twice"),
    "NaN": (_manifest(metrics={"loss": float("nan")}), r"`metrics\.loss`.* not finite"),
    "infinity in an unknown key": (_manifest(newer={"x": float("inf")}), "not finite"),
    "1e999": (_manifest().replace(b'"seed": 0', b'"seed": 1e999'), "not finite"),
    "half of a surrogate pair": (_manifest(recipe="\ud800"), "surrogate"),
    "a number of 5,000 digits": (_manifest().replace(b'"seed": 0', b'"seed": 1' + b"0" * 5000), "too large"),
    "labels as an object": (_manifest(labels={"a": 1}), "`labels`: input should be a valid list"),
    "no labels": (_manifest(labels=[], main_categories=[]), "`labels`"),
    "an empty label": (_manifest(labels=["", *_MANY[:9]]), r"`labels\.0`"),
    "a blank label": (_manifest(labels=["  ", *_MANY[:9]]), r"`labels\.0`"),
    "a label twice": (_manifest(labels=["shoe"] * 10), "'shoe' twice"),
    "a label with ESC": (_manifest(labels=["\x1b[2J", *_MANY[:9]]), r"`labels\.0`.*printed"),
    "a label that turns the text": (_manifest(labels=["a\u202eb", *_MANY[:9]]), r"`labels\.0`.*printed"),
    "a label of 101 characters": (_manifest(labels=["x" * 101, *_MANY[:9]]), r"`labels\.0`.*100 characters"),
    "a label that is a number": (_manifest(labels=[1, *_MANY[:9]]), r"`labels\.0`.*valid string"),
    "10,001 labels": (_manifest(labels=_MANY, main_categories=_MANY), "at most 10000"),
    "fewer main categories": (_manifest(main_categories=["x"]), "one main category for each"),
    "a name with a slash": (_manifest(name="../m"), "`name`"),
    "a name of 101 characters": (_manifest(name="m" * 101), "`name`"),
    "version as text": (_manifest(version="1"), "`version`"),
    "version as a truth value": (_manifest(version=True), "`version`"),
    "version beyond the database": (_manifest(version=HIGHEST_VERSION + 1), "`version`"),
    "input of no pixels": (_manifest(input={"height": 0, "width": 1, "channels": 1}), r"`input\.height`"),
    "input as a list": (_manifest(input=[8, 8, 1]), "`input`"),
    "a huge input": (_manifest(input={"height": 10**9, "width": 1, "channels": 1}), r"`input\.height`"),
    "4 channels": (_manifest(input={"height": 8, "width": 8, "channels": 4}), r"`input\.channels`"),
    "a file outside": (_manifest(sha256={"../x": "0" * 64}), "not a file inside"),
    "an absolute file": (_manifest(sha256={"/etc/passwd": "0" * 64}), "not a file inside"),
    "no digest": (_manifest(sha256={"model.keras": "x"}), r"`sha256\.model\.keras`"),
    "metrics as a list": (_manifest(metrics=[1]), "`metrics`"),
    "a metric that is text": (_manifest(metrics={"accuracy": "94 %"}), r"`metrics\.accuracy`: it must be"),
    "a metric that is a truth value": (_manifest(metrics={"n": True}), r"`metrics\.n`"),
    "a probability above 1": (_manifest(reliability=[[[2.0, 1.0]]] * 10), r"`reliability\.0\.0\.0`"),
    "steps that descend": (_manifest(reliability=[[[0.9, 0.5], [0.5, 0.9]]] * 10), "must ascend"),
    "temperature as text": (_manifest(temperature="1"), "`temperature`"),
    "a temperature near 0": (_manifest(temperature=1e-300), "temperature above 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", _REFUSED)
def test_a_wrong_field_is_named(tmp_path: Path, case: str) -> None:
    """The refusal names the file, the field and its fault, and says what to do."""
    text, sentence = _REFUSED[case]
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(text)
    with pytest.raises(ConfigFault, match=sentence) as refused:
        load_bundle(folder)
    assert refused.value.message.startswith(f"{folder / MANIFEST} cannot be read as a model bundle: ")
    assert refused.value.advice


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(MANIFEST_BYTES + 1)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


_NOT_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "not a regular file"),
    "a folder": (Path.mkdir, "not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "a socket": (_socket, "cannot be read: No such device"),
    "a link in a circle": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "is missing"),
    "a large file": (_sparse, r"has 16,777,217 bytes"),
}


@pytest.mark.parametrize("case", _NOT_FILES)
def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """A pipe, a device or a huge file in place of bundle.json neither blocks nor fills memory."""
    monkeypatch.chdir(tmp_path)
    make, sentence = _NOT_FILES[case]
    bundle = write_stub_bundle(tmp_path, "m")
    (bundle.folder / MANIFEST).unlink()
    make(bundle.folder / MANIFEST)
    with pytest.raises(ConfigFault, match=sentence):
        load_bundle(bundle.folder)


@pytest.mark.parametrize(
    "case", ["a pipe", "a folder", "a device", "a link in a circle", "a link to nothing"]
)
def test_a_listed_file_that_is_no_file_is_refused(tmp_path: Path, case: str) -> None:
    """A file of `sha256` that is a pipe, a device or a folder raises ConfigFault, and is not read."""
    bundle = write_stub_bundle(tmp_path, "m")
    _NOT_FILES[case][0](bundle.folder / "model.keras")
    listed = load_bundle(bundle.folder)
    listed.sha256["model.keras"] = "0" * 64
    with pytest.raises(ConfigFault, match=r"model\.keras cannot be read|has no model\.keras"):
        listed.file("model.keras")


def test_every_folder_is_listed_whatever_it_is_called(tmp_path: Path) -> None:
    """A name that is no model and a number that is no version are listed with a fault; files are not."""
    for place in ("good/1", "good/007", "good/99999999999", "bad name/1", "\udcff/1", "notes", ".draft-x/1"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "README.md").touch()
    (tmp_path / "loop").symlink_to("loop")
    found = {str(ref): fault.message if fault else "" for ref, fault in on_disk(tmp_path)}
    assert set(found) == {"good/1", "good/0", "bad name/0", r"\udcff/0"}
    assert not found.pop("good/1")
    assert all(re.search(r"is not a version|cannot be the name", sentence) for sentence in found.values())
    assert on_disk(tmp_path / "missing") == []
    ((ref, fault),) = on_disk(tmp_path / "README.md")
    assert (ref.version, fault is not None) == (0, True)


@pytest.mark.parametrize("case", ["a pipe", "a device", "a link to nothing", "a socket"])
def test_what_is_no_file_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """A folder with a pipe, a device or a link is refused before a byte is copied."""
    monkeypatch.chdir(tmp_path)
    bundle = write_stub_bundle(tmp_path, "m")
    (bundle.folder / "report").mkdir()
    _NOT_FILES[case][0](bundle.folder / "report" / "x")
    (tmp_path / "draft").mkdir()
    with pytest.raises(RefusedError, match="holds a"):
        copy_bundle(bundle.folder, tmp_path / "draft")
    assert not list((tmp_path / "draft").iterdir())


def test_a_file_with_the_next_number_is_not_waited_for(tmp_path: Path) -> None:
    """A file or a link that has the next version's name is skipped, and the highest number is the last."""
    bundle = write_stub_bundle(tmp_path, "m")
    (tmp_path / "m" / "2").touch()
    (tmp_path / "m" / "3").symlink_to("nothing")
    with draft_folder(tmp_path) as draft:
        copy_bundle(bundle.folder, draft)
        assert publish(load_bundle(draft, placed=False), tmp_path).version == 4
    with draft_folder(tmp_path) as draft:
        copy_bundle(bundle.folder, draft)
        with pytest.raises(ConfigFault, match="no version number left"):
            publish(load_bundle(draft, placed=False), tmp_path, above=HIGHEST_VERSION)


@pytest.mark.parametrize(
    ("model", "words"),
    [("fashion-mnist", "grey pictures of clothes"), ("clothing", "colour photos of clothes")],
)
def test_a_shipped_bundle_says_what_it_knows(model: str, words: str) -> None:
    """People choose a model by its words; a bundle without any is described by its input."""
    bundle = find_bundle(PROJECT_ROOT / "models", model)
    assert words in bundle.knows
    silent = replace(bundle, data={})
    kind = "grey" if bundle.input.channels == 1 else "colour"
    assert silent.knows.startswith(f"{kind} pictures, scaled to {bundle.input.width} x ")
    assert silent.digest == bundle.digest


def test_names_of_categories_change_neither_labels_nor_digest(tmp_path: Path) -> None:
    """They are optional, are kept when the bundle is saved, and name only labels that exist."""
    bundle = write_stub_bundle(tmp_path)
    assert "names" not in json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    named = replace(bundle, names={"de": {bundle.labels[0]: "Wort"}})
    named.save()
    assert load_bundle(bundle.folder) == named
    assert named.digest == bundle.digest
    assert _SHIPPED["names"]["de"].keys() == {*_SHIPPED["labels"], *_SHIPPED["main_categories"]}
    refused: list[Any] = [
        {"de": {"no label": "x"}},
        {"DE": {}},
        {"de": {bundle.labels[0]: ""}},
        {"de": ["x"]},
    ]
    for wrong in refused:
        replace(bundle, names=wrong).save()
        with pytest.raises(ConfigFault, match="names"):
            load_bundle(bundle.folder)
