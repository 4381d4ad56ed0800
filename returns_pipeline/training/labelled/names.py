"""Parses the names of class folders, compares labels, and reads the file with their main categories."""

import csv
import json
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.classify.manifest import LABEL_LENGTH
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.text import label_key

#: `0_pants`, `3-dress`, `12 hat`, or only a number.
_NUMBERED = re.compile(r"([0-9]+)(?:[ _.-]+(?=\S)(.*))?", re.DOTALL)
#: All spellings of a label share a key.
key = label_key


class FolderName(NamedTuple):
    """The parts of a folder's name: the leading `number`, None without one, and the `label`."""

    number: int | None
    label: str


def parse(name: str) -> FolderName:
    """Return the number and the label of a folder's name; if it is only a number, that is the label too."""
    text = unicodedata.normalize("NFC", name).strip()  # macOS may store é as two characters
    match = _NUMBERED.fullmatch(text)
    return FolderName(int(match[1]), match[2] or match[1]) if match else FolderName(None, text)


def require_label(label: str, origin: Path) -> None:
    """Raise RefusedError for a label that does not fit into a bundle; `origin` is its folder or file."""
    if not label or not label.isprintable():
        raise RefusedError(
            "{origin!r} is not a valid name for a label: it has characters that cannot be printed.",
            advice="Rename it; use letters, digits, spaces, `-` and `_`.",
            origin=str(origin),
        )
    if len(label) > LABEL_LENGTH:
        raise RefusedError(
            "The label of {origin} has {label_count} characters; at most {label_length} are allowed.",
            advice="Choose a shorter name.",
            origin=origin,
            label_count=len(label),
            label_length=LABEL_LENGTH,
        )


def read_mapping(path: Path) -> dict[str, str]:
    """Return the main category of each label, by `key`, from a CSV file `sub,main` or a JSON object.

    Raises RefusedError with the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_mapping(path, f"it cannot be read: {error}") from error
    pairs = _json_pairs(path, text) if path.suffix.lower() == ".json" else _csv_pairs(path, text)
    mains: dict[str, str] = {}
    for place, sub, main in pairs:
        main = unicodedata.normalize("NFC", main).strip()
        if not sub.strip() or not main:
            raise _no_mapping(path, f"{place} has no label or no main category")
        require_label(main, path)
        if mains.setdefault(key(parse(sub).label), main) != main:
            raise _no_mapping(path, f"{place} gives {sub!r} a second main category, {main!r}")
    return mains


def _json_pairs(path: Path, text: str) -> list[tuple[str, str, str]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _no_mapping(path, f"it is not JSON: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(main, str) for main in content.values()):
        raise _no_mapping(path, "it is not an object whose values are strings")
    return [(f"the entry {sub!r}", sub, main) for sub, main in content.items()]


def _csv_pairs(path: Path, text: str) -> list[tuple[str, str, str]]:
    lines = text.splitlines()
    head = lines[0] if lines else ""
    rows = csv.reader(lines, delimiter=";" if ";" in head and "," not in head else ",")
    if [cell.strip().lower() for cell in next(rows, [])] != ["sub", "main"]:
        raise _no_mapping(path, "its first line is not `sub,main`")
    pairs = []
    for row in rows:
        if row and len(row) != 2:
            raise _no_mapping(path, f"line {rows.line_num} has {len(row)} values")
        if row:
            pairs.append((f"line {rows.line_num}", row[0], row[1]))
    return pairs


def _no_mapping(path: Path, detail: str) -> RefusedError:
    return RefusedError(
        "{path} is not a valid file of main categories: {detail_text}.",
        advice="Write a CSV file with the header `sub,main` and a line for each label, or a JSON object, "
        'for example {{"dress": "clothes"}}.',
        path=path,
        detail_text=detail,
    )
