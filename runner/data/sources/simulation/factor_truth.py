"""Returns drawn from a known factor model, to see how well estimation recovers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol, runtime_checkable
from zlib import crc32

import numpy as np

from runner.schema.settings import Count, Date, NotNegative, Positive, Rows, Share, parse_date

if TYPE_CHECKING:
    from runner.data.market import Market

YEAR = 252  # rows per year, for annual volatilities
LARGEST_BLOCK = 10**9  # numbers in the returns, 8 GB: more is a slip of the keyboard


def check_correlation(value: float) -> None:
    """A correlation between two factors that are not the same."""
    if not -1.0 < value < 1.0:
        raise ValueError("allowed: a number above -1 and below 1")


Correlation = Annotated[float, check_correlation]


class FactorTruth(NamedTuple):
    """What regressions should find, per row.

    Attributes:
        alpha: (n,) constants.
        loadings: (n, m) on the first row; change: (n, m) what they have moved by on the last row.
        specific: (n,) variances of the specific returns.
        omega: (m, m) covariance of the factors.
    """

    alpha: np.ndarray
    loadings: np.ndarray
    change: np.ndarray
    specific: np.ndarray
    omega: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """(n, n) B Omega B' + D on the first row."""
        common = self.loadings @ self.omega
        systematic = np.asarray(common @ self.loadings.T)
        return systematic + np.diag(self.specific)


@runtime_checkable
class KnownTruth(Protocol):
    """A source that knows what it draws from, and can draw again."""

    def truth(self) -> FactorTruth: ...

    def sample(self, rows: int, draw: int) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True)
