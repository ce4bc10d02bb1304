"""Panels perturbed: dates resampled in blocks, features with noise or late, assets left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.text import count, percent

if TYPE_CHECKING:
    from runner.panels.panel import Panel

Perturbation = Literal["bootstrap", "noise", "assets", "delay"]
KINDS: tuple[Perturbation, ...] = ("bootstrap", "noise", "assets", "delay")
LONGEST = 1 / 3  # of the rows, a block, so that a draw has several
# horizons in a block: leaves 92 % of the long-run variance that an overlap of targets makes
SPANS = 4
NO_FEATURES, ONE_ASSET = "there is no feature", "there are no two assets"


@dataclass(frozen=True)
class Change:
    """One way to perturb a panel: its size, and the seed of its draws."""

    kind: Perturbation
    block: int | None
    noise: float
    drop: float
    delay: int
    seed: int

    def generator(self, draw: int) -> np.random.Generator:
        """Of one draw; the same whatever other ways there are."""
        kind = KINDS.index(self.kind)
        return np.random.default_rng([self.seed, kind, draw])

    def perturbed(self, panel: Panel, rng: np.random.Generator) -> Panel:
        """The panel perturbed; rows are resampled elsewhere, those of each fold by themselves."""
        if self.kind == "noise":
            return blurred(panel, self.noise, rng)
        if self.kind == "assets":
            return thinned(panel, self.drop, rng)
        if self.kind == "delay":
            return delayed(panel, self.delay)
        return panel

    def unsuited(self, panel: Panel) -> str:
        """Why the panel cannot be perturbed in this way, empty where it can."""
        if self.kind in ("noise", "delay") and not panel.names:
            return NO_FEATURES
        if self.kind == "assets" and len(panel.assets) < 2:
            return ONE_ASSET
        return ""

    def words(self, panel: Panel) -> str:
        """How the panel is perturbed, as the head of a sentence."""
        if self.kind == "bootstrap":
            dates = len(panel.dates)
            length = block_of(dates, panel.horizon, self.block)
            rows = count(length, "row")
            return f"Dates resampled in blocks of {rows} on average"
        if self.kind == "noise":
            noise = percent(self.noise)
            return f"Features with noise of {noise} of their standard deviation"
        if self.kind == "assets":
            N = len(panel.assets)
            left_out = min(max(round(self.drop * N), 1), max(N - 1, 1))
            assets = count(left_out, "asset")
            return f"{assets} of {N:,} left out"
        delay = count(self.delay, "row")
        return f"Features {delay} late"


def blurred(panel: Panel, noise: float, rng: np.random.Generator) -> Panel:
    """Features with normal noise of this share of their standard deviation over the valid cells."""
    X = panel.X.copy()
    T, N = panel.y.shape
    valid = panel.valid
    for k in range(X.shape[2]):
        x = X[:, :, k]
        column = np.where(valid, x, np.nan)
        low = np.min(column, axis=1, where=valid, initial=np.inf)
        high = np.max(column, axis=1, where=valid, initial=-np.inf)
        same_on_row = low >= high
        columns = N
        if same_on_row.all():
            columns = 1
        normal = rng.standard_normal((T, columns))
        cells = column[valid]
        deviation = cells.std()
        X[:, :, k] += noise * deviation * normal
    return panel.with_arrays(X=X)


def thinned(panel: Panel, drop: float, rng: np.random.Generator) -> Panel:
    """The panel without a drawn share of its assets: at least one goes, one stays."""
    N = len(panel.assets)
    gone = min(max(round(drop * N), 1), N - 1)
    shuffled = rng.permutation(N)
    kept = np.sort(shuffled[gone:])
    n_dates = len(panel.dates)
    every_row = np.arange(n_dates)
    return panel.part(every_row, kept)


def delayed(panel: Panel, delay: int) -> Panel:
    """Row t has the features of row t - delay; cells without usable ones there are left out."""
    X = np.full_like(panel.X, np.nan)
    X[delay:] = panel.X[:-delay]
    valid = panel.valid.copy()
    valid[:delay] = False
    is_finite = np.isfinite(X)
    known = is_finite.all(axis=2)
    valid &= known
    return panel.with_arrays(X=X, valid=valid)


def most(rows: int) -> int:
    """The longest mean block for so many rows."""
    share = LONGEST * rows
    longest = np.ceil(share)
    return max(1, int(longest))


def block_of(rows: int, horizon: int, block: int | None) -> int:
    """Mean rows of a block: as given, or long enough for overlapping targets."""
    length = block
    if length is None:
        cube_root_of_rows = rows ** (1 / 3)
        rounded = np.ceil(cube_root_of_rows)
        cube_root = int(rounded)
        spans = SPANS * horizon
        length = max(cube_root, spans)
    longest = most(rows)
    return min(length, longest)


def resampled(rows: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (rows,) of a draw of the stationary bootstrap with this mean block."""
    from arch.bootstrap import StationaryBootstrap

    # arch annotates a whole block; what it takes is one over the chance of a new one.
    every_row = np.arange(rows)
    bootstrap = StationaryBootstrap(block, every_row, seed=rng)
    return np.asarray(bootstrap.update_indices())


def resampled_rows(
    panel: Panel, rows: np.ndarray, block: int | None, rng: np.random.Generator
) -> np.ndarray:
    """A draw of these rows of the panel, in blocks."""
    n = len(rows)
    length = block_of(n, panel.horizon, block)
    positions = resampled(n, length, rng)
    return rows[positions]


def rows_replaced(panel: Panel, rows: np.ndarray, drawn: np.ndarray) -> Panel:
    """The panel with what is on the drawn rows on `rows`, and the rest as it is."""
    n_dates = len(panel.dates)
    source = np.arange(n_dates)
    source[rows] = drawn
    weights = panel.weights
    if weights is not None:
        weights = weights[source]
    raw = panel.raw
    if raw is not None:
        raw = raw[source]
    X = panel.X[source]
    y = panel.y[source]
    valid = panel.valid[source]
    return panel.with_arrays(y=y, X=X, valid=valid, weights=weights, raw=raw)
