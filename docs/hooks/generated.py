"""Hooks of the documentation site: tables from the code, and a check that the public API is documented.

A line `<!-- generated: NAME -->` of a page is replaced while the site is built, so it is never out of date.
"""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe

# Below `mkdocs`, so that each warning ends `mkdocs build --strict`.
_log = logging.getLogger("mkdocs.hooks.generated")

_PAGE = Path("reference") / "api.md"
_HTTP = ("get", "post", "put", "patch", "delete")


def on_pre_build(config: Any) -> None:
    """Warn of each public name that has no docstring or no place in the reference."""
    project = Path(config.config_file_path).parent
    page = (Path(config.docs_dir) / _PAGE).read_text(encoding="utf-8")
    package = griffe.load("returns_pipeline", search_paths=[project], allow_inspection=False, submodules=True)
    shown = set(re.findall(r"^::: returns_pipeline\.(\w+)$", page, re.MULTILINE))
    public = {str(name) for name in package.exports or ()} - {"__version__"}
    for name in sorted(public ^ shown):
        where = "is not in the reference" if name in public else "is in the reference, but not public"
        _log.warning("returns_pipeline.%s %s (%s).", name, where, _PAGE)
    for name in sorted(public & shown):
        for path in _undocumented(package[name]):
            _log.warning("%s is public and has no docstring.", path)


def _undocumented(value: Any) -> Iterator[str]:
    """Yield the path of a class, function, method or property without a docstring."""
    if isinstance(value, griffe.Alias):
        value = value.final_target
    if not value.has_docstring:
        yield value.path
    if value.is_class:
        for name, member in value.members.items():
            is_code = member.is_function or "property" in member.labels
            if is_code and not name.startswith("_") and not member.has_docstring:
                yield member.path


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001 - MkDocs' names
    """Return the page with its generated parts."""
    for name, generate in _GENERATED.items():
        mark = f"<!-- generated: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, generate())
    return markdown


def _commands() -> str:
    """Return a section for each command of the command line, in the order of `--help`."""
    import typer

    from returns_pipeline.cli.commands import app

    return "\n".join(_command(typer.main.get_command(app), "returns-pipeline", None))


def _command(command: Any, path: str, parent: Any) -> Iterator[str]:
    context = command.make_context(path, [], parent=parent, resilient_parsing=True)
    children = getattr(command, "commands", {})
    if parent is not None:
        yield f"{'##' if parent.parent is None else '###'} {path}\n"
        yield f"{command.help or ''}\n"
    if parent is not None and not children:
        records = [param.get_help_record(context) for param in command.params]
        rows = [record for record in records if record and not record[0].startswith("--help")]
        if rows:
            yield "| argument or option | |\n| --- | --- |"
            yield from (f"| `{_line(names)}` | {_cell(text)} |" for names, text in rows)
            yield ""
    for name, child in children.items():
        yield from _command(child, f"{path} {name}", context)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _cell(text: str) -> str:
    """Return text as one cell of a table: code stays as it is, elsewhere `<` would begin a tag."""
    parts = _line(text).split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))


def _routes() -> str:
    """Return a row for each route of the REST interface, as its OpenAPI document has them."""
    from returns_pipeline.settings import load_settings
    from returns_pipeline.web.app import create_app

    paths = create_app(load_settings()).openapi()["paths"]
    rows = ["| request | what it does |", "| --- | --- |"]
    for path, methods in paths.items():
        for method in (name for name in _HTTP if name in methods):
            route = methods[method]
            summary = _cell(route.get("description") or route.get("summary", ""))
            rows.append(f"| `{method.upper()} {path}` | {summary} |")
    return "\n".join(rows)


_GENERATED: dict[str, Callable[[], str]] = {"commands": _commands, "routes": _routes}
