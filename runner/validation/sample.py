"""Rows that are scored together: targets, forecasts and their benchmark, and what scores share."""

from __future__ import annotations

from dataclasses import dataclass
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


class CrossSections(NamedTuple):
    """Correlations with the target over the assets of each date.

    Attributes:
        ic, rank_ic: (2, dates) Pearson's and Spearman's, of the forecast and of the benchmark.
    """

    ic: np.ndarray
    rank_ic: np.ndarray

    def on(self, dates: np.ndarray) -> CrossSections:
        """Those of the dates of these numbers."""
        return CrossSections(self.ic[:, dates], self.rank_ic[:, dates])


@dataclass(frozen=True)
class Sample:
    """Rows that are scored together, in any order.

    Attributes:
        y, forecast, benchmark: (n,), units of the target.
        date: (n,) number of the date of each row, increasing with time.
        horizon: rows that the target looks ahead.
        given: correlations by date, where they are known from a larger sample.
    """

    y: np.ndarray
    forecast: np.ndarray
    benchmark: np.ndarray
    date: np.ndarray
    horizon: int = 0
    given: CrossSections | None = None

    def part(self, rows: np.ndarray) -> Sample:
        """The sample of the rows at these positions, which increase.

        Where they are all rows of their dates, the correlations of these are taken over.
        """
        if len(rows) == len(self.y):
            return self
        dates, date = np.unique(self.date[rows], return_inverse=True)
        given = None
        if np.array_equal(np.bincount(date), self.rows_of_dates[dates]):
            given = self.cross_sections.on(dates)
        return Sample(
            y=self.y[rows],
            forecast=self.forecast[rows],
            benchmark=self.benchmark[rows],
            date=date,
            horizon=self.horizon,
            given=given,
        )

    @cached_property
    def rows_of_dates(self) -> np.ndarray:
        """(dates,) how many rows each date has."""
        return np.bincount(self.date)

    @cached_property
    def dates(self) -> int:
        last = int(self.date.max())
        return last + 1

    @cached_property
    def cross_sections(self) -> CrossSections:
        """Correlations over the assets of each date."""
        if self.given is not None:
            return self.given
        forecasts = [self.forecast, self.benchmark]
        return CrossSections(
            correlations(forecasts, self.y, self.date, self.dates),
            rank_correlations(forecasts, self.y, self.date, self.dates),
        )

    @cached_property
    def ic(self) -> Average:
        """Correlation of forecast and target over the assets of a date, averaged over dates."""
        return average(self.cross_sections.ic[0], self.horizon)

    @cached_property
    def rank_ic(self) -> Average:
        """Spearman's correlation of forecast and target over assets, averaged over dates."""
        return average(self.cross_sections.rank_ic[0], self.horizon)

    @cached_property
    def ic_naive(self) -> Average:
        """As `ic`, of the benchmark."""
        return average(self.cross_sections.ic[1], self.horizon)

    @cached_property
    def rank_ic_naive(self) -> Average:
        """As `rank_ic`, of the benchmark."""
        return average(self.cross_sections.rank_ic[1], self.horizon)

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
        rows = self.rows_of_dates
        has_rows = rows > 0
        total = sums(values, self.date, self.dates)
        return total[has_rows] / rows[has_rows]
