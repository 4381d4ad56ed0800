"""What must be proven of an export in int8 before it may classify, by the metrics of its bundle."""

from typing import NamedTuple, Self

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.languages import N_

#: The least share of validation photos for which int8 must predict the label that float32 predicts.
LEAST_AGREEMENT = 0.985
#: The least share of them for which every kind of processor must predict the same label.
LEAST_PROCESSORS = 0.995
#: A loss of accuracy is significant below this p-value.
SIGNIFICANT = 0.05
_PREFIX = "int8_"


class Int8Proof(NamedTuple):
    """An export in int8 compared with float32 on validation photos.

    `agreement`: the share with the same label. `processors`: the share for which processors with and without
    VNNI, instructions for int8, predict the same label. `only_float32`, `only_int8`: the photos that only
    that one predicts correctly. `p`: the p-value of McNemar's test on these two.
    """

    agreement: float
    processors: float
    only_float32: float
    only_int8: float
    p: float

    @classmethod
    def recorded(cls, bundle: Bundle) -> Self | None:
        """Return the proof that a bundle records; None if a figure is missing."""
        found = [bundle.metrics.get(_PREFIX + name) for name in cls._fields]
        values = [float(value) for value in found if value is not None]
        return cls(*values) if len(values) == len(found) else None

    @property
    def metrics(self) -> dict[str, float]:
        """The figures as metrics of bundle.json."""
        return {_PREFIX + name: value for name, value in self._asdict().items()}

    def fault(self, bundle: Bundle) -> ConfigFault | None:
        """Return why `bundle` must not classify; None if nothing is against it."""
        # Written so that not-a-number is a fault too.
        if not self.agreement >= LEAST_AGREEMENT:
            return ConfigFault(
                "The int8 export of {bundle_ref} predicts the label of float32 for {agreement:.2%} of the "
                "validation photos; {least:.1%} are needed.",
                _ADVICE,
                bundle_ref=bundle.ref,
                agreement=self.agreement,
                least=LEAST_AGREEMENT,
            )
        if not self.processors >= LEAST_PROCESSORS:
            return ConfigFault(
                "With the int8 export of {bundle_ref}, processors with and without VNNI predict the same "
                "label for {processors:.2%} of the validation photos; {least:.1%} are needed.",
                _ADVICE,
                bundle_ref=bundle.ref,
                processors=self.processors,
                least=LEAST_PROCESSORS,
            )
        if not (self.only_float32 <= self.only_int8 or self.p >= SIGNIFICANT):
            return ConfigFault(
                "The int8 export of {bundle_ref} is measurably less accurate than float32: only float32 "
                "predicts {only_float32:,.0f} validation photos correctly, only int8 {only_int8:,.0f} "
                "(p = {p:.4f}).",
                _ADVICE,
                bundle_ref=bundle.ref,
                only_float32=self.only_float32,
                only_int8=self.only_int8,
                p=self.p,
            )
        return None


_ADVICE = N_("Use the float32 version, or quantize it with more photos: `returns-pipeline models quantize`.")


def require(bundle: Bundle) -> None:
    """Raise ConfigFault unless a bundle records that its int8 export does what float32 does."""
    proof = Int8Proof.recorded(bundle)
    if proof is None:
        raise ConfigFault(
            "It is not recorded how the int8 export of {bundle_ref} compares with float32.",
            _ADVICE,
            bundle_ref=bundle.ref,
        )
    if fault := proof.fault(bundle):
        raise fault
