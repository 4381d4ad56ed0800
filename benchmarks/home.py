"""A separate home for a measured installation."""

from typing import Any

from benchmarks.measuring import Job
from returns_pipeline.settings import Settings, settings_of_home


def own_settings(job: Job, **overrides: Any) -> Settings:
    """Return settings for a home in the job's folder, whatever places the environment names."""
    return settings_of_home(
        job.work / "home",
        **{
            "models_dir": job.bundle.parent.parent,
            "model": f"{job.bundle.parent.name}/{job.bundle.name}",
            "settle_seconds": 0,
            **overrides,
        },
    )
