"""Photos on which people gave their word: labels for the next training."""

from datetime import datetime
from typing import NamedTuple


class ReviewedPhoto(NamedTuple):
    """An image and the word of a person that counts.

    `outcome` is one of ReviewOutcome or of RETURNS_REVIEW_OUTCOMES; only `label` has a label. `kind` says why
    the image was in the queue, None if it was not.
    """

    image_id: int
    sha256: str | None
    outcome: str
    label: str | None
    main_label: str | None
    kind: str | None
    who: str
    at: datetime
