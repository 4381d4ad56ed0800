"""Words for roles and for the actions of the audit log."""

from returns_pipeline.languages import N_, Words
from returns_pipeline.records.access import Role
from returns_pipeline.records.audit import AuditAction, AuditEvent, AuditSubject
from returns_pipeline.records.reviews import Event
from returns_pipeline.report.words.photos import step

ROLES = Words(
    {
        Role.VIEWER: N_("viewer"),
        Role.REVIEWER: N_("reviewer"),
        Role.OPERATOR: N_("operator"),
        Role.ADMIN: N_("administrator"),
    }
)


#: What each role may do, the rights of the roles before it included.
RIGHTS = Words(
    {
        Role.VIEWER: N_("sees runs, photos and models"),
        Role.REVIEWER: N_("also sends and reviews photos, and downloads originals"),
        Role.OPERATOR: N_("also starts scans, tries photos again and chooses the model"),
        Role.ADMIN: N_("also manages users and tokens, sees the audit log and deletes photos"),
    }
)


#: The actions of the audit log.
AUDIT_ACTIONS = Words(
    {
        AuditAction.LOG_IN: N_("logged in"),
        AuditAction.LOG_OUT: N_("logged out"),
        AuditAction.LOG_IN_REFUSED: N_("log-in refused after wrong passwords"),
        AuditAction.USER_ADD: N_("user added"),
        AuditAction.USER_ROLE: N_("role changed"),
        AuditAction.USER_PASSWORD: N_("password changed"),
        AuditAction.USER_DISABLE: N_("user disabled"),
        AuditAction.USER_ENABLE: N_("user enabled"),
        AuditAction.TOKEN_ADD: N_("token added"),
        AuditAction.TOKEN_REVOKE: N_("token revoked"),
        AuditAction.SCAN: N_("scan asked for"),
        AuditAction.RETRY: N_("photos tried again"),
        AuditAction.CANCEL: N_("job cancelled"),
        AuditAction.UPLOAD: N_("photo uploaded"),
        AuditAction.MODEL_ADD: N_("model added"),
        AuditAction.RETRAIN: N_("retraining asked for"),
        AuditAction.PROMOTE: N_("model promoted"),
        AuditAction.ROLL_BACK: N_("model rolled back"),
        AuditAction.SHADOW: N_("comparison at night changed"),
        AuditAction.DOWNLOAD: N_("original downloaded"),
        AuditAction.VIEW: N_("original looked at"),
        AuditAction.EXPORT: N_("list downloaded"),
        AuditAction.NOTICE_RETRY: N_("notices sent again"),
        AuditAction.FEED_RETRY: N_("addresses of a feed fetched again"),
        AuditAction.IMAGE_DELETE: N_("photo deleted"),
        AuditAction.RETURN_DECIDE: N_("return decided"),
        AuditAction.MATCH_DECIDE: N_("same photo decided"),
        AuditAction.RETURN_CHANGE: N_("return announced or changed"),
        AuditAction.RETURNS_IMPORT: N_("returns imported"),
        AuditAction.CUSTOMER_DELETE: N_("customer's data deleted"),
        AuditAction.CATALOGUE_IMPORT: N_("products imported"),
        AuditAction.PRODUCT_CHANGE: N_("product changed"),
        AuditAction.PRODUCT_REMOVE: N_("product removed"),
        AuditAction.REVIEW: N_("reviewed"),
    }
)


#: What an action was done to. `{id}` is a number or a name.
AUDIT_SUBJECTS = Words(
    {
        AuditSubject.USER: N_("user {id}"),
        AuditSubject.TOKEN: N_("token {id}"),
        AuditSubject.RUN: N_("run {id}"),
        AuditSubject.IMAGE: N_("photo {id}"),
        AuditSubject.MODEL: N_("model {id}"),
        AuditSubject.LIST: N_("list {id}"),
        AuditSubject.NOTICE: N_("notices: {id}"),
        AuditSubject.INTAKE: N_("intake {id}"),
        AuditSubject.JOB: N_("job {id}"),
        AuditSubject.RETURN: N_("return {id}"),
        AuditSubject.IMPORT: N_("import {id}"),
        AuditSubject.CUSTOMER: N_("customer {id}"),
        AuditSubject.PRODUCT: N_("product {id}"),
    }
)


#: What the detail of an event says; another detail is shown as `name: value`.
AUDIT_DETAILS = Words(
    {
        "role": N_("role: {value}"),
        "before": N_("before: {value}"),
        "address": N_("from the address {value}"),
        "reason": N_("reason: {value}"),
        "name": N_("file: {value}"),
        "format": N_("as {value}"),
        "lines": N_("lines: {value}"),
        "addresses": N_("addresses: {value}"),
        "returns": N_("returns: {value}"),
        "photos": N_("photos: {value}"),
        "earlier": N_("earlier photo: {value}"),
        "events": N_("events: {value}"),
        "products": N_("products: {value}"),
        "discontinued": N_("discontinued: {value}"),
    }
)


def role(code: str) -> str:
    """Return a role for people."""
    return ROLES.get(code, code)


def audit_subject(event: AuditEvent) -> str:
    """Return what an action was done to."""
    words = AUDIT_SUBJECTS.get(event.subject)
    return words.format(id=event.subject_id) if words else f"{event.subject} {event.subject_id}".strip()


def audit_details(event: AuditEvent) -> list[str]:
    """Return what is known about an action beside its subject; empty values are left out."""
    if event.action == AuditAction.REVIEW:
        detail = event.detail
        said = detail["label"] or detail["outcome"] or ""
        return [step(Event(event.at, detail["action"], event.who, said))]
    return [
        AUDIT_DETAILS.get(name, "{name}: {value}").format(
            name=name, value=role(str(value)) if name == "role" else value
        )
        for name, value in event.detail.items()
        if value not in (None, "", False)
    ]
