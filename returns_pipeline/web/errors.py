"""What can be wrong with a request, each with its HTTP status."""

from returns_pipeline.errors import RefusedError


class TooLargeError(RefusedError):
    """More bytes than a request may have."""

    http_status = 413

    def __init__(self, most: int) -> None:
        """Say how many there may be."""
        super().__init__(
            f"The request is larger than {most:,} bytes.",
            "Send fewer or smaller images at once; RETURNS_API_MAX_BYTES sets the limit.",
        )


class TooManyError(RefusedError):
    """More images than a request may have."""

    http_status = 413


class NoAnswerError(RefusedError):
    """No worker has answered in time; what was sent is classified all the same."""

    http_status = 503


class UnauthorizedError(RefusedError):
    """Nobody known asks."""

    http_status = 401


class ForbiddenError(RefusedError):
    """Somebody known asks for what they may not do."""

    http_status = 403


class TooOftenError(RefusedError):
    """Somebody asks too often."""

    http_status = 429
