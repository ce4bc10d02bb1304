"""What a LASSO per asset and row costs: many targets on one design, beside scikit-learn's LassoCV one by one.

python tests/benchmarks/lasso.py [FILE]

Three lags of 293 assets are 879 candidates, with 30 rows and the same five folds and 100 penalties for both, in one
process on one thread. FILE is a parquet of minute bars (columns day, Time, Ticker, ret); without it returns are
simulated: a market, heavy tails, and half of them zero. Answers are compared before a time is printed.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

for _pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np  # noqa: E402 (after the threads are set)

ASSETS, LAGS, WINDOW, PENALTIES = 293, 3, 30, 100
MINUTES = (60, 150, 240, 330)  # rows whose window is fitted
SAMPLE = 8  # assets of each that LassoCV fits
TIGHT = 1e-9  # its duality gap, relative, to compare answers by


def returns(path: str | None) -> np.ndarray:
    """(T, N) one-minute returns."""
    if path is not None:
        import pandas as pd

        table = pd.read_parquet(path)
        day = table[table["day"].astype(str) == sorted(table["day"].astype(str).unique())[0]]
        return day.pivot(index="Time", columns="Ticker", values="ret").to_numpy()
    rng = np.random.default_rng(0)
    shocks = 3e-4 * rng.standard_t(4, size=(390, ASSETS)) + 2e-4 * rng.normal(size=(390, 1))
    return np.where(rng.random(shocks.shape) < 0.5, 0.0, shocks)


def window(ret: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates (30, 3 N) scaled, targets (N, 30) in basis points, and the candidates of row t (1, 3 N)."""
    lagged = np.concatenate([ret[t - WINDOW - lag : t - lag] for lag in range(LAGS)], axis=1)
    last = np.concatenate([ret[t - lag] for lag in range(LAGS)])[None]
    spread = lagged.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    return lagged / scale, 1e4 * ret[t - WINDOW + 1 : t + 1].T, last / scale


def folds() -> list[tuple[np.ndarray, np.ndarray]]:
    """Five expanding ones, a row purged, as the model makes them."""
    return [(np.arange(end - 1), np.arange(end, end + 5)) for end in (5, 10, 15, 20, 25)]


def one_by_one(X: np.ndarray, y: np.ndarray, tol: float) -> tuple[float, list[Any]]:
    """Seconds a fit of LassoCV, and the fits."""
    from sklearn.linear_model import LassoCV

    start = time.perf_counter()
    found = [
        LassoCV(alphas=PENALTIES, cv=folds(), tol=tol, max_iter=100_000).fit(X, target)
        for target in y
    ]
    return (time.perf_counter() - start) / len(y), found


def objective(
    X: np.ndarray, y: np.ndarray, slopes: np.ndarray, constant: float, penalty: float
) -> float:
    return float(
        np.sum((y - constant - X @ slopes) ** 2) / (2 * len(y)) + penalty * np.abs(slopes).sum()
    )


def main() -> None:
    from runner.estimators.penalised.cross_validated import choose

    ret = returns(sys.argv[1] if len(sys.argv) > 1 else None)
    print(
        f"{ret.shape[1]} assets, {LAGS * ret.shape[1]} candidates, {WINDOW} rows; milliseconds a fit\n"
    )
    print(
        "| row | all at once | LassoCV | times | LassoCV tight | times | same penalty | objective above"
        " | slopes apart |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for t in MINUTES:
        X, y, last = window(ret, t)
        start = time.perf_counter()
        choose(X, y, last, folds(), PENALTIES)
        ours = (time.perf_counter() - start) / len(y)
        some = np.linspace(0, len(y) - 1, SAMPLE).astype(int)
        found = choose(X, y, last, folds(), PENALTIES, slopes=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of paths that LassoCV has not ended
            plain, _ = one_by_one(X, y[some], tol=1e-4)
            tight, fits = one_by_one(X, y[some], tol=TIGHT)
        same, above, apart = 0, 0.0, 0.0
        for i, fit in zip(some, fits, strict=True):
            if not np.isclose(fit.alpha_, found.penalty[i], rtol=1e-9):
                continue
            same += 1
            mine, theirs = (
                objective(X, y[i], b, a, fit.alpha_)
                for b, a in ((found.slopes[i], found.constant[i]), (fit.coef_, fit.intercept_))
            )
            above = max(above, (mine - theirs) / max(theirs, 1e-300))
            apart = max(
                apart,
                np.abs(found.slopes[i] - fit.coef_).max() / max(np.abs(fit.coef_).max(), 1e-300),
            )
        print(
            f"| {t} | {1e3 * ours:.2f} | {1e3 * plain:.1f} | {plain / ours:.0f} | {1e3 * tight:.1f}"
            f" | {tight / ours:.0f} | {same} of {len(some)} | {above:.0e} | {apart:.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
