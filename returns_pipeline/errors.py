"""Whose fault it is decides what happens: record it, try again, or stop."""

# Faults, not errors: the name says whose they are.
# ruff: noqa: N818

from enum import StrEnum


class FaultCode(StrEnum):
    """Why an image has no prediction: a closed set, each with a sentence for the person who reads it."""

    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNREADABLE = "unreadable"
    VANISHED = "vanished"
    CHANGED = "changed"
    TIMED_OUT = "timed_out"
    KILLED_WORKER = "killed_worker"
    GAVE_UP = "gave_up"

    @property
    def sentence(self) -> str:
        """What the code means, in one sentence."""
        return _SENTENCES[self]


_SENTENCES = {
    FaultCode.EMPTY_FILE: "The file has no content.",
    FaultCode.NOT_AN_IMAGE: "The content is not an image, whatever the name says.",
    FaultCode.UNSUPPORTED_FORMAT: "The content is an image of a format that is not accepted.",
    FaultCode.TRUNCATED: "The image ends too early or its data is damaged.",
    FaultCode.TOO_LARGE: "The file has more bytes than RETURNS_MAX_FILE_BYTES.",
    FaultCode.TOO_MANY_PIXELS: "The image has more pixels to decode than RETURNS_MAX_PIXELS.",
    FaultCode.UNREADABLE: "The file cannot be read: its permissions or the disk forbid it.",
    FaultCode.VANISHED: "The file was gone when it was to be read.",
    FaultCode.CHANGED: "The file was replaced or still being written after it was seen.",
    FaultCode.TIMED_OUT: "Decoding the image took longer than RETURNS_IMAGE_SECONDS.",
    FaultCode.KILLED_WORKER: "Alone in its chunk, the image ended every worker process that tried it.",
    FaultCode.GAVE_UP: "An error of the pipeline's own met the image each time it was tried.",
}


class PipelineError(Exception):
    """Base of every error that this package raises on purpose.

    `message` says what is wrong and `advice` what to do about it, a sentence each. Both may have named fields
    like `{name}`, which are filled from the `parameters`: `template` and `parameters` together are what a
    translation needs. `exit_code` is what the command line ends with, `http_status` what the web answers
    with: each family states both here, once.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, advice: str = "", **parameters: object) -> None:
        """Keep the sentences and what their fields stand for."""
        self.template, self.advice_template, self.parameters = message, advice, parameters
        self.message = message.format(**parameters) if parameters else message
        self.advice = advice.format(**parameters) if parameters else advice
        # An exception is built again from its arguments in another process.
        super().__init__(self.message, self.advice)

    def __str__(self) -> str:
        """Return the message followed by the advice."""
        return f"{self.message} {self.advice}".strip()


class ImageFault(PipelineError):
    """An image that cannot be classified because of its own file: recorded in its row, never retried."""

    http_status = 422

    def __init__(self, code: FaultCode, detail: str = "", **parameters: object) -> None:
        """Keep the `code` and a `detail` that says more than the code's sentence."""
        super().__init__(detail or code.sentence, "", **parameters)
        self.code = code
        self.detail = self.message
        self.args = (code, self.detail)


class TransientFault(PipelineError):
    """A transient failure of disk, database or broker; retried."""

    http_status = 503


class ConfigFault(PipelineError):
    """A wrong setting, bundle or machine: an operator corrects it, no image is touched."""

    exit_code = 3


class RefusedError(PipelineError):
    """A request that cannot be done as it was made; nothing was changed."""

    exit_code = 3
    http_status = 400


class NotFoundError(RefusedError):
    """A request for something that does not exist."""

    http_status = 404


class ConflictError(RefusedError):
    """A request that does not fit the present state; it may fit later."""

    http_status = 409
