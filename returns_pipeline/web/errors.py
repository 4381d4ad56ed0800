"""Errors that only HTTP has, and how error responses are described in the OpenAPI document.

Every other error states its own `http_status` in `returns_pipeline.errors`.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from returns_pipeline.errors import RefusedError

#: Seconds after which a client may send a request again that got 503, as the value of `Retry-After`.
RETRY_AFTER = "5"


class TooLargeError(RefusedError):
    """A request body with more bytes than allowed."""

    http_status = 413

    def __init__(self, most: int) -> None:
        """Name the limit: `most` bytes."""
        super().__init__(
            "The request is larger than {most:,} bytes.",
            "Send fewer or smaller images in one request; RETURNS_API_MAX_BYTES sets the limit.",
            most=most,
        )


class TooManyImagesError(RefusedError):
    """A request with more images than allowed."""

    http_status = 413


class NoReplyError(RefusedError):
    """No worker has replied in time. Images that were sent stay stored and are classified later."""

    http_status = 503


class BusyError(RefusedError):
    """A request for which there is no place now: the caller should send it again."""

    http_status = 503

    def __init__(self, what: str, retry_after: int = int(RETRY_AFTER)) -> None:
        """Say in a sentence `what` is busy. The client should try again after some seconds."""
        super().__init__(what, "Try again in some seconds.")
        self.retry_after = retry_after


class SlowBodyError(RefusedError):
    """A request whose body arrives too slowly."""

    http_status = 408

    def __init__(self, least: int) -> None:
        """Name the limit: `least` bytes a second."""
        super().__init__(
            "The request arrives with less than {least:,} bytes a second.",
            "Send it over a faster connection; RETURNS_WEB_MIN_BYTES_PER_SECOND sets the limit.",
            least=least,
        )


class UnauthorizedError(RefusedError):
    """A request without valid credentials."""

    http_status = 401


class ForbiddenError(RefusedError):
    """A request that the caller's role does not allow, or that comes from another site."""

    http_status = 403


class TooManyAttemptsError(RefusedError):
    """Too many wrong passwords or tokens in a short time."""

    http_status = 429


class Fault(BaseModel):
    """What is wrong, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    error: str
    advice: str = ""


#: The error responses that any endpoint may give.
FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Fault, "description": "The request cannot be understood."},
    401: {"model": Fault, "description": "The request has no valid credentials."},
    403: {"model": Fault, "description": "The caller's role does not allow this."},
    404: {"model": Fault, "description": "There is no such run, image, return, model or job."},
    408: {"model": Fault, "description": "The request arrives too slowly."},
    409: {"model": Fault, "description": "The request does not fit the present state."},
    410: {"model": Fault, "description": "The image was deleted, or its photo was removed."},
    413: {"model": Fault, "description": "The request is too large."},
    422: {"model": Fault, "description": "A value is missing, out of bounds or of a wrong form."},
    429: {"model": Fault, "description": "Too many wrong tokens come from this address."},
    500: {"model": Fault, "description": "An internal error; its id is in the log."},
    503: {
        "model": Fault,
        "description": "The database, the broker or the workers do not answer, or too "
        "many requests are open.",
    },
}
