"""Conditions on moments that hold although a clock was set: a moment too far ahead counts as past.

A machine whose clock was ahead writes moments that lie in the future once the clock is right. Without these
conditions, what it claimed would be claimed until that future comes.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

#: How far the clocks of the machines of one installation may differ without a consequence for nights.
FUTURE = timedelta(minutes=5)


def is_past(moment: sa.ColumnElement[Any], now: datetime, seconds: float) -> sa.ColumnElement[bool]:
    """Condition: `moment` was over `seconds` ago, or lies impossibly far ahead."""
    return sa.or_(moment < now - timedelta(seconds=seconds), moment > now + timedelta(seconds=seconds))


def has_ended(end: sa.ColumnElement[Any], now: datetime, seconds: float) -> sa.ColumnElement[bool]:
    """Condition: a hold for `seconds` has passed its `end`, or its end is further away than a hold lasts.

    Another machine's clock may be ahead by as much as a hold lasts: that much earlier it ends where the clock
    is behind.
    """
    return is_over(end, now, furthest_end(now, seconds))


def is_over(end: sa.ColumnElement[Any], now: Any, furthest: Any) -> sa.ColumnElement[bool]:
    """Condition as `has_ended`, of moments or of parameters; `furthest` is that of `furthest_end`."""
    return sa.or_(end < now, end > furthest)


def furthest_end(now: datetime, seconds: float) -> datetime:
    """Return the latest end that a hold for `seconds` can have."""
    return now + timedelta(seconds=2 * seconds)
