"""Axes of dates: days since the first one, named at starts of years or months."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOST_TICKS = 9  # dates below an axis


def days_since(dates: Any, first: pd.Timestamp) -> np.ndarray:
    """Days since the first date."""
    day = np.timedelta64(1, "D")
    since_first = dates - first
    days = since_first / day
    return np.asarray(days, dtype=float)


def dated(axes: Any, dates: Any) -> None:
    """Ticks at starts of years or months on an axis in days since the first of the dates."""
    first = dates.min()
    ticks, form = _ticks(first, dates.max())
    positions = days_since(ticks, first)
    names = ticks.strftime(form)
    tick_labels = list(names)
    axes.set_xticks(positions, tick_labels)


def unnamed(axes: Any, below: Any) -> None:
    """The ticks of the axes below, without their names."""
    ticks = below.get_xticks()
    axes.set_xticks(ticks, [""] * len(ticks))


def _ticks(first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DatetimeIndex, str]:
    """At most nine dates between the first and the last, and how they are written.

    They are starts of years, else of months, else evenly spaced.
    """
    import pandas as pd

    for starts, form in (("YS", "%Y"), ("MS", "%Y-%m")):
        midnight = first.normalize()
        dates = pd.date_range(midnight, last, freq=starts)
        is_after = dates >= first
        dates = dates[is_after]
        if len(dates) >= 3:
            step = math.ceil(len(dates) / MOST_TICKS)
            return dates[::step], form
    periods = 4 if last > first else 1
    return pd.date_range(first, last, periods=periods), "%Y-%m-%d"
