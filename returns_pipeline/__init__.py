"""Classifies the photos of returned items: from an intake folder to a report, losing nothing.

The public API is what `__all__` names. Everything else may change without notice, except the tasks in
`workers.tasks`, the command line and the REST interface.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from returns_pipeline.api import (
        Activation,
        ConfigFault,
        ConflictError,
        FaultCode,
        ImageFault,
        ImageState,
        LeftBehind,
        ModelRef,
        ModelStage,
        ModelVersion,
        NotFoundError,
        Pipeline,
        PipelineError,
        Progress,
        RefusedError,
        Request,
        Result,
        RunCounts,
        RunKind,
        RunState,
        RunSummary,
        Settings,
        TransientFault,
        load_settings,
        open_pipeline,
    )

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "ConfigFault",
    "ConflictError",
    "FaultCode",
    "ImageFault",
    "ImageState",
    "LeftBehind",
    "ModelRef",
    "ModelStage",
    "ModelVersion",
    "NotFoundError",
    "Pipeline",
    "PipelineError",
    "Progress",
    "RefusedError",
    "Request",
    "Result",
    "RunCounts",
    "RunKind",
    "RunState",
    "RunSummary",
    "Settings",
    "TransientFault",
    "__version__",
    "load_settings",
    "open_pipeline",
]


def __getattr__(name: str) -> object:
    """Import the API when one of its names is used: `--help` and a worker's start must not pay for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("returns_pipeline.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
