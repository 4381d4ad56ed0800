"""Metrics of returns and of photos that came in before."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from returns_pipeline.web.metrics.families import gauge

#: (verdict, whether it is decided, number of returns), as `return_verdicts.counts` gives them.
Counts = Callable[[], list[tuple[str, bool, int]]]
#: Number of matches by decision, as `match_lists.counts` gives them.
MatchCounts = Callable[[], dict[str, int]]


def of_returns(returns: Counts, matches: MatchCounts) -> Iterator[Metric]:
    """Yield returns by verdict, undecided returns, and matches by decision."""
    by_verdict: dict[str, int] = {}
    undecided = 0
    for verdict, is_decided, count in returns():
        by_verdict[verdict] = by_verdict.get(verdict, 0) + count
        undecided += 0 if is_decided else count
    yield gauge("returns_verdicts", "Returns by verdict; `none` is not judged yet.", "verdict", by_verdict)
    yield GaugeMetricFamily("returns_undecided", "Returns that no person has decided.", undecided)
    meaning = "Photos that came in before, by what a person decided; `none` is not decided."
    yield gauge("returns_matches", meaning, "decision", matches())
