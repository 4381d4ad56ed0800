"""The front door: importing it costs nothing, and each name behind it is documented and typed."""

import inspect
import json
import subprocess
import sys
import tomllib
import typing
from importlib.metadata import version

import pytest

import returns_pipeline as rp
from returns_pipeline import api
from returns_pipeline.settings import PROJECT_ROOT

#: Modules that make a start slow; none is needed to know what there is.
HEAVY = ("alembic", "celery", "numpy", "openvino", "pydantic", "rich", "sqlalchemy", "typer")


def _loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_imports_nothing_else() -> None:
    """`import returns_pipeline`, its version and its list of names load no dependency and no other module."""
    loaded = _loaded_after("import returns_pipeline as rp; rp.__version__; dir(rp)")
    assert not loaded & set(HEAVY)
    assert not [name for name in loaded if name.startswith("returns_pipeline.")]


def test_the_api_loads_no_model_program() -> None:
    """A program that only sends and reads needs no runtime of a model and no web server."""
    loaded = _loaded_after("import returns_pipeline as rp; rp.open_pipeline")
    assert "returns_pipeline.api" in loaded
    assert not loaded & {"openvino", "keras", "tensorflow", "fastapi", "typer"}


def test_every_name_is_there_and_no_other() -> None:
    """The names of the package are those of its API and the version; an unknown one is an AttributeError."""
    assert set(rp.__all__) == {*api.__all__, "__version__"}
    for name in api.__all__:
        assert getattr(rp, name) is getattr(api, name)
    assert set(rp.__all__) <= set(dir(rp))
    with pytest.raises(AttributeError, match="no attribute 'scan'"):
        rp.scan  # noqa: B018 - the access is what is tested


def _public(value: object) -> dict[str, object]:
    """Return what a caller may use of a public class, by name, without what it inherits from Python."""
    members = (
        vars(value) if inspect.isclass(value) and value.__module__.startswith("returns_pipeline") else {}
    )
    return {name: each for name, each in members.items() if not name.startswith("_")}


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_documented(name: str) -> None:
    """Each class, function, method and property of the API has a docstring of its own."""
    value = getattr(rp, name)
    assert value.__doc__, name
    for member, each in _public(value).items():
        if inspect.isfunction(each) or isinstance(each, property):
            assert each.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("value", [rp.open_pipeline, *_public(rp.Pipeline).values()])
def test_every_function_is_typed(value: object) -> None:
    """Each parameter and each return value has a type."""
    assert callable(value)
    hints = typing.get_type_hints(value)
    assert "return" in hints
    assert set(inspect.signature(value).parameters) - {"self"} == set(hints) - {"return"}


def test_the_version_is_stated_once() -> None:
    """The package, its metadata and so its wheel have one version, which pyproject.toml does not repeat."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert rp.__version__ == version("returns-pipeline")
