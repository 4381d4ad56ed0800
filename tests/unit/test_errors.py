"""Errors have a message in English, and keep what a translation needs."""

import ast
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pytest

import returns_pipeline
from returns_pipeline import errors
from returns_pipeline.errors import (
    ConfigFault,
    ConflictError,
    FaultCode,
    ImageFault,
    NotFoundError,
    PipelineError,
    RefusedError,
    TransientFault,
)
from returns_pipeline.records.runs import RunKind


def test_a_message_is_a_template_with_named_parameters() -> None:
    """The fields of the message are filled; template and parameters are kept for a translation."""
    error = NotFoundError("There is no run {run}.", "Look at {place!r}.", run=7, place="runs list")
    assert str(error) == "There is no run 7. Look at 'runs list'."
    assert (error.template, error.parameters) == ("There is no run {run}.", {"run": 7, "place": "runs list"})


def test_a_message_without_parameters_is_not_a_template() -> None:
    """A message with braces but without parameters is shown unchanged."""
    assert RefusedError("{'a': 1} is no bundle.").message == "{'a': 1} is no bundle."
    assert ImageFault(FaultCode.TRUNCATED, "bad {marker}").detail == "bad {marker}"


@pytest.mark.parametrize(
    "error",
    [
        TransientFault("The database {url} is away.", "Start it.", url="x{y}"),
        ImageFault(FaultCode.TOO_LARGE, "{size:,} bytes.", size=1234),
        ConflictError("Run {run} is open.", run=1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_processes(error: PipelineError) -> None:
    """An error from another process has the same type, message and advice."""
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 - what this test has just written
    assert type(other) is type(error)
    assert (str(other), other.message, other.advice) == (str(error), error.message, error.advice)


def test_every_family_states_its_exit_code_and_status() -> None:
    """A refused request has exit code 3 and a 4xx status; a failure of the machine has 1 or 3 and a 5xx."""
    families = [each for each in vars(errors).values() if isinstance(each, type)]
    stated = {
        each.__name__: (each.exit_code, each.http_status)
        for each in families
        if issubclass(each, PipelineError)
    }
    assert stated == {
        "PipelineError": (1, 500),
        "ImageFault": (1, 422),
        "TransientFault": (1, 503),
        "BrokerRefusesFault": (1, 503),
        "ConfigFault": (3, 500),
        "RefusedError": (3, 400),
        "NotFoundError": (3, 404),
        "RowsRemovedError": (3, 404),
        "ConflictError": (3, 409),
        "GoneError": (3, 410),
    }
    assert issubclass(ConfigFault, PipelineError)


def test_a_kind_of_a_newer_version_is_read_as_unknown() -> None:
    """An unknown kind is read as UNKNOWN, which is neither a night nor an intake."""
    kind = RunKind("returned by drone")
    assert kind is RunKind.UNKNOWN
    assert not kind.is_night
    assert not kind.is_of_intake


PACKAGE = Path(returns_pipeline.__file__).parent


class Raised(NamedTuple):
    """A call of an error's constructor: where it is, its message and advice, and its named parameters."""

    place: str
    texts: list[ast.expr]
    parameters: set[str]


def families(trees: Iterable[ast.Module]) -> set[str]:
    """Return the names of PipelineError and of every class of the package that derives from it."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {"PipelineError"}
    while (
        more := {each.name for each in classes if {ast.unparse(base) for base in each.bases} & found} - found
    ):
        found |= more
    return found


def unmarked(value: ast.expr) -> ast.expr:
    """Return a value without `N_(…)`, which marks a constant for translation."""
    is_marked = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "N_"
    return value.args[0] if is_marked and isinstance(value, ast.Call) else value


def raised_in(path: Path, tree: ast.Module, names: set[str]) -> Iterator[Raised]:
    """Yield the calls of an error's constructor in a module; a message in a constant has its value."""
    constants = {
        target.id: unmarked(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(unmarked(node.value), ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in names:
            continue
        named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        given = [*node.args, *(named[name] for name in ("advice", "detail") if name in named)]
        texts = [constants.get(each.id, each) if isinstance(each, ast.Name) else each for each in given]
        yield Raised(f"{path.name}:{node.lineno}", texts, set(named) - {"advice", "detail"})


def templates_of(text: ast.expr) -> list[str]:
    """Return the literal templates of a message: one, or both of a conditional expression."""
    if isinstance(text, ast.IfExp):
        return [*templates_of(text.body), *templates_of(text.orelse)]
    return [text.value] if isinstance(text, ast.Constant) and isinstance(text.value, str) else []


def test_every_message_is_a_template_whose_fields_are_its_parameters() -> None:
    """No message is formatted before it is raised, no field is unfilled, and no parameter is unused."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    names = families(trees.values())
    calls = [call for path, tree in trees.items() for call in raised_in(path, tree, names)]
    formatted = {
        call.place
        for call in calls
        for text in call.texts
        if isinstance(text, ast.JoinedStr | ast.BinOp)
        or (isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute))
    }
    assert not formatted, "these messages are not templates"
    mismatched = {}
    for call in calls:
        templates = [template for text in call.texts for template in templates_of(text)]
        fields = {name for each in templates for _, name, _, _ in Formatter().parse(each) if name is not None}
        # Without parameters, a message is not a template: its braces are plain text.
        if call.parameters and fields != call.parameters:
            mismatched[call.place] = fields ^ call.parameters
        elif not call.parameters and any(name.isidentifier() for name in fields):
            mismatched[call.place] = fields
    assert not mismatched
    assert len(calls) > 100
