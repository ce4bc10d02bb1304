"""Specs drawn with data of their own, run to a result, and held to plain least squares in numpy.

Refusal alone is half a test: estimates and standard errors of what does run must be those of the
formulas, on whatever cells are missing. With --slow forty times as many are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import runner

SEED = 20261129
EXAMPLES = 25  # some 5 s of CPU
MORE = 40  # times as many with --slow
CLOSE = 1e-8  # relative: moments about means are summed otherwise than here
COVS = ("nonrobust", "HC0", "HC1", "HC2", "HC3")
ENOUGH = 12  # rows of a regression: fewer may be refused


@dataclass(frozen=True)
class Drawn:
    """A spec and its data.

    Attributes:
        pooled: one regression of all cells, else one of each asset.
        back: rows over which the return that is a feature reaches back.
        ahead: rows over which the target reaches.
        missing: share of the cells of the signal that are missing.
        scale: of the signal.
    """

    assets: int
    dates: int
    pooled: bool
    back: int
    ahead: int
    missing: float
    scale: float
    cov: str
    constant: bool
    number: int

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Prices and signal, dates x assets."""
        draw = np.random.default_rng(self.number)
        shape = (self.dates, self.assets)
        index = pd.bdate_range("2021-01-01", periods=self.dates)
        names = [f"A{number}" for number in range(self.assets)]
        prices = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, shape), axis=0))
        signal = self.scale * draw.normal(size=shape)
        signal[draw.random(shape) < self.missing] = np.nan
        return pd.DataFrame(prices, index, names), pd.DataFrame(signal, index, names)

    def words(self) -> list[str]:
        """The overrides of the spec."""
        return [
            "features=none",
            f"+features.past=close / lag(close, {self.back}) - 1",
            "+features.signal=signal",
            "target=forward_return",
            f"target.horizon={self.ahead}",
            "model=ols",
            f"model.by={'null' if self.pooled else 'asset'}",
            f"model.cov={self.cov}",
            f"model.constant={str(self.constant).lower()}",
            "validation=none",
            "report=tables",
            "audit=off",
        ]

    def by_numpy(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By asset, or of all under "": rows of regressors and their target."""
        prices, signal = self.tables()
        past = prices / prices.shift(self.back) - 1.0
        ahead = prices.shift(-self.ahead) / prices - 1.0
        rows = {}
        for name in prices:
            columns = [past[name].to_numpy(), signal[name].to_numpy()]
            if self.constant:
                columns.insert(0, np.ones(self.dates))
            regressors = np.column_stack(columns)
            target = ahead[name].to_numpy()
            known = np.isfinite(regressors).all(axis=1) & np.isfinite(target)
            rows[str(name)] = regressors[known], target[known]
        if not self.pooled:
            return rows
        every = rows.values()
        return {"": (np.vstack([x for x, _ in every]), np.concatenate([y for _, y in every]))}


def least_squares(x: np.ndarray, y: np.ndarray, cov: str) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors of y on the columns of x; White 1980, MacKinnon-White 1985."""
    n, k = x.shape
    bread = np.linalg.inv(x.T @ x)
    estimates = bread @ x.T @ y
    residuals = y - x @ estimates
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    weights = {
        "nonrobust": np.full(n, residuals @ residuals / (n - k)),
        "HC0": residuals**2,
        "HC1": residuals**2 * n / (n - k),
        "HC2": residuals**2 / (1.0 - leverage),
        "HC3": residuals**2 / (1.0 - leverage) ** 2,
    }[cov]
    covariance = bread @ (x.T * weights) @ x @ bread
    return estimates, np.sqrt(np.diag(covariance))


specs = st.builds(
    Drawn,
    assets=st.integers(1, 4),
    dates=st.integers(30, 80),
    pooled=st.booleans(),
    back=st.integers(1, 5),
    ahead=st.just(1),
    missing=st.sampled_from([0.0, 0.1, 0.5]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    cov=st.sampled_from(COVS),
    constant=st.booleans(),
    number=st.integers(0, 10**6),
)


def test_drawn_specs_give_the_numbers_of_plain_least_squares(pytestconfig: pytest.Config) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(specs)
    def check(drawn: Drawn) -> None:
        expected = drawn.by_numpy()
        if min(len(target) for _, target in expected.values()) < ENOUGH:
            return
        prices, signal = drawn.tables()
        long = pd.DataFrame({"close": prices.stack(), "signal": signal.stack(future_stack=True)})
        data = long.rename_axis(["date", "asset"]).reset_index()
        found = runner.run(*drawn.words(), data=data).coefficients
        found = found[found["scope"] != "mean"]
        for unit, (x, y) in expected.items():
            rows = found if drawn.pooled else found[found["unit"] == unit]
            estimates, errors = least_squares(x, y, drawn.cov)
            np.testing.assert_allclose(rows["estimate"], estimates, rtol=CLOSE)
            np.testing.assert_allclose(rows["std_error"], errors, rtol=CLOSE)

    check()
