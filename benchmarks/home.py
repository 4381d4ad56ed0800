"""A home of its own for a measured installation."""

from typing import Any

from benchmarks.measuring import Job
from returns_pipeline.settings import Settings, load_settings


def own_settings(job: Job, **overrides: Any) -> Settings:
    """Return settings for a home below the job's folder: what the environment says about places is void."""
    places = ("incoming_dir", "archive_dir", "quarantine_dir", "report_dir", "database_url", "broker_url")
    return load_settings(
        **{
            "home": job.work / "home",
            **dict.fromkeys(places, ""),
            "models_dir": job.bundle.parent.parent,
            "model": f"{job.bundle.parent.name}/{job.bundle.name}",
            "settle_seconds": 0,
            **overrides,
        }
    )
