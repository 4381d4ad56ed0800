"""What can be wrong with a request, each with its HTTP status."""

from returns_pipeline.errors import PipelineError


class RequestError(PipelineError):
    """A request that is not answered as it was meant; `status` is the HTTP status of the answer."""

    status = 400


class TooLargeError(RequestError):
    """More bytes than a request may have."""

    status = 413

    def __init__(self, most: int) -> None:
        """Say how many there may be."""
        super().__init__(
            f"The request is larger than {most:,} bytes.",
            "Send fewer or smaller images at once; RETURNS_API_MAX_BYTES sets the limit.",
        )


class TooManyError(RequestError):
    """More images than a request may have."""

    status = 413


class NoAnswerError(RequestError):
    """No worker has answered in time; what was sent is classified all the same."""

    status = 503


class UnauthorizedError(RequestError):
    """Nobody known asks."""

    status = 401


class ForbiddenError(RequestError):
    """Somebody known asks for what they may not do."""

    status = 403


class NotFoundError(RequestError):
    """There is no such thing."""

    status = 404


class ConflictError(RequestError):
    """What is asked does not fit what is there now."""

    status = 409


class TooOftenError(RequestError):
    """Somebody asks too often."""

    status = 429
