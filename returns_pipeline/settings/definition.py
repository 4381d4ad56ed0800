"""All settings of the system: one typed, documented, validated object.

Each is read from the environment variable RETURNS_NAME, or from a file `.env` in the working directory.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from returns_pipeline.records.codes import CodeFormat
from returns_pipeline.records.models import ReviewThreshold
from returns_pipeline.records.notices import EVENTS, NoticeKind
from returns_pipeline.records.places import ObjectFolder, is_object
from returns_pipeline.settings.broker_url import parse_broker_url
from returns_pipeline.settings.codes import parse_formats, parse_number_pattern
from returns_pipeline.settings.notices import (
    parse_apprise,
    parse_events,
    parse_late,
    parse_secret,
    parse_webhooks,
)
from returns_pipeline.settings.places import SHIPPED, embedded_socket, sqlite_url
from returns_pipeline.settings.values import (
    SKIP_PATTERNS,
    Intake,
    parse_folder,
    parse_hosts,
    parse_intakes,
    parse_outcomes,
    parse_patterns,
    parse_proxies,
    parse_store,
    parse_threshold,
)

PREFIX = "RETURNS_"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Megabytes = 1024 * 1024
Seconds = Annotated[float, Field(ge=0)]
#: A folder of photos, on this machine or in an object store.
PhotoFolder = Annotated[Path, NoDecode, PlainValidator(parse_folder)]


class Settings(BaseSettings):
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

    home: Path = Field(Path("var"), description="Folder of all files whose place is not set otherwise.")
    incoming_dir: PhotoFolder = Field(
        Path(),
        description="Intake folder, scanned with its subfolders; `s3://BUCKET/PREFIX`, `gs://` or `az://` is "
        "one in an object store. Default: HOME/incoming.",
    )
    feed_dir: Path = Field(
        Path(),
        description="Folder for photos that are fetched from the addresses of feeds; a subfolder for each "
        "feed is its intake. All workers share it. Default: HOME/feeds.",
    )
    intakes: Annotated[tuple[Intake, ...], NoDecode, PlainValidator(parse_intakes)] = Field(
        (),
        description="Several intake folders, each with its own model: `MODEL=FOLDER,MODEL=FOLDER`. "
        "`MODEL=feed:FILE` is a feed, a file with the addresses of photos. Each is "
        "scanned every night; INCOMING_DIR and MODEL are then not used for scans. Default: none.",
    )
    archive_dir: PhotoFolder = Field(
        Path(),
        description="Folder for classified images, here or in an object store. Default: HOME/archive.",
    )
    quarantine_dir: PhotoFolder = Field(
        Path(),
        description="Folder for images that could not be classified, here or in an object store. Default: "
        "HOME/quarantine.",
    )
    report_dir: PhotoFolder = Field(
        Path(), description="Folder for reports, here or in an object store. Default: HOME/reports."
    )
    spool_dir: PhotoFolder = Field(
        Path(),
        description="Folder for images that were sent over HTTP and wait for a worker, here or in an object "
        "store. Default: HOME/spool.",
    )
    object_links: Literal["stream", "presigned"] = Field(
        "stream",
        description="How the web gives photos and reports of an object store to a browser. stream: it sends "
        "them itself. presigned: it sends an address of the store that works for 5 minutes.",
    )
    manifest_dir: Path = Field(
        Path(),
        description="Folder for manifests, the files that announce returns. They are imported before each "
        "night's scan. Default: HOME/manifests.",
    )
    feed_hosts: Annotated[tuple[str, ...], NoDecode, PlainValidator(parse_hosts)] = Field(
        (),
        description="Hosts with a private address that feeds may name, separated by commas: `HOST` or "
        "`HOST:PORT`. Public hosts need not be named. Default: none.",
        json_schema_extra={"allowed": "hosts, separated by commas"},
    )
    feed_delay: Seconds = Field(
        1.0, le=30, description="Least seconds between two requests of feeds to the same host."
    )
    feed_timeout: float = Field(
        60.0, gt=0, le=3600, description="Most seconds of one request for a photo of a feed."
    )
    feed_scan_seconds: Seconds = Field(
        120.0,
        le=240,
        description="Seconds for which a scan fetches photos of feeds before it begins. The others are "
        "fetched in the background.",
    )
    contact: str = Field(
        "",
        description="Mail or web address that `collect` and feeds send to each site, for the site's "
        "operator. Default: none.",
    )
    catalogue_dir: PhotoFolder = Field(
        Path(),
        description="Folder for pictures of products that a program names by a path, or a file that lies "
        "elsewhere; here or in an object store. Pictures below the folder of a products file need none. "
        "Default: HOME/catalogue.",
    )
    missing_days: int = Field(
        21,
        ge=1,
        le=3650,
        description="Days after which a return that was announced has the verdict `no photo` if no photo of "
        "it came. It applies to returns that are announced from then on.",
    )
    keep_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which photos are kept in the archive, in quarantine and in the spool, counted "
        "from the moment at which each came in. Older ones are removed every day, except those that wait for "
        "a review; their results stay. 0: photos are kept for ever.",
    )
    keep_rows_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which the rows of photos are kept: names, predictions, reviews. Older runs "
        "lose theirs once no photo of them is kept and nothing waits for a person; counts, categories and "
        "reports stay. It needs KEEP_DAYS, with at most as many days. 0: rows are kept for ever.",
    )
    learn_events: int = Field(
        1000,
        ge=0,
        le=1_000_000_000,
        description="Events of customers from which on each night learns which products are kept together. "
        "Fewer say little. 0: only the command `recommendations learn` does.",
    )
    retrain: Literal[
        "off", "daily", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
    ] = Field(
        "off",
        description="When the models of the intakes are retrained with the photos that people reviewed: "
        "after every night (daily), or after the night of a weekday. A worker with `-Q train` must run; `up`"
        " then starts one. off: only the command `models retrain` does.",
    )
    retrain_reviews: int = Field(
        100,
        ge=1,
        le=1_000_000_000,
        description="Photos with a label by a person that a model does not know yet, from which on RETRAIN "
        "retrains it.",
    )
    retrain_shadow: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of each night's images that a proposed version predicts too, as a shadow. 0: "
        "none.",
    )
    retrain_promote: float = Field(
        0.0,
        ge=0,
        le=0.05,
        description="Promote a proposed version without a person if its p-value is below this, for example "
        "0.01. 0: a person decides.",
    )
    retrain_promote_photos: int = Field(
        500,
        ge=1,
        le=1_000_000_000,
        description="Photos on which the versions must have been compared, at least, for RETRAIN_PROMOTE.",
    )
    models_dir: Path = Field(
        SHIPPED / "models",
        description="Folder of the model bundles, NAME/VERSION; one in an object store sets MODELS_STORE. "
        "Default: the shipped ones.",
    )
    models_store: Annotated[str, AfterValidator(parse_store)] = Field(
        "",
        description="Folder of an object store that has the model bundles. Each machine keeps a copy in "
        "MODELS_DIR, which is HOME/model-copies then. Default: none.",
        json_schema_extra={"allowed": "`s3://BUCKET/PREFIX`, `gs://` or `az://`"},
    )
    spaces_dir: Path = Field(
        SHIPPED / "spaces",
        description="Folder of the embedding spaces, NAME/VERSION, in which pictures of products are "
        "compared. Default: the shipped ones.",
    )
    space: str = Field(
        "products",
        description="Embedding space of the catalogue: NAME, the newest version, or NAME/VERSION.",
    )
    database_url: str = Field(
        "",
        repr=False,  # may contain a password, like the next one
        description="SQLAlchemy URL of SQLite or PostgreSQL. Default: the SQLite file HOME/returns.sqlite3.",
    )
    broker_url: str = Field(
        "",
        repr=False,
        description="URL of Redis (`redis://`), of Redis with TLS (`rediss://`) or of its Sentinels "
        "(`sentinel://HOST:PORT;sentinel://HOST:PORT`), with parameters; see operations. Default: the socket "
        "of the embedded Redis of HOME, which `returns-pipeline up` starts.",
    )
    runtime: Literal["auto", "openvino", "keras", "stub"] = Field(
        "auto",
        description="Library that runs the model. auto: OpenVINO if the bundle has an export for it, else "
        "Keras. stub: a replacement for tests, whose label is the image's brightness.",
    )
    mixed_precision: bool = Field(
        False,
        description="Let the Keras runtime compute in float16, which is faster on a GPU. It first compares "
        "the labels of 4,096 images with those of float32; at most 0.1 % may differ.",
    )
    model: str = Field(
        "fashion-mnist",
        description="Model of new runs: NAME (its active version, see `models promote`) or NAME/VERSION.",
    )
    chunk_size: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Maximum number of images in a chunk, which a worker process classifies as a unit. 0: "
        "about two seconds of work, estimated from the last chunks.",
    )
    settle_seconds: Seconds = Field(
        5.0, le=300, description="Seconds that a file must be unchanged before a scan accepts it."
    )
    skip_patterns: Annotated[tuple[str, ...], NoDecode, PlainValidator(parse_patterns)] = Field(
        SKIP_PATTERNS,
        description="Names of files and folders that a scan skips, separated by commas; `*` and `?` are "
        "wildcards, and the case of letters does not matter. Hidden names and unfinished copies are always "
        "skipped.",
        json_schema_extra={"allowed": "patterns without a slash, separated by commas"},
    )
    scan_hour: int = Field(2, ge=0, le=23, description="Hour of the nightly scan, in TIMEZONE.")
    scan_minute: int = Field(0, ge=0, le=59, description="Minute of the nightly scan, in TIMEZONE.")
    timezone: str = Field("UTC", description="IANA time zone of the schedule, like Europe/Berlin.")
    language: Literal["en", "de"] = Field(
        "en",
        description="Language of what has no reader's browser: reports, notices, and pages for browsers that "
        "name no language.",
    )
    lease_seconds: float = Field(
        60.0,
        gt=0,
        le=3000,
        description="Seconds without progress after which another worker process may claim a chunk.",
    )
    resend_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds after which the message of an open chunk is sent again, if the queue is empty.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="Attempts at an image that is alone in its chunk, before it is quarantined or marked as "
        "failed; attempts to move a photo that may not be moved, before it stays where it is.",
    )
    image_seconds: float = Field(
        10.0,
        gt=0,
        le=3000,
        description="Maximum seconds to decode one image. It has no effect with DECODE_THREADS.",
    )
    chunk_seconds: int = Field(
        120,
        ge=1,
        le=3000,
        description="Maximum seconds for one chunk; after them its worker process is killed.",
    )
    max_pixels: int = Field(
        64_000_000,
        ge=1,
        description="Maximum pixels to decode of one image. JPEGs are counted after scaling in the decoder. "
        "Decoding takes at most 8 bytes of memory for each of these pixels, and 64 MiB.",
    )
    max_file_bytes: int = Field(50 * Megabytes, ge=1, description="Maximum bytes of one file.")
    review_threshold: Annotated[ReviewThreshold, NoDecode, PlainValidator(parse_threshold)] = Field(
        0.8,
        description="A prediction with a lower probability is marked for review. `precision:0.98` sets a "
        "threshold for each label: the lowest probability above which 98 % of the model's predictions for "
        "its validation images were right.",
        json_schema_extra={
            "allowed": "number, at least 0, at most 1; or `precision:` and a number above 0, at most 1"
        },
    )
    familiarity: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="A photo is unlike anything the model was trained on if a smaller share of its "
        "validation photos is stranger. Such a photo is reviewed whatever its probability. 0: none is. A "
        "model without the file `familiarity.bin` cannot tell.",
    )
    false_alarms: float = Field(
        0.02,
        gt=0,
        le=0.2,
        description="Wanted share of right returns that are called a mismatch. The thresholds of verdicts "
        "are chosen for it from the model's validation images. At most the same share of wrong returns is "
        "called a match. Verdicts on expected products have the same wanted share.",
    )
    worker_processes: int = Field(
        0, ge=0, le=1024, description="Processes of one worker. 0: one for each core."
    )
    interactive_processes: int = Field(
        1,
        ge=0,
        le=1024,
        description="Processes that `up` starts for requests alone, so that no client waits for chunks of a "
        "night. 0: none, which saves the memory of one.",
    )
    worker_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads of one worker process that run its model on the CPU. 0: its share of the cores.",
    )
    decode_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of one worker process that decode images while its model runs, for example 8 "
        "for a GPU. 0: images are decoded before the model runs.",
    )
    worker_memory_mb: int = Field(
        2048,
        ge=64,
        description="Resident memory in MiB; above it a worker process is replaced after its current chunk.",
    )
    web_host: str = Field(
        "127.0.0.1", description="Address that the web page and the REST interface listen on."
    )
    web_port: int = Field(
        8000, ge=1, le=65535, description="Port that the web page and the REST interface listen on."
    )
    web_root: str = Field(
        "",
        pattern=r"^(/[\w.-]+)*$",
        description="Path under which a reverse proxy serves the web, like /returns. Default: none.",
    )
    web_proxies: Annotated[str, AfterValidator(parse_proxies)] = Field(
        "",
        description="Addresses or networks of reverse proxies whose forwarded headers are trusted, separated "
        "by commas. Default: none.",
        json_schema_extra={"allowed": "addresses like 10.0.0.5 or networks like 10.0.0.0/24"},
    )
    web_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret that signs the sessions of the web page. Default: a random one in the file "
        "HOME/web-secret.",
    )
    web_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes of the web behind its port. Limits of the web hold for each of them.",
    )
    web_connections: int = Field(
        512,
        ge=32,
        le=65_535,
        description="Maximum number of connections to one web process. If all are in use, one that waits for "
        "a request is closed for a new one. The last 16 are kept for /healthz, /readyz and /metrics.",
    )
    web_receive_seconds: float = Field(
        15.0,
        gt=0,
        le=600,
        description="Maximum seconds in which the head of a request arrives, and over which the speed of its "
        "body is averaged.",
    )
    web_min_bytes_per_second: int = Field(
        4096,
        ge=1,
        description="Lowest speed at which the body of a request arrives; a slower one is refused.",
    )
    thumbnail_cache_mb: int = Field(
        256,
        ge=1,
        description="Maximum MiB of thumbnails in HOME/thumbnails. The ones that were not used for the "
        "longest time are deleted.",
    )
    feature_cache_mb: int = Field(
        2048,
        ge=1,
        description="Maximum MiB of the features of training photos in HOME/cache/features. The ones that "
        "were not used for the longest time are deleted.",
    )
    thumbnail_memory_mb: int = Field(
        1024,
        ge=256,
        description="Maximum MiB of each of the two processes that decode photos for the web. A photo that "
        "takes more has no thumbnail.",
    )
    api_auth: Literal["on", "off"] = Field(
        "on",
        description="off: every client of WEB_HOST has all permissions. Only allowed on a loopback address.",
    )
    api_seconds: float = Field(
        30.0, gt=0, le=600, description="Maximum seconds that a request waits for its predictions."
    )
    api_batch: int = Field(
        256,
        ge=1,
        le=2048,
        description="Maximum number of images in one chunk of requests. Requests that arrive while the ones "
        "before are being stored share a chunk.",
    )
    api_max_images: int = Field(
        1000, ge=1, le=100_000, description="Maximum number of images in one request."
    )
    api_max_bytes: int = Field(
        256 * Megabytes, ge=1, description="Maximum bytes of one request, with all its images."
    )
    codes: Annotated[tuple[CodeFormat, ...], NoDecode, PlainValidator(parse_formats)] = Field(
        (),
        description="Codes that are read in photos, like `qr,ean13,code128`; see codes. Default: none.",
        json_schema_extra={"allowed": ", ".join(CodeFormat)},
    )
    code_pattern: Annotated[str, AfterValidator(parse_number_pattern)] = Field(
        "",
        description="Regular expression (RE2) that the whole text of a code must match; its group is "
        "the number of a return, like `https://shop\\.example/r/(RMA-[0-9]{8})`. Default: every text is a "
        "number.",
        json_schema_extra={"allowed": "regular expression with one group"},
    )
    slips: Literal["on", "off"] = Field(
        "on",
        description="on: a photo that shows the code of a return opens it, and the photos after it in the "
        "same folder belong to it until the next one. It has no effect without CODES.",
    )
    folder_pattern: Annotated[str, AfterValidator(parse_number_pattern)] = Field(
        "",
        description="Regular expression (RE2) that finds the number of a return in the name of a photo's "
        "folder, like `^(RMA-[0-9]{8})$`; its group is the number. Default: folders say nothing.",
        json_schema_extra={"allowed": "regular expression with one group"},
    )
    file_pattern: Annotated[str, AfterValidator(parse_number_pattern)] = Field(
        "",
        description="Regular expression (RE2) that finds the number of a return in the name of a photo, "
        "like `^(RMA-[0-9]{8})_`; its group is the number. Default: names say nothing.",
        json_schema_extra={"allowed": "regular expression with one group"},
    )
    audit_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the predictions above REVIEW_THRESHOLD that are offered for review as a "
        "sample.",
    )
    review_outcomes: Annotated[tuple[str, ...], NoDecode, PlainValidator(parse_outcomes)] = Field(
        (),
        description="Further outcomes of a review without a category, like `wrong_item,damaged`, beside "
        "none_of_these, unreadable and retake. Default: none.",
    )
    reuse_days: int = Field(
        90,
        ge=0,
        le=3650,
        description="How many days back the photos of a scan are compared with earlier ones, to find the "
        "same photo again. 0: not at all.",
    )
    webhooks: Annotated[SecretStr, AfterValidator(parse_webhooks)] = Field(
        SecretStr(""),
        description="Addresses that get each notice as a signed POST request, separated by commas; see "
        "notices.",
        json_schema_extra={"allowed": "addresses of HTTP, separated by commas"},
    )
    webhook_secret: Annotated[SecretStr, AfterValidator(parse_secret)] = Field(
        SecretStr(""),
        description="Secret that signs webhooks, required with WEBHOOKS. Of several, separated by commas, "
        "each signs.",
        json_schema_extra={"allowed": "what `returns-pipeline notify secret` prints"},
    )
    apprise: Annotated[SecretStr, AfterValidator(parse_apprise)] = Field(
        SecretStr(""),
        description="Apprise addresses that get each notice, separated by commas: mail, Slack, Teams, ntfy "
        "and others.",
        json_schema_extra={"allowed": "addresses of Apprise, separated by commas"},
    )
    notice_events: Annotated[tuple[NoticeKind, ...], NoDecode, PlainValidator(parse_events)] = Field(
        EVENTS,
        description="What WEBHOOKS and APPRISE are told, separated by commas.",
        json_schema_extra={"allowed": "names of events, separated by commas"},
    )
    notice_late: Annotated[str, AfterValidator(parse_late)] = Field(
        "4",
        description="When a night that is not finished counts as late: hours after it was due, or a time of "
        "day in TIMEZONE, like 06:00.",
        json_schema_extra={"allowed": "hours above 0 and below 24, or HH:MM"},
    )
    flower_host: str = Field("127.0.0.1", description="Address that Flower listens on.")
    flower_port: int = Field(5555, ge=1, le=65535, description="Port that Flower listens on.")
    flower_user: str = Field(
        "admin", min_length=1, description="User name for Flower if FLOWER_PASSWORD is set."
    )
    flower_password: SecretStr = Field(
        SecretStr(""), description="Password for Flower. Required if FLOWER_HOST is not a loopback address."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Format of log lines. console: for people. json: for machines."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
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

    @field_validator(
        "manifest_dir",
        "feed_dir",
        "models_dir",
        "spaces_dir",
    )
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
