"""The settings by subject. Each class is a part of `Settings`, and a section of docs/settings.md."""

from returns_pipeline.settings.fields.feeds import FeedSettings
from returns_pipeline.settings.fields.models import ModelSettings
from returns_pipeline.settings.fields.nights import NightSettings
from returns_pipeline.settings.fields.notices import NoticeSettings
from returns_pipeline.settings.fields.places import PlaceSettings
from returns_pipeline.settings.fields.returns import ReturnSettings
from returns_pipeline.settings.fields.web import WebSettings
from returns_pipeline.settings.fields.workers import WorkerSettings

#: In the order of docs/settings.md.
PARTS = (
    PlaceSettings,
    FeedSettings,
    NightSettings,
    ModelSettings,
    WorkerSettings,
    ReturnSettings,
    WebSettings,
    NoticeSettings,
)

__all__ = [
    "PARTS",
    "FeedSettings",
    "ModelSettings",
    "NightSettings",
    "NoticeSettings",
    "PlaceSettings",
    "ReturnSettings",
    "WebSettings",
    "WorkerSettings",
]
