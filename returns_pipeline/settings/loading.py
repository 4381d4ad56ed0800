"""Reads and validates the settings, and passes them on to other processes."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings.definition import PREFIX, Settings
from returns_pipeline.settings.places import SHIPPED
from returns_pipeline.settings.refusals import explain, refuse_unknown


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` take precedence over the environment.

    Raises ConfigFault that names each wrong setting, its value and the allowed values.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    refuse_unknown(PREFIX, known)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigFault(
            "{problems}.",
            advice="Correct the environment or the file .env; docs/settings.md lists every setting.",
            problems="; ".join(explain(problem, PREFIX, known) for problem in error.errors()),
        ) from None


def settings_of_home(home: Path, **overrides: Any) -> Settings:
    """Return settings with all folders, the database and the broker in `home`, whatever the environment sets.

    A store of models in the environment is left out too: what is registered in such a home must not be
    published for everyone. `overrides` take precedence. Raises ConfigFault as `load_settings` does.
    """
    places = (
        "incoming_dir",
        "intakes",
        "archive_dir",
        "quarantine_dir",
        "report_dir",
        "spool_dir",
        "manifest_dir",
        "feed_dir",
        "catalogue_dir",
        "models_store",
        "database_url",
        "broker_url",
    )
    chosen = {"home": home, **dict.fromkeys(places, ""), **overrides}
    found = load_settings(**chosen)
    if found.models_store and not overrides.keys() & {"models_dir", "models_store"}:
        # RETURNS_MODELS_DIR may be the place in the store itself.
        found = load_settings(**chosen, models_dir=SHIPPED / "models")
    return found


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables for another process."""
    values = {}
    for name, value in settings:
        values[PREFIX + name.upper()] = _as_text(value)
    return values


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
