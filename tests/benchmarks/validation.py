"""What validation costs: 45 combinatorial splits, and 274 refits beside a scikit-learn loop.

python tests/benchmarks/validation.py [small|large]

Both sides start from the panel in memory. Ours fits on moments that the folds share; the loop gathers the rows of
each window and fits them. Answers are compared before a time is printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import engine

REFITS, WINDOW = 274, 504
PENALTY = 1.0
ROUNDS = 3


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Least seconds of some calls, and what the last one gave."""
    best, found = float("inf"), None
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = call()
        best = min(best, time.perf_counter() - start)
    return best, found


def splits(panel: Any) -> None:
    """Fits and forecasts of all combinatorial splits, beside one fit with the forecast of every row."""
    import numpy as np

    from runner.models.regression import Regression
    from runner.validation.cross_validation import Combinatorial
    from runner.validation.folds import shared_by

    model = Regression(by=None, estimator="ridge", penalty=PENALTY)
    folds = Combinatorial(groups=10, test_groups=2).split(panel.dates, panel.horizon)
    every = np.arange(len(panel.dates))

    def one() -> Any:
        return model.predict(model.fit_to_forecast(panel, every), panel)

    def all_splits() -> float:
        together, total = replace(panel, shared=shared_by(folds, panel)), 0.0
        for _, _, values in model.forecasts(together, folds):
            total += float(values.sum())
        return total

    single, _ = timed(one)
    many, _ = timed(all_splits)
    times = f"{many:.3g} | {single:.3g} | {many / single:.2f} times one"
    print(
        f"| {len(folds)} combinatorial splits, ridge | one fit with forecast | {times} |",
        flush=True,
    )


def refits(panel: Any) -> None:
    """A global ridge on a rolling window, refitted again and again."""
    import numpy as np
    from sklearn.linear_model import Ridge

    from runner.models.regression import Regression
    from runner.validation.folds import shared_by
    from runner.validation.splitters import Fold

    T, K = len(panel.dates), panel.X.shape[2]
    window = min(WINDOW, T // 3)
    starts = np.unique(np.linspace(0, T - window, REFITS).astype(int))
    none = np.empty(0, dtype=int)
    folds = [Fold(str(s), np.arange(s, s + window), none, none, none) for s in starts]
    model = Regression(by=None, estimator="ridge", penalty=PENALTY, standardise=False)

    def ours() -> Any:
        together = replace(panel, shared=shared_by(folds, panel))
        return np.array([model.fit_to_forecast(together, fold.train).params[0] for fold in folds])

    some = range(0, len(folds), max(len(folds) // 8, 1))

    def theirs() -> Any:
        found = []
        for f in some:
            rows = folds[f].train
            fit = Ridge(alpha=PENALTY).fit(panel.X[rows].reshape(-1, K), panel.y[rows].ravel())
            found.append(np.append(fit.intercept_, fit.coef_))
        return np.array(found)

    mine, a = timed(ours)
    start = time.perf_counter()
    b = theirs()
    other = (time.perf_counter() - start) * len(folds) / len(some)
    gap = np.abs(a[list(some)] / b - 1.0).max()
    assert gap < 1e-8, gap
    name = f"scikit-learn Ridge, a loop ({len(some)} windows, scaled)"
    times = f"{mine:.3g} | {other:.3g} | {other / mine:.0f} times faster, gap {gap:.0e}"
    print(f"| {len(folds)} refits of {window} dates, ridge | {name} | {times} |", flush=True)


def main(size: str) -> None:
    import os

    for pool in engine.POOLS:
        os.environ[f"{pool}_NUM_THREADS"] = engine.THREADS
    sys.path.insert(0, str(engine.ROOT))
    panel = engine.simulated(size)
    N, T = engine.SIZES[size]
    print(f"{size}: {N} assets x {T} dates x {engine.FEATURES} features\n")
    print("| task | beside | ours, s | beside, s | ratio |\n|---|---|---|---|---|", flush=True)
    splits(panel)
    refits(panel)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["small"]))
