"""All settings of the system: one typed, documented, validated object.

Each is read from the environment variable RETURNS_NAME, or from a file `.env` in the working directory.
"""

from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from returns_pipeline.records.places import ObjectFolder, is_object
from returns_pipeline.settings.broker_url import parse_broker_url
from returns_pipeline.settings.fields import (
    FeedSettings,
    ModelSettings,
    NightSettings,
    NoticeSettings,
    PlaceSettings,
    ReturnSettings,
    WebSettings,
    WorkerSettings,
)
from returns_pipeline.settings.places import embedded_socket, sqlite_url
from returns_pipeline.settings.values import Intake

PREFIX = "RETURNS_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Settings(
    NoticeSettings,
    WebSettings,
    ReturnSettings,
    WorkerSettings,
    ModelSettings,
    NightSettings,
    FeedSettings,
    PlaceSettings,
    BaseSettings,
):
    """All settings. Relative paths become absolute when the settings are read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        # Docker Compose reads the same file: lines without the prefix may be its own variables.
        dotenv_filtering="match_prefix",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Derive the paths and URLs that are not set from HOME. An empty value counts as not set."""
        given = {name: value for name, value in values.items() if value != "" or name not in cls.model_fields}
        home = Path(given.get("home", "var")).expanduser().absolute()
        derived: dict[str, Any] = {
            "home": home,
            "incoming_dir": home / "incoming",
            "archive_dir": home / "archive",
            "quarantine_dir": home / "quarantine",
            "report_dir": home / "reports",
            "spool_dir": home / "spool",
            "manifest_dir": home / "manifests",
            "feed_dir": home / "feeds",
            "catalogue_dir": home / "catalogue",
            "database_url": sqlite_url(home / "returns.sqlite3"),
            "broker_url": f"redis+socket://{embedded_socket(home)}",
        }
        if is_object(str(given.get("models_dir", ""))):
            given["models_store"] = str(given.pop("models_dir"))
        if given.get("models_store"):
            derived["models_dir"] = home / "model-copies"
        return derived | given | {"home": home}

    @field_validator("manifest_dir", "feed_dir", "models_dir", "spaces_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("should be an IANA time zone, like Europe/Berlin") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("should start with sqlite:///, postgresql:// or postgresql+psycopg://")
        return value

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        parse_broker_url(value)
        return value

    @field_validator("flower_user", "flower_password")
    @classmethod
    def _one_login(cls, value: Any) -> Any:
        if "," in (value.get_secret_value() if isinstance(value, SecretStr) else value):
            raise ValueError("should have no comma, because Flower separates logins by commas")
        return value

    @model_validator(mode="after")
    def _refuse_unsigned(self) -> Self:
        if self.webhooks.get_secret_value() and not self.webhook_secret.get_secret_value():
            raise ValueError(
                "RETURNS_WEBHOOKS needs RETURNS_WEBHOOK_SECRET, so that receivers can tell a notice from a "
                "forgery: `returns-pipeline notify secret` makes one"
            )
        return self

    @model_validator(mode="after")
    def _refuse_rows_without_photos(self) -> Self:
        if self.keep_rows_days and not 0 < self.keep_days <= self.keep_rows_days:
            raise ValueError(
                "RETURNS_KEEP_ROWS_DAYS needs RETURNS_KEEP_DAYS, with at most as many days: the row of a "
                "photo says where it is"
            )
        return self

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if self.flower_host not in LOOPBACK and not self.flower_password.get_secret_value():
            raise ValueError(
                f"RETURNS_FLOWER_HOST={self.flower_host} would show the queue to everyone: "
                "set RETURNS_FLOWER_PASSWORD too"
            )
        if self.api_auth == "off" and (self.web_proxies or self.web_root):
            raise ValueError("RETURNS_API_AUTH=off behind a proxy would give everyone all permissions")
        if self.web_host not in LOOPBACK and self.api_auth == "off":
            raise ValueError(
                f"RETURNS_WEB_HOST={self.web_host} is not a loopback address: RETURNS_API_AUTH=off would "
                "give everyone all permissions"
            )
        setting = "RETURNS_INTAKES" if self.intakes else "RETURNS_INCOMING_DIR"
        for name in ("archive_dir", "quarantine_dir", "report_dir", "spool_dir", "manifest_dir"):
            for intake in self.every_intake:
                # Resolved, because `..` or a link could hide the real place of a folder.
                if getattr(self, name).resolve().is_relative_to(intake.folder.resolve()):
                    raise ValueError(
                        f"{PREFIX}{name.upper()} lies inside {setting} ({intake.folder}), so its files would "
                        "be scanned again: choose a folder outside of it"
                    )
        return self

    @property
    def private_folders(self) -> tuple[Path, ...]:
        """The folders of photos and reports that this program creates. Other users cannot enter them."""
        folders = self.archive_dir, self.quarantine_dir, self.report_dir, self.spool_dir
        return tuple(folder for folder in folders if not isinstance(folder, ObjectFolder))

    @property
    def scratch_dir(self) -> Path:
        """Local folder for files that are received or made: SPOOL_DIR, unless it is in a store."""
        return self.home / "spool" if isinstance(self.spool_dir, ObjectFolder) else self.spool_dir

    @property
    def every_intake(self) -> tuple[Intake, ...]:
        """The intakes, at least one. If INTAKES is not set, it is INCOMING_DIR with MODEL."""
        return self.intakes or (Intake(self.model, self.incoming_dir),)
