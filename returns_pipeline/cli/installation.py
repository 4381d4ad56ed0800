"""Opens the settings and the database for a command."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from returns_pipeline.settings import Settings
    from returns_pipeline.store.database import Database


def open_database(settings: "Settings | None" = None) -> "Database":
    """Open the database of these settings, or of the environment's.

    Raises ConfigFault if a setting is wrong or the tables are not those of this version.
    """
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store import database

    return database.open_database((settings or load_settings()).database_url)


def open_installation() -> "tuple[Settings, Database]":
    """Return the settings of the environment and their database, opened. Raises as `open_database`."""
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    return settings, open_database(settings)
