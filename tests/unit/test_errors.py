"""Errors have a message in English, and keep what a translation needs."""

import pickle

import pytest

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
        "ConfigFault": (3, 500),
        "RefusedError": (3, 400),
        "NotFoundError": (3, 404),
        "ConflictError": (3, 409),
    }
    assert issubclass(ConfigFault, PipelineError)


def test_a_kind_of_a_newer_version_is_read_as_unknown() -> None:
    """An unknown kind is read as UNKNOWN, which is neither a night nor an intake."""
    kind = RunKind("returned by drone")
    assert kind is RunKind.UNKNOWN
    assert not kind.is_night
    assert not kind.is_of_intake
