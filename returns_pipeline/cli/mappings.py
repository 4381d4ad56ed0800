"""The options `--mapping` and `--save-mapping` of imports."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from returns_pipeline.store.database import Database
    from returns_pipeline.store.mappings import Mappings


def mapping_of(
    database: "Database", saved: "Mappings", wanted: str | None, check: Callable[[object], dict[str, Any]]
) -> dict[str, Any]:
    """Return the mapping of a JSON file or of a saved name. Raises RefusedError if it is none."""
    import json

    from returns_pipeline.errors import RefusedError

    if wanted is None:
        return {}
    path = Path(wanted)
    if path.suffix != ".json" and not path.is_file():
        return saved.find(database, wanted)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RefusedError(
            "The mapping {path} cannot be read: {reason}.", path=path, reason=error.strerror
        ) from error
    except (ValueError, RecursionError):
        content = None
    return check(content)


def save_mapping(database: "Database", saved: "Mappings", name: str, columns: Mapping[str, Any]) -> None:
    """Save a mapping under a name."""
    if not columns:
        raise typer.BadParameter("--save-mapping needs a mapping: --mapping FILE.json.")
    if not (0 < len(name) <= 60 and name.isprintable()):
        raise typer.BadParameter("A mapping's name has 1 to 60 printable characters.")
    saved.save(database, name, columns)
