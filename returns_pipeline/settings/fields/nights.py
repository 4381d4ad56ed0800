"""When and what a night scans, and how long things are kept."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainValidator
from pydantic_settings import NoDecode

from returns_pipeline.settings.values import SKIP_PATTERNS, parse_patterns

Seconds = Annotated[float, Field(ge=0)]


class NightSettings(BaseModel):
    """When and what a night scans, and how long things are kept."""

    scan_hour: int = Field(2, ge=0, le=23, description="Hour of the nightly scan, in TIMEZONE.")
    scan_minute: int = Field(0, ge=0, le=59, description="Minute of the nightly scan, in TIMEZONE.")
    timezone: str = Field("UTC", description="IANA time zone of the schedule, like Europe/Berlin.")
    language: Literal["en", "de"] = Field(
        "en",
        description="Language of what has no reader's browser: reports, notices, and pages for browsers that "
        "name no language.",
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
