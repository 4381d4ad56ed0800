"""`celery -A benchmarks.systems.unscaled_worker`: the pipeline's own app, JPEG scaling taken out.

It is taken out when the parent imports this, before it forks, so that every child decodes whole pictures.
"""

from typing import Any

from PIL.JpegImagePlugin import JpegImageFile

from workers.app import app

__all__ = ["app"]


def _whole(_image: JpegImageFile, _mode: str | None, _size: Any) -> None:
    """Leave the decoder as it is: Pillow's own method would ask it for a smaller picture."""


JpegImageFile.draft = _whole  # type: ignore[method-assign, assignment]
