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
    DOWNLOAD = "download"
    EXPORT = "export"
    NOTICE_RETRY = "notice_retry"
    IMAGE_DELETE = "image_delete"
    #: Every action on an image of the review queue or any other list: kept in `review_changes`.
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


class AuditEvent(NamedTuple):
    """One action: when, by whom, what, and to which thing. `detail` depends on the action."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    subject_id: str
    detail: dict[str, Any]
