"""`celery -A benchmarks.systems.unscaled_worker`: the pipeline's own app without JPEG scaling.

The parent process imports this before it forks, so that every child decodes JPEGs at full size.
"""

from typing import Any

from PIL.JpegImagePlugin import JpegImageFile

from workers.app import app

__all__ = ["app"]


def _keep_full_size(_image: JpegImageFile, _mode: str | None, _size: Any) -> None:
    """Change nothing. Pillow's own method would ask the decoder for a smaller image."""


JpegImageFile.draft = _keep_full_size  # type: ignore[method-assign, assignment]
