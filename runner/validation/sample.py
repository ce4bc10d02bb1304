"""Rows that are scored together: targets, forecasts and their benchmark, and what scores share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from runner.numerics.cross_section import (
    Average,
    average,
    correlations,
    rank_correlations,
    sums,
)
from runner.validation.forecast_tests import (
    Comparison,
    clark_west,
    diebold_mariano,
    squared_error_gains,
)


class Rows(NamedTuple):
    """Rows that are scored together, or several sets of as many rows.

    Attributes:
        y, forecast, benchmark: (..., n), units of the target.
    """

    y: np.ndarray
    forecast: np.ndarray
    benchmark: np.ndarray


@dataclass(frozen=True)
class Sample:
    """Rows that are scored together, in any order.

    Attributes:
        y, forecast, benchmark: (n,), units of the target.
        date: (n,) number of the date of each row, increasing with time.
        horizon: rows that the target looks ahead.
    """

    y: np.ndarray
    forecast: np.ndarray
    benchmark: np.ndarray
    date: np.ndarray
    horizon: int = 0

    @cached_property
    def naive(self) -> Sample:
        """The same rows, forecast by the benchmark."""
        return replace(self, forecast=self.benchmark)

    @cached_property
    def dates(self) -> int:
        last = int(self.date.max())
        return last + 1

    @cached_property
    def ic(self) -> Average:
        """Correlation of forecast and target over the assets of a date, averaged over dates."""
        by_date = correlations(self.forecast, self.y, self.date, self.dates)
        return average(by_date, self.horizon)

    @cached_property
    def rank_ic(self) -> Average:
        """Spearman's correlation of forecast and target over assets, averaged over dates."""
        by_date = rank_correlations(self.forecast, self.y, self.date, self.dates)
        return average(by_date, self.horizon)

    @cached_property
    def gains(self) -> np.ndarray:
        """Squared error of the benchmark less that of the forecast, mean of each date (dates,)."""
        gains = squared_error_gains(self.y, self.forecast, self.benchmark)
        return self._by_date(gains)

    @cached_property
    def dm(self) -> Comparison:
        return diebold_mariano(self.gains, self.horizon)

    @cached_property
    def cw(self) -> Comparison:
        distance = self.forecast - self.benchmark
        noise = self._by_date(distance**2)
        return clark_west(self.gains + noise, self.horizon)

    def _by_date(self, values: np.ndarray) -> np.ndarray:
        """Mean of the values (n,) over the rows of each date that has rows."""
        rows = np.bincount(self.date, minlength=self.dates)
        has_rows = rows > 0
        total = sums(values, self.date, self.dates)
        rows_with = rows[has_rows]
        return total[has_rows] / rows_with
