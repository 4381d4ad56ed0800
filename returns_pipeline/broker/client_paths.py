"""A Celery task that makes the client's paths absolute before it sends them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Task


class ClientPathsTask(Task[Any, Any]):
    """Makes paths absolute in the client's working directory, not in the worker's."""

    abstract = True

    def apply_async(  # type: ignore[override]  # all options pass through
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> Any:
        """Send the task with absolute paths."""
        args, kwargs = list(args or ()), dict(kwargs or {})
        if args:
            args[0] = absolute(args[0])
        elif "paths" in kwargs:
            kwargs["paths"] = absolute(kwargs["paths"])
        return super().apply_async(args, kwargs, **options)


def absolute(paths: Sequence[str]) -> list[str]:
    """Return the paths, absolute from this process's working directory.

    Raises TypeError for a plain string, whose characters would count as paths.
    """
    if isinstance(paths, str):
        raise TypeError(f"classify_paths takes a list of paths: [{paths!r}]")
    return [str(Path(path).absolute()) for path in paths]
