"""The pages, the REST interface and Flower."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from returns_pipeline.settings.values import parse_proxies

_MEGABYTE = 1024 * 1024


class WebSettings(BaseModel):
    """The pages, the REST interface and Flower."""

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
        256 * _MEGABYTE, ge=1, description="Maximum bytes of one request, with all its images."
    )
    flower_host: str = Field("127.0.0.1", description="Address that Flower listens on.")
    flower_port: int = Field(5555, ge=1, le=65535, description="Port that Flower listens on.")
    flower_user: str = Field(
        "admin", min_length=1, description="User name for Flower if FLOWER_PASSWORD is set."
    )
    flower_password: SecretStr = Field(
        SecretStr(""), description="Password for Flower. Required if FLOWER_HOST is not a loopback address."
    )
