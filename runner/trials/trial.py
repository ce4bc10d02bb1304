"""What the verdict of a sweep takes: what each run left behind, and what a finding has to pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.schema.settings import Count, Rows, Share

if TYPE_CHECKING:
    import pandas as pd


Predictions = Callable[[], "pd.DataFrame"]
NO_INFLUENCE = "estimates have no influence by date"


@dataclass(frozen=True)
class Job:
    """What one run of a sweep left behind.

    Attributes:
        name: of the run, unique.
        coefficients: as in coefficients.csv.
        contributions: frame (dates, terms) of `runner.trials.influence`, None where there is
            none.
        doubts: by term, why its p-value supports no verdict; a term that is absent has none.
        no_influence: why there are no contributions.
        strategies: by name, returns by date, decimals per period, out of sample, after costs.
        predictions: reads them as in predictions.parquet, since those of a thousand runs together
            take much memory; None without.
    """

    name: str
    coefficients: pd.DataFrame
    contributions: pd.DataFrame | None = None
    doubts: Mapping[str, str] = field(default_factory=dict)
    no_influence: str = ""
    strategies: Mapping[str, pd.Series] = field(default_factory=dict)
    predictions: Predictions | None = None

    def doubt(self, term: str) -> str:
        """Why the term has no verdict, empty where nothing is known against one."""
        if self.doubts.get(term):
            return self.doubts[term]
        if self.contributions is None or term not in self.contributions:
            why = f" ({self.no_influence})" if self.no_influence else ""
            return f"{NO_INFLUENCE}{why}"
        return ""


@dataclass(frozen=True)
class Bar:
    """What a finding has to pass.

    Attributes:
        terms: that are tested; null takes every term of the headline but `const`.
        level: of the unadjusted tests, of the chance of any false one (Holm, Romano-Wolf) and of
            the hurdle.
        false_discoveries: largest expected share of false ones among those that Benjamini-Hochberg
            keeps.
        size: of the model confidence set: a job is in it where its p-value is at least this.
        without_result: jobs on this data and target that failed or were abandoned, whose p counts
            as 1.
        horizon: rows that the target looks ahead.
        draws, seed: of every bootstrap here; draws of the forecasts' tests are a tenth.
        block: dates of a block, null as the data choose.
    """

    terms: list[str] | None = None
    level: Share = 0.05
    false_discoveries: Share = 0.05
    size: Share = 0.10
    without_result: Count = 0
    horizon: Count = 1
    draws: Rows = 10_000
    seed: Count = 0
    block: Rows | None = None
