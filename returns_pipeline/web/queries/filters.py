"""A filter of images as the parameters of a request of the REST interface."""

from typing import Annotated, Literal, NamedTuple, Self

from fastapi import Depends, Query

from returns_pipeline.records.images import Filter, ImageState

#: Text that databases can compare.
_TEXT = r"^[^\x00]*$"


class SentFilter(NamedTuple):
    """The parameters of a filter; None chooses all."""

    state: str | None = None
    label: str | None = None
    predicted: str | None = None
    decision: str | None = None
    code: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    unfamiliar: bool | None = None

    @classmethod
    def nothing(cls) -> Self:
        """Return the filter that every image passes."""
        return cls()

    def filter(self, run_id: int | None = None) -> Filter:
        """Return the filter, for the images of a run if one is given."""
        return Filter(
            run_id=run_id,
            state=ImageState(self.state) if self.state else None,
            label=self.label or None,
            predicted=self.predicted or None,
            decision=self.decision or None,
            code=self.code or None,
            least=self.min_probability,
            most=self.max_probability,
            unfamiliar=self.unfamiliar,
        )

    def words(self) -> tuple[str, ...]:
        """Return what the filter chooses, for the name of a file."""
        return tuple(each for each in self[:5] if isinstance(each, str) and each)


_Probability = Annotated[float | None, Query(ge=0, le=1)]


async def _sent(
    state: Literal["", "pending", "classified", "quarantined", "failed"] | None = None,
    label: Annotated[str | None, Query(max_length=100, pattern=_TEXT, description="The final label.")] = None,
    predicted: Annotated[
        str | None, Query(max_length=100, pattern=_TEXT, description="The model's label.")
    ] = None,
    decision: Literal["", "auto", "review"] | None = None,
    code: Annotated[
        str | None, Query(max_length=32, pattern=_TEXT, description="Why there is no prediction.")
    ] = None,
    min_probability: _Probability = None,
    max_probability: _Probability = None,
    unfamiliar: Annotated[
        bool | None, Query(description="Whether the photo was unlike anything the model was trained on.")
    ] = None,
) -> SentFilter:
    return SentFilter(
        state or None,
        label or None,
        predicted or None,
        decision or None,
        code or None,
        min_probability,
        max_probability,
        unfamiliar,
    )


FilterInAddress = Annotated[SentFilter, Depends(_sent)]
