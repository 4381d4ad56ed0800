"""The audit log: which action of which person is recorded."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class AuditAction(StrEnum):
    """What was done. A newer version of this program may have recorded others."""

    LOG_IN = "log_in"
    LOG_OUT = "log_out"
    LOG_IN_REFUSED = "log_in_refused"
    USER_ADD = "user_add"
    USER_ROLE = "user_role"
    USER_PASSWORD = "user_password"  # noqa: S105 - an action
    USER_DISABLE = "user_disable"
    USER_ENABLE = "user_enable"
    TOKEN_ADD = "token_add"  # noqa: S105 - an action
    TOKEN_REVOKE = "token_revoke"  # noqa: S105 - an action
    SCAN = "scan"
    RETRY = "retry"
    CANCEL = "cancel"
    UPLOAD = "upload"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    SHADOW = "shadow"
    MODEL_ADD = "model_add"
    RETRAIN = "retrain"
    DOWNLOAD = "download"
    VIEW = "view"
    EXPORT = "export"
    NOTICE_RETRY = "notice_retry"
    FEED_RETRY = "feed_retry"
    IMAGE_DELETE = "image_delete"
    RETURN_DECIDE = "return_decide"
    RETURN_CHANGE = "return_change"
    MATCH_DECIDE = "match_decide"
    RETURNS_IMPORT = "returns_import"
    CUSTOMER_DELETE = "customer_delete"
    CATALOGUE_IMPORT = "catalogue_import"
    PRODUCT_CHANGE = "product_change"
    PRODUCT_REMOVE = "product_remove"
    #: Every review, skip and undo. The table `review_changes` has them.
    REVIEW = "review"


class AuditSubject(StrEnum):
    """What kind of thing an action was done to."""

    USER = "user"
    TOKEN = "token"  # noqa: S105 - a kind of thing
    RUN = "run"
    IMAGE = "image"
    MODEL = "model"
    LIST = "list"
    NOTICE = "notice"
    INTAKE = "intake"
    JOB = "job"
    RETURN = "return"
    IMPORT = "import"
    CUSTOMER = "customer"
    PRODUCT = "product"


class AuditEvent(NamedTuple):
    """One action: when, by whom, what, and to which thing. `detail` depends on the action.

    A review is an event too; its `id` is that of its row in `review_changes`.
    """

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    subject_id: str
    detail: dict[str, Any]

    @property
    def place(self) -> "AuditPlace":
        """Where the event is in the log."""
        return AuditPlace(self.at, self.action == AuditAction.REVIEW, self.id)


class AuditPlace(NamedTuple):
    """A place in the log. Of events at the same moment, reviews are the newer ones."""

    at: datetime
    is_review: bool
    id: int


class AuditFilter(NamedTuple):
    """Which events: those of a person, of an action, from a moment on, before a moment; None: all."""

    who: str | None = None
    action: str | None = None
    since: datetime | None = None
    before: datetime | None = None
