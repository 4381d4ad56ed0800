"""The errors of this package. Its family decides what happens: record it, retry it, or stop."""

# The names of faults need no suffix "Error".
# ruff: noqa: N818

from collections.abc import Mapping, Sequence
from enum import StrEnum

from returns_pipeline.languages import N_, Words, gettext, retold

#: Fields that are filled with a sentence or a word of this program, not with a name or a number.
_TOLD = frozenset({"kind", "needed", "problem", "reason", "role", "sentence", "state", "what"})


class FaultCode(StrEnum):
    """Why an image has no prediction. Each code has a sentence for people."""

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
        """The meaning of the code in one sentence, as it is stored: in English."""
        return _SENTENCES[self]

    @property
    def shown(self) -> str:
        """The meaning of the code in one sentence, in the reader's language."""
        return Words(_SENTENCES)[self]


_SENTENCES: Mapping[str, str] = {
    FaultCode.EMPTY_FILE: N_("The file has no content."),
    FaultCode.NOT_AN_IMAGE: N_("The content is not an image, even if the file name says so."),
    FaultCode.UNSUPPORTED_FORMAT: N_("The content is an image in a format that is not accepted."),
    FaultCode.TRUNCATED: N_("The image is cut off or its data is damaged."),
    FaultCode.TOO_LARGE: N_("The file is larger than allowed (RETURNS_MAX_FILE_BYTES)."),
    FaultCode.TOO_MANY_PIXELS: N_("The image has more pixels than allowed (RETURNS_MAX_PIXELS)."),
    FaultCode.UNREADABLE: N_("The file cannot be read, because of its permissions or the disk."),
    FaultCode.VANISHED: N_("The file was gone before it could be read."),
    FaultCode.CHANGED: N_("The file was replaced or changed after the scan found it."),
    FaultCode.TIMED_OUT: N_("Opening the image took longer than allowed (RETURNS_IMAGE_SECONDS)."),
    FaultCode.KILLED_WORKER: N_("Each attempt to classify the image crashed the program."),
    FaultCode.GAVE_UP: N_("Each attempt to classify the image failed with an error of this system."),
}


class PipelineError(Exception):
    """Base of every error that this package raises on purpose.

    `message` says what is wrong, and `advice` what to do about it, in a sentence each. Both may have named
    fields like `{name}`, which are filled from the `parameters`. They are English: what is stored, logged and
    shown on a terminal. `shown_message`, `shown_advice` and `shown` are in the reader's language. Each family
    defines the `exit_code` of the command line and the `http_status` of the web.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, advice: str = "", **parameters: object) -> None:
        """Fill the fields of both sentences with the `parameters`."""
        self.template, self.advice_template, self.parameters = message, advice, parameters
        self.message = message.format(**parameters) if parameters else message
        self.advice = advice.format(**parameters) if parameters else advice
        # Celery rebuilds an exception from its arguments in another process.
        super().__init__(self.message, self.advice)

    def __str__(self) -> str:
        """Return the message followed by the advice."""
        return f"{self.message} {self.advice}".strip()

    @property
    def shown_message(self) -> str:
        """The message in the reader's language."""
        return self._in_language(self.template, self.message)

    @property
    def shown_advice(self) -> str:
        """The advice in the reader's language."""
        return self._in_language(self.advice_template, self.advice)

    @property
    def shown(self) -> str:
        """The message followed by the advice, in the reader's language."""
        return f"{self.shown_message} {self.shown_advice}".strip()

    def _in_language(self, template: str, text: str) -> str:
        told = {
            name: retold(str(value)) if name in _TOLD else value for name, value in self.parameters.items()
        }
        # An error that another process raised has only its text.
        return gettext(template, **told) if told else retold(text)


class ImageFault(PipelineError):
    """An image that cannot be classified because of its own file. Recorded in its row, never retried."""

    http_status = 422

    def __init__(self, code: FaultCode, detail: str = "", **parameters: object) -> None:
        """Keep the `code`, and a `detail` that is more specific than the code's sentence."""
        super().__init__(detail or code.sentence, "", **parameters)
        self.code = code
        self.detail = self.message
        self.args = (code, self.detail)


class TransientFault(PipelineError):
    """A transient failure of disk, database or broker; retried."""

    http_status = 503


class BrokerRefusesFault(TransientFault):
    """The broker answers and refuses messages: it is full, read-only, starting. Work continues afterwards."""


class ConfigFault(PipelineError):
    """A wrong setting, bundle or machine. An operator corrects it; no image is marked."""

    exit_code = 3


class RefusedError(PipelineError):
    """A request that is invalid or not allowed; nothing was changed."""

    exit_code = 3
    http_status = 400


class NotFoundError(RefusedError):
    """A request for something that does not exist."""

    http_status = 404


class RowsRemovedError(NotFoundError):
    """A request for a photo whose row was removed with those of its run; `runs` are those it may have had."""

    runs: Sequence[int] = ()


class GoneError(RefusedError):
    """A request for something that was deleted."""

    http_status = 410


class ConflictError(RefusedError):
    """A request that conflicts with the present state; it may succeed later."""

    http_status = 409
