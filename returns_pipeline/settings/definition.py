"""Every setting of the system: one typed, documented object that refuses what is wrong.

Each is read from the environment as RETURNS_NAME, or from a file `.env` in the working directory.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, PlainValidator, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from returns_pipeline.records.models import ReviewThreshold
from returns_pipeline.settings.places import SHIPPED, embedded_socket, sqlite_url
from returns_pipeline.settings.values import Intake, parse_intakes, parse_threshold

PREFIX = "RETURNS_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Megabytes = 1024 * 1024
Seconds = Annotated[float, Field(ge=0)]


class Settings(BaseSettings):
    """What can be set. Paths may be relative: they are made absolute when the settings are read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        # Compose reads the same file for its own variables: lines without the prefix are not ours to refuse.
        dotenv_filtering="match_prefix",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(Path("var"), description="Folder for everything that is not set otherwise.")
    incoming_dir: Path = Field(
        Path(), description="Intake folder, scanned with its subfolders. Default: HOME/incoming."
    )
    intakes: Annotated[tuple[Intake, ...], NoDecode, PlainValidator(parse_intakes)] = Field(
        (),
        description="Several intakes, each scanned every night with a model of its own instead of "
        "INCOMING_DIR with MODEL: `MODEL=FOLDER,MODEL=FOLDER`. Default: none.",
    )
    archive_dir: Path = Field(Path(), description="Where classified images go. Default: HOME/archive.")
    quarantine_dir: Path = Field(
        Path(), description="Where images that could not be classified go. Default: HOME/quarantine."
    )
    report_dir: Path = Field(Path(), description="Where reports are written. Default: HOME/reports.")
    spool_dir: Path = Field(
        Path(), description="Where images from HTTP wait for a worker. Default: HOME/spool."
    )
    models_dir: Path = Field(
        SHIPPED / "models",
        description="Folder of the model bundles, NAME/VERSION. Default: the shipped ones.",
    )
    database_url: str = Field(
        "",
        repr=False,  # may hold a password, like the next one
        description="SQLAlchemy URL of SQLite or PostgreSQL. Default: the SQLite file HOME/returns.sqlite3.",
    )
    broker_url: str = Field(
        "",
        repr=False,
        description="Redis URL. Default: the socket of the Redis that `returns-pipeline up` starts for HOME.",
    )
    runtime: Literal["auto", "openvino", "keras", "stub"] = Field(
        "auto",
        description="What runs the model: auto takes OpenVINO where the bundle has an export, else Keras.",
    )
    mixed_precision: bool = Field(
        False,
        description="The Keras runtime may compute in float16, which is faster on a GPU, after 4,096 images "
        "whose labels agreed with those of float32 but for 0.1 %.",
    )
    model: str = Field(
        "fashion-mnist",
        description="Model of new runs: NAME (its active version, see `models promote`) or NAME/VERSION.",
    )
    chunk_size: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Most images in one chunk, the unit of work of a worker. 0: about two seconds' work, "
        "by what the last chunks took.",
    )
    settle_seconds: Seconds = Field(
        5.0, le=300, description="A file must be unchanged this many seconds before a scan takes it."
    )
    scan_hour: int = Field(2, ge=0, le=23, description="Hour of the nightly scan in TIMEZONE.")
    scan_minute: int = Field(0, ge=0, le=59, description="Minute of the nightly scan in TIMEZONE.")
    timezone: str = Field("UTC", description="IANA time zone of the schedule, like Europe/Berlin.")
    lease_seconds: float = Field(
        60.0,
        gt=0,
        le=3000,
        description="Seconds without progress after which the sweep gives a worker's chunk to another.",
    )
    resend_seconds: float = Field(
        60.0, gt=0, description="Seconds after which an idle queue makes the sweep send an open chunk again."
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="Attempts at an image that stands alone before it is set aside."
    )
    image_seconds: float = Field(
        10.0,
        gt=0,
        le=3000,
        description="Most seconds that decoding one image may take, where one is decoded after the other.",
    )
    chunk_seconds: int = Field(
        120, ge=1, le=3000, description="Most seconds that one chunk may take before its process is ended."
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1,
        description="Most pixels of one image that are decoded (JPEGs count after scaling down).",
    )
    max_file_bytes: int = Field(50 * Megabytes, ge=1, description="Most bytes of one file.")
    review_threshold: Annotated[ReviewThreshold, NoDecode, PlainValidator(parse_threshold)] = Field(
        0.8,
        description="A prediction less probable than this is marked for a person to review. `precision:0.98` "
        "takes, for each label, the probability from which on 98 % of the model's answers were right on its "
        "validation images.",
        json_schema_extra={
            "allowed": "number, at least 0, at most 1; or `precision:` and a number above 0, at most 1"
        },
    )
    worker_processes: int = Field(
        0, ge=0, le=1024, description="Processes of one worker. 0: one for each core."
    )
    worker_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads of one worker process for its model on the CPU. 0: its share of the cores.",
    )
    decode_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of one worker process that decode ahead of its model. 0: none; for a GPU, some.",
    )
    worker_memory_mb: int = Field(
        2048, ge=64, description="Resident MiB over which a worker process is replaced after its chunk."
    )
    web_host: str = Field("127.0.0.1", description="Address of the web page and the REST interface.")
    web_port: int = Field(8000, ge=1, le=65535, description="Their port.")
    web_root: str = Field(
        "",
        pattern=r"^(/[\w.-]+)*$",
        description="Path under which a proxy shows the web, like /returns. Default: none.",
    )
    web_proxies: str = Field(
        "",
        description="Addresses of proxies whose forwarded headers are believed, with commas between. "
        "Default: none.",
    )
    web_secret: SecretStr = Field(
        SecretStr(""), description="What signs the sessions. Default: a random file HOME/web-secret."
    )
    api_auth: Literal["on", "off"] = Field(
        "on", description="off: whoever reaches WEB_HOST may do everything; only on a loopback address."
    )
    api_seconds: float = Field(
        30.0, gt=0, le=600, description="Most seconds that a request waits for the workers' answer."
    )
    api_max_images: int = Field(1000, ge=1, le=100_000, description="Most images in one request.")
    api_max_bytes: int = Field(
        256 * Megabytes, ge=1, description="Most bytes of one request, of all its images together."
    )
    audit_share: float = Field(
        0.02, ge=0, le=1, description="Part of the sure answers that a person is asked to look at too."
    )
    flower_host: str = Field("127.0.0.1", description="Address that Flower listens on.")
    flower_port: int = Field(5555, ge=1, le=65535, description="Port that Flower listens on.")
    flower_user: str = Field(
        "admin", min_length=1, description="User name for Flower when a password is set."
    )
    flower_password: SecretStr = Field(
        SecretStr(""), description="Password for Flower. Required when FLOWER_HOST is not a loopback address."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people or for machines."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe line logged."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Derive every path and URL that is not set from HOME; an empty value counts as not set."""
        given = {name: value for name, value in values.items() if value != "" or name not in cls.model_fields}
        home = Path(given.get("home", "var")).expanduser().absolute()
        derived: dict[str, Any] = {
            "home": home,
            "incoming_dir": home / "incoming",
            "archive_dir": home / "archive",
            "quarantine_dir": home / "quarantine",
            "report_dir": home / "reports",
            "spool_dir": home / "spool",
            "database_url": sqlite_url(home / "returns.sqlite3"),
            "broker_url": f"redis+socket://{embedded_socket(home)}",
        }
        return derived | given | {"home": home}

    @field_validator("incoming_dir", "archive_dir", "quarantine_dir", "report_dir", "spool_dir", "models_dir")
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
        if not value.startswith(("redis://", "rediss://", "redis+socket://")):
            raise ValueError("should start with redis://, rediss:// or redis+socket://")
        return value

    @field_validator("flower_user", "flower_password")
    @classmethod
    def _one_login(cls, value: Any) -> Any:
        if "," in (value.get_secret_value() if isinstance(value, SecretStr) else value):
            raise ValueError("should have no comma: Flower takes it for the end of one login")
        return value

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if self.flower_host not in LOOPBACK and not self.flower_password.get_secret_value():
            raise ValueError(
                f"RETURNS_FLOWER_HOST={self.flower_host} would show the queue to anyone: "
                "set RETURNS_FLOWER_PASSWORD too"
            )
        if self.api_auth == "off" and (self.web_proxies or self.web_root):
            raise ValueError("RETURNS_API_AUTH=off behind a proxy would let anyone do everything")
        if self.web_host not in LOOPBACK and self.api_auth == "off":
            raise ValueError(
                f"RETURNS_WEB_HOST={self.web_host} is reached by others: RETURNS_API_AUTH=off would let "
                "anyone do everything"
            )
        setting = "RETURNS_INTAKES" if self.intakes else "RETURNS_INCOMING_DIR"
        for name in ("archive_dir", "quarantine_dir", "report_dir", "spool_dir"):
            for intake in self.every_intake:
                # Resolved: neither `..` nor a link may hide where a folder really lies.
                if getattr(self, name).resolve().is_relative_to(intake.folder.resolve()):
                    raise ValueError(
                        f"{PREFIX}{name.upper()} lies inside {setting} ({intake.folder}), so it "
                        "would be scanned as intake: choose a folder outside of it"
                    )
        return self

    @property
    def every_intake(self) -> tuple[Intake, ...]:
        """The intakes, at least one: without INTAKES it is INCOMING_DIR with MODEL."""
        return self.intakes or (Intake(self.model, self.incoming_dir),)
