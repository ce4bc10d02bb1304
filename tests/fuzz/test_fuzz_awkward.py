"""Runs from Python on awkward columns: results, or lines that refuse them, and no warning of a library.

Columns are constant, collinear, of 1e300 or 1e-300, infinite or mostly missing; prices jump, stand
still or begin late. A start from a shell hides warnings, a call from Python does not. With --slow
forty times as many are drawn.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import runner
from runner.errors import RunnerError

SEED = 20261130
EXAMPLES = 40  # some 15 s of CPU
MORE = 40  # times as many with --slow
LONGEST = 4000  # characters of a line
START = "2021-01-01"
COLUMNS = {
    "plain": lambda x: x,
    "constant": lambda x: np.full_like(x, 3.0),
    "of assets": lambda x: np.broadcast_to(np.arange(x.shape[1]), x.shape),
    "of dates": lambda x: np.broadcast_to(np.arange(len(x))[:, None], x.shape),
    "large": lambda x: 1e65 * x,
    "huge": lambda x: 1e300 * x,
    "tiny": lambda x: 1e-300 * x,
    "mixed": lambda x: np.where(np.arange(x.shape[1]) % 2, 1e200, 1.0) * x,
    "infinite": lambda x: np.where(x > 2.0, np.inf, x),
    "sparse": lambda x: np.where(x > 0.0, np.nan, x),
    "rare": lambda x: np.where(x > -1.5, np.nan, x),
    "events": lambda x: (x > 2.0).astype(float),
}
PRICES = {
    "plain": lambda r: r,
    "flat": lambda r: np.where(np.arange(r.shape[1]) == 0, 0.0, r),
    "jump": lambda r: np.where(r > 0.04, 3.0, r),
    "same": lambda r: np.broadcast_to(r[:, :1], r.shape),
}
MODELS = (
    *["ols", "pooled", "fama_macbeth", "ridge", "lasso", "elastic_net", "ridge_pooled"],
    *["rolling", "logit", "cross_asset"],
)
VALIDATIONS = (
    ["validation=none"],
    ["validation=walk_forward", "validation.first=40", "validation.test=20"],
    ["validation=kfold", "validation.folds=3"],
    ["validation=rolling", "validation.first=40", "validation.test=10"],
)


@dataclass(frozen=True)
class Awkward:
    """A spec and its data."""

    assets: int
    dates: int
    prices: str
    first: str
    second: str
    collinear: bool
    model: str
    validation: list[str]
    number: int

    def data(self) -> pd.DataFrame:
        """A row per date and asset: close, and two signals."""
        draw = np.random.default_rng(self.number)
        shape = (self.dates, self.assets)
        returns = PRICES[self.prices](draw.normal(0.0, 0.02, shape))
        first = COLUMNS[self.first](draw.normal(size=shape))
        second = 2.0 * first if self.collinear else COLUMNS[self.second](draw.normal(size=shape))
        dates = pd.bdate_range(START, periods=self.dates)
        columns = {
            "date": np.repeat(dates, self.assets),
            "asset": np.tile([f"A{number}" for number in range(self.assets)], self.dates),
            "close": 100.0 * np.exp(np.cumsum(returns, axis=0)).ravel(),
            "s1": first.ravel(),
            "s2": second.ravel(),
        }
        return pd.DataFrame(columns)

    def words(self) -> list[str]:
        """The overrides of the spec."""
        target = "up" if self.model == "logit" else "forward_return"
        signals = ["features=none", "+features.s1=s1", "+features.s2=s2"]
        rest = [f"target={target}", f"model={self.model}", "audit=off", "report=tables"]
        return [*signals, *rest, *self.validation]


awkward = st.builds(
    Awkward,
    assets=st.sampled_from([1, 4, 9]),
    dates=st.sampled_from([40, 120]),
    prices=st.sampled_from(sorted(PRICES)),
    first=st.sampled_from(sorted(COLUMNS)),
    second=st.one_of(st.just("plain"), st.sampled_from(sorted(COLUMNS))),
    collinear=st.integers(0, 9).map(lambda number: number == 0),
    model=st.sampled_from(MODELS),
    validation=st.sampled_from(VALIDATIONS),
    number=st.integers(0, 10**6),
)


def test_awkward_columns_give_results_or_lines_and_no_warning(pytestconfig: pytest.Config) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(awkward)
    def check(drawn: Awkward) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                runner.run(*drawn.words(), data=drawn.data())
            except RunnerError as refusal:
                lines = refusal.mistakes
            else:
                lines = ()
        for line in lines:
            assert "\n" not in line
            assert len(line) < LONGEST

    check()
