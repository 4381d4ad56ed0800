"""A Celery task whose paths are absolute from the moment that a client names them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import Task


class ClientPathsTask(Task[Any, Any]):
    """Makes paths absolute where they are given, not in the worker's folder."""

    abstract = True

    def apply_async(  # type: ignore[override]  # the options pass through whatever they are
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
    """Return the paths as seen from this process's working directory.

    Raises TypeError for one path that is not in a list: its letters would be taken for paths.
    """
    if isinstance(paths, str):
        raise TypeError(f"classify_paths takes a list of paths: [{paths!r}]")
    return [str(Path(path).absolute()) for path in paths]
