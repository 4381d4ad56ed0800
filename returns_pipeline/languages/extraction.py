"""Finds every sentence that can reach a person, and brings LANGUAGE.po up to date.

    python -m returns_pipeline.languages.extraction

Sentences are the literals of `gettext`, `ngettext`, `N_` and `counted`, the messages and advices of this
package's errors, `{% trans %}`, `_()` and `counted` in templates, and `say()` in scripts. Folders whose
sentences only a terminal shows are left out: they stay English.
"""

import ast
import builtins
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from jinja2 import nodes
from jinja2.environment import Environment

from returns_pipeline.languages.catalogue import path_of
from returns_pipeline.languages.current import DEFAULT, LANGUAGES

_PACKAGE = Path(__file__).parents[1]
#: Folders and files whose sentences only a terminal or a log shows.
_TERMINAL = frozenset(
    {"broker", "cli", "host", "languages", "private_files.py", "settings", "terminal.py", "training"}
)
#: Files in these folders whose sentences pages show, too.
_SHOWN = frozenset({Path("training/report/figures.py")})
_SUFFIXES = ("Error", "Fault")
_NOT_OURS = {*dir(builtins), "Error", "RedirectError"}
#: Lines of the header that Babel adds.
_GENERATED = re.compile(
    r'"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Report-Msgid-Bugs-To|Generated-By)'
    r":.*\n"
)
_JINJA = {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}


class Message(NamedTuple):
    """A sentence in the code: its forms, one or two, and where it is, as `path:line`."""

    forms: tuple[str, ...]
    place: str


def messages() -> Iterator[Message]:
    """Yield every sentence, in the order of files and lines."""
    for path in sorted(_PACKAGE.rglob("*")):
        inner = path.relative_to(_PACKAGE)
        if inner.parts[0] in _TERMINAL and inner not in _SHOWN:
            continue
        finder = {".py": _of_python, ".html": _of_template, ".js": _of_script}.get(path.suffix)
        if finder is not None:
            for forms, line in finder(path.read_text(encoding="utf-8")):
                if any(letter.isalpha() for letter in _fixed(forms[0])):
                    yield Message(forms, f"{inner}:{line}")


def catalogue_of_code() -> Catalog:
    """Return the sentences of the code as a catalogue without translations."""
    found = Catalog(charset="utf-8", fuzzy=False)
    for message in messages():
        known = found.get(message.forms[0])
        is_plural = len(message.forms) == 2 or (known is not None and known.pluralizable)
        forms = message.forms if len(message.forms) == 2 or known is None else known.id
        path = message.place.rpartition(":")[0]
        found.add(forms if is_plural else message.forms[0], locations=[(path, 0)])
    return found


def update(language: str) -> str:
    """Return the content of a language's file with the sentences of the code: new ones are empty."""
    path = path_of(language)
    known = read_po(BytesIO(path.read_bytes()), locale=language)
    known.update(catalogue_of_code(), no_fuzzy_matching=True, update_header_comment=False)
    known.obsolete.clear()
    for message in known:
        # The code decides: Babel guesses formats, and takes "100 % sure" for one.
        message.flags -= {"python-format"}
    written = BytesIO()
    write_po(written, known, width=100, sort_output=False, include_lineno=False, omit_header=False)
    # Without moments, so that two branches that add sentences do not conflict in the header.
    return _GENERATED.sub("", written.getvalue().decode())


def _of_python(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name == "ngettext":
            forms = tuple(_literals(node.args[:2]))
            if len(forms) == 2:
                yield forms, node.lineno
        elif name in {"gettext", "N_"}:
            yield from (((each,), node.lineno) for each in _literals(node.args[:1]))
        elif name == "counted":
            words = _literals(node.args[1:])
            if words:
                yield _counted(words), node.lineno
        elif name == "__init__" or (name.endswith(_SUFFIXES) and name not in _NOT_OURS):
            advice = [each.value for each in node.keywords if each.arg == "advice"]
            yield from (((each,), node.lineno) for each in _literals([*node.args, *advice]))


def _literals(arguments: list[ast.expr]) -> list[str]:
    """Return the arguments that are texts: a variable is marked by `N_` where it gets its value."""
    found = []
    for each in arguments:
        parts = [each.body, each.orelse] if isinstance(each, ast.IfExp) else [each]
        found += [
            part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
    return found


def _counted(words: list[str]) -> tuple[str, str]:
    one, several = words[0], words[1] if len(words) > 1 else f"{words[0]}s"
    return f"{{count}} {one}", f"{{count}} {several}"


def _of_template(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
    found = extract("jinja2", BytesIO(text.encode()), keywords, (), _JINJA)
    for line, forms, _, _ in found:
        yield (forms if isinstance(forms, tuple) else (forms,)), line
    tree = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True).parse(text)
    for call in tree.find_all(nodes.Call):
        if getattr(call.node, "attr", getattr(call.node, "name", "")) == "counted":
            words = [each.value for each in call.args[1:] if isinstance(each, nodes.Const)]
            if words:
                yield _counted(words), call.lineno


def _of_script(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    for line, form, _, _ in extract("javascript", BytesIO(text.encode()), {"say": None}, (), {}):
        yield (str(form),), line


def _fixed(message: str) -> str:
    """Return a message without its fields."""
    return re.sub(r"\{\w+[^}]*\}|%\(\w+\)s", "", message)


def main() -> None:
    """Bring every language's file up to date."""
    for language in LANGUAGES:
        if language != DEFAULT:
            path_of(language).write_text(update(language), encoding="utf-8")


if __name__ == "__main__":
    main()
