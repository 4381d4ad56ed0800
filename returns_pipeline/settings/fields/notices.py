"""Who is told what, and the log."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, SecretStr
from pydantic_settings import NoDecode

from returns_pipeline.records.notices import EVENTS, NoticeKind
from returns_pipeline.settings.notices import (
    parse_apprise,
    parse_events,
    parse_late,
    parse_secret,
    parse_webhooks,
)


class NoticeSettings(BaseModel):
    """Who is told what, and the log."""

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
    log_format: Literal["console", "json"] = Field(
        "console", description="Format of log lines. console: for people. json: for machines."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
    )
