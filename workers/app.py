"""The Celery app of `celery -A workers.app`. Tasks and signals are imported by the app itself."""

from beat_schedule import beat_schedule
from returns_pipeline.broker.app import make_app
from returns_pipeline.settings import load_settings

settings = load_settings()
app = make_app(settings)
app.conf.update(
    beat_schedule=beat_schedule(settings),
    imports=["workers.tasks", "workers.process"],
)
