"""The plot of the simulated weeks: final labels that are right, and photos that a person sees."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.learning import Week

#: Colours that colour-blind people distinguish: Okabe and Ito, "Color Universal Design", 2008.
_COLOURS = ("#555555", "#0072b2", "#009e73", "#d55e00")
_PANELS = (
    ("right", "final labels that are right"),
    ("seen", "photos that a person sees"),
    ("model", "gain in photos right without a person"),
)


def write_plot(path: Path, found: "Mapping[str, Sequence[Week]]") -> None:
    """Write a panel for each share, with a line for each plan; the suffix of `path` decides the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import PercentFormatter

    with mpl.rc_context({"svg.hashsalt": "learning", "font.size": 9}):
        figure, axes = plt.subplots(1, len(_PANELS), figsize=(11, 3.6), layout="constrained")
        for panel, (field, title) in zip(axes, _PANELS, strict=True):
            _draw(panel, field, found)
            panel.set_title(title)
            panel.set_xlabel("week")
            panel.yaxis.set_major_formatter(PercentFormatter(1.0))
            panel.grid(alpha=0.3)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(found))
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)


def _draw(panel: Any, field: str, found: "Mapping[str, Sequence[Week]]") -> None:
    first = next(iter(found.values()))
    for colour, (name, weeks) in zip(_COLOURS, found.items(), strict=True):
        # All plans see the same photos in a week: their difference varies less than the shares.
        bases = [week.model if field == "model" else 0.0 for week in first]
        shares = [getattr(week, field) - base for week, base in zip(weeks, bases, strict=True)]
        panel.plot(range(1, len(weeks) + 1), shares, marker="o", markersize=3, color=colour, label=name)
