"""How photos and pictures are fetched from addresses."""

from typing import Annotated

from pydantic import BaseModel, Field, PlainValidator
from pydantic_settings import NoDecode

from returns_pipeline.settings.values import parse_hosts

Seconds = Annotated[float, Field(ge=0)]


class FeedSettings(BaseModel):
    """How photos and pictures are fetched from addresses."""

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
