"""All settings of the system: one typed, documented, validated object."""

from returns_pipeline.settings.definition import LOOPBACK, PREFIX, Settings
from returns_pipeline.settings.loading import environment_of, load_settings, settings_of_home
from returns_pipeline.settings.places import PROJECT_ROOT, SHIPPED, embedded_socket, sqlite_file
from returns_pipeline.settings.values import SKIP_PATTERNS, Intake

__all__ = [
    "LOOPBACK",
    "PREFIX",
    "PROJECT_ROOT",
    "SHIPPED",
    "SKIP_PATTERNS",
    "Intake",
    "Settings",
    "embedded_socket",
    "environment_of",
    "load_settings",
    "settings_of_home",
    "sqlite_file",
]
