"""The runtimes by name.

To add one, write its module and register it here; an automatic one is then used through `auto`. To let
operators choose it by name, add the name to the values of RETURNS_RUNTIME too.
"""

from importlib import import_module
from typing import NamedTuple

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.interface import Classifier, Explainable, Explainer, Runtime
from returns_pipeline.errors import ConfigFault, PipelineError
from returns_pipeline.records.text import printable

AUTO = "auto"
#: How much of a runtime's error is quoted: some quote whole files.
_LONGEST_REASON = 500


class _Registered(NamedTuple):
    """The `module` that defines RUNTIME; `automatic`: whether `auto` may choose it."""

    module: str
    automatic: bool


_runtimes: dict[str, _Registered] = {}


def register(name: str, module: str, *, automatic: bool = False) -> None:
    """Register a runtime by the module that defines it as RUNTIME, which is imported when first used.

    `auto` chooses the first `automatic` runtime, in the order of registration, whose export a bundle has.
    """
    _runtimes[name] = _Registered(module, automatic)


register("openvino", "returns_pipeline.classify.runtimes.openvino_runtime", automatic=True)
register("keras", "returns_pipeline.classify.runtimes.keras_runtime", automatic=True)
register("stub", "returns_pipeline.classify.runtimes.stub_runtime")


def get_runtime(name: str) -> Runtime:
    """Return a runtime by its name. Raises ConfigFault for an unknown name."""
    registered = _runtimes.get(name)
    if registered is None:
        raise ConfigFault(
            "There is no runtime {name!r}.",
            "Set RETURNS_RUNTIME to one of: {known}.",
            name=name,
            known=", ".join([AUTO, *_runtimes]),
        )
    runtime: Runtime = import_module(registered.module).RUNTIME
    return runtime


def runtimes_of(bundle: Bundle) -> list[Runtime]:
    """Return the runtimes that have an export in a bundle."""
    return [runtime for name in _runtimes if (runtime := get_runtime(name)).has_export(bundle)]


def load_classifier(bundle: Bundle, runtime: str, *, threads: int = 1, mixed: bool = False) -> Classifier:
    """Load a bundle's model in this process, with a runtime by its name or `auto`.

    Imports no other runtime's packages: a CPU worker never loads TensorFlow. Raises as Runtime.load, and
    ConfigFault for a file that the runtime cannot run.
    """
    chosen = _choose(bundle) if runtime == AUTO else get_runtime(runtime)
    try:
        return chosen.load(bundle, threads=threads, mixed=mixed)
    except PipelineError:
        raise
    except Exception as error:
        # A runtime raises anything for a file that it cannot run. No photo is to blame for it.
        raise does_not_run(bundle, error) from error


def does_not_run(bundle: Bundle, error: Exception) -> ConfigFault:
    """Return the fault of a model whose runtime raised an error."""
    return ConfigFault(
        "The model of bundle {bundle_ref} does not run: {reason}.",
        "Train or export the model again.",
        bundle_ref=bundle.ref,
        reason=printable(repr(error)[:_LONGEST_REASON]),
    )


def explainer_of(classifier: Classifier) -> Explainer | None:
    """Return what explains a model's predictions; None if its runtime or its network cannot."""
    return classifier.explainer() if isinstance(classifier, Explainable) else None


def _choose(bundle: Bundle) -> Runtime:
    names = [name for name, registered in _runtimes.items() if registered.automatic]
    for name in names:
        runtime = get_runtime(name)
        if runtime.has_export(bundle):
            return runtime
    # Loading it raises the fault that names the missing file.
    return runtime