class SimulatedFactors:
    """Asset returns that follow shared factors exactly, with independent normal specific returns.

        r(t) = alpha + B(t) f(t) + e(t)

    Field `ret` and series F1, F2, ...; the first factor is like a market, with loadings about
    `beta_mean`, the others have loadings about zero. With change=none, B is the same on every row.
    The same settings give the same bits; rows that are added leave those before as they were (with
    change, loadings move by shares of the rows).

    Attributes:
        rows: business days from `start`, T.
        assets: how many (A1, A2, ...), n.
        factors: how many, m.
        seed: another seed, another truth and another draw.
        start: first date.
        beta_mean: mean of the loadings on F1.
        beta_scale: standard deviation of all loadings over assets.
        alpha_spread: standard deviation of the alphas, decimals per row; their mean is 0.
        noise: specific volatility, annual, median over assets.
        noise_spread: standard deviation of its logarithm over assets.
        factor_volatility: of F1, annual; each further factor has `factor_decay` times that of the
            one before.
        factor_decay: 1 for factors of the same volatility.
        factor_correlation: between any two factors; near 1 they are collinear.
        change: none; break, all at once at `change_at`; or drift, evenly from the first row to the
            last.
        change_scale: standard deviation of what the loadings move by.
        change_at: share of the rows before the break.
    """

    rows: Rows = 500
    assets: Rows = 10
    factors: Rows = 3
    seed: Count = 0
    start: Date = "2015-01-01"
    beta_mean: float = 1.0
    beta_scale: NotNegative = 0.5
    alpha_spread: NotNegative = 0.0
    noise: Positive = 0.2
    noise_spread: NotNegative = 0.3
    factor_volatility: Positive = 0.16
    factor_decay: Positive = 0.7
    factor_correlation: Correlation = 0.0
    change: Literal["none", "break", "drift"] = "none"
    change_scale: NotNegative = 0.5
    change_at: Share = 0.5

    def __post_init__(self) -> None:
        mistakes = []
        if self.factors > 1:
            others = self.factors - 1
            least = -1.0 / others
            if self.factor_correlation <= least:
                given = f"given {self.factor_correlation:g}"
                allowed = f"above {least:.3g} with {self.factors} factors"
                mistakes.append(f"factor_correlation: {given}; allowed: {allowed}")
        numbers = self.rows * (self.assets + self.factors)
        if numbers > LARGEST_BLOCK:
            given = f"{self.rows} times {self.assets} assets"
            mistakes.append(f"rows: {given}; allowed: {LARGEST_BLOCK:,} numbers")
        if mistakes:
            raise ValueError("\n".join(mistakes))

    def load(self) -> Market:
        """The market (T, n): field ret, series F1 to Fm.

        Raises:
            DataError: dates beyond what can be dated.
        """
        import pandas as pd

        from runner.data.fields import Fields
        from runner.data.market import Market
        from runner.errors import DataError

        F, returns = self.sample(self.rows, 0)
        start_text = str(self.start)
        start = parse_date(start_text)
        try:
            dates = pd.bdate_range(start, periods=self.rows, name="date")
        except (ValueError, OverflowError) as error:
            given = f"{self.rows} business days from {self.start}"
            raise DataError(f"data.rows: {given} end beyond 2262") from error
        assets = [f"A{i + 1}" for i in range(self.assets)]
        factors = [f"F{j + 1}" for j in range(self.factors)]
        ret = pd.DataFrame(returns, index=dates, columns=assets)
        series = pd.DataFrame(F, index=dates, columns=factors)
        return Market(
            source=f"simulated factors, seed {self.seed}",
            fields=Fields.of_frames({"ret": ret}),
            series=series,
            groups=pd.DataFrame(index=assets),
        )

    def truth(self) -> FactorTruth:
        """The parameters of the model that the returns are drawn from."""
        n = self.assets
        m = self.factors
        draws = self._normal("alpha", n)
        alpha = self.alpha_spread * draws
        loadings = self.beta_scale * self._normal("loadings", (n, m))
        loadings[:, 0] += self.beta_mean
        change_scale = 0.0 if self.change == "none" else self.change_scale
        change = change_scale * self._normal("change", (n, m))
        root_year = np.sqrt(YEAR)
        first = self.factor_volatility / root_year
        ranks = np.arange(m)
        decay = self.factor_decay**ranks
        volatility = first * decay
        correlation = np.full((m, m), float(self.factor_correlation))
        np.fill_diagonal(correlation, 1.0)
        noise = self._normal("noise", n)
        log_spread = 2.0 * self.noise_spread * noise
        spread = np.exp(log_spread)
        variance = self.noise**2
        median_variance = variance / YEAR
        return FactorTruth(
            alpha=alpha,
            loadings=loadings,
            change=change,
            specific=median_variance * spread,
            omega=correlation * np.outer(volatility, volatility),
        )

    def sample(self, rows: int, draw: int) -> tuple[np.ndarray, np.ndarray]:
        """Factors (rows, m) and returns (rows, n) of one draw from the truth; `load` has draw 0."""
        truth = self.truth()
        root = np.linalg.cholesky(truth.omega)
        shocks = self._normal("factors", (rows, self.factors), draw)
        F = shocks @ root.T
        returns = self._normal("specific", (rows, self.assets), draw)
        returns *= np.sqrt(truth.specific)
        returns += truth.alpha + F @ truth.loadings.T
        if self.change != "none":
            moved_share = self._moved(rows)
            moved = moved_share[:, None]
            moved_factors = moved * F
            returns += moved_factors @ truth.change.T
        return F, returns

    def _moved(self, rows: int) -> np.ndarray:
        """Share (rows,) of the change of the loadings that has happened on each row."""
        if self.change == "drift":
            return np.linspace(0.0, 1.0, rows)
        row_of_change = self.change_at * rows
        first_after = round(row_of_change)
        every_row = np.arange(rows)
        after = every_row >= first_after
        return after.astype(float)

    def _normal(self, quantity: str, shape: int | tuple[int, int], draw: int = 0) -> np.ndarray:
        """Standard normal numbers of one quantity and draw, row after row.

        Each quantity and draw has a generator of its own.
        """
        code = crc32(quantity.encode())
        key = (code, draw)
        seeds = np.random.SeedSequence(self.seed, spawn_key=key)
        generator = np.random.Generator(np.random.PCG64(seeds))
        return generator.standard_normal(shape)
