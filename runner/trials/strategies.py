"""The strategies and forecasts of a sweep, adjusted for all that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError, listed
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

    from runner.trials.hurdles import Track
    from runner.trials.verdict import Bar, Job

STRATEGIES = ["job", "strategy", "n_obs", "sharpe", "probabilistic", "deflated", "pbo"]
STRATEGIES += ["spa_p_value", "mcs_p_value", "in_mcs", "reason"]
BLOCKS = 16  # of the rows of returns, where there are twice as many rows at least
BLOCKS_OF_LOSSES = (
    60  # below which the bootstrap rejects too often: 11 to 22 % at 5 % with 10 to 24
)
FEWEST = 20  # returns, below which a Sharpe ratio has no error worth the name
SERIAL = (
    0.1  # first-order autocorrelation beyond which the error of a Sharpe ratio is off by a tenth
)
SAME = 1e-9  # relative to the size of returns; strategies that differ by less are one

Key = tuple[str, str]  # job, strategy


def judged(jobs: Sequence[Job], bar: Bar) -> tuple[pd.DataFrame, list[str]]:
    """Sharpe ratios and forecasts of the jobs, those that have any, and notes."""
    import pandas as pd

    returns = {(job.name, name): own for job in jobs for name, own in job.strategies.items()}
    predictions = {job.name: job.predictions for job in jobs if job.predictions is not None}
    keys = list(returns)
    with_strategy = {job for job, _ in keys}
    keys += [(name, "") for name in predictions if name not in with_strategy]
    order = {job.name: at for at, job in enumerate(jobs)}
    keys.sort(key=lambda key: order[key[0]])
    index = pd.MultiIndex.from_tuples(keys, names=["job", "strategy"]) if keys else None
    columns = STRATEGIES[2:]
    table = pd.DataFrame(index=index, columns=columns, dtype=float)
    table = table.astype({"in_mcs": object, "reason": object})
    table["reason"] = ""
    notes = _ratios(table, returns, bar) if returns else []
    notes += _forecasts(table, predictions, bar) if predictions else []
    if not keys:
        return pd.DataFrame(columns=STRATEGIES), notes
    return table.reset_index()[STRATEGIES], notes


def _once(returns: Mapping[Key, pd.Series]) -> tuple[dict[Key, pd.Series], dict[Key, Key]]:
    """The strategies that differ, and the others with the one whose returns they have."""
    different: dict[Key, pd.Series] = {}
    copies: dict[Key, Key] = {}
    for key, own in returns.items():
        same = [other for other, known in different.items() if _alike(own, known)]
        if same:
            copies[key] = same[0]
        else:
            different[key] = own
    return different, copies


def _alike(own: pd.Series, other: pd.Series) -> bool:
    if not own.index.equals(other.index):
        return False
    size = SAME * float(np.nanmax(np.abs(other), initial=0.0))
    return bool(np.allclose(own, other, rtol=0.0, atol=size, equal_nan=True))


def _ratios(table: pd.DataFrame, returns: Mapping[Key, pd.Series], bar: Bar) -> list[str]:
    """Fill in the Sharpe ratios and the probability of overfitting."""
    from runner.trials.hurdles import deflated_sharpe, probabilistic_sharpe, track

    different, copies = _once(returns)
    for key, first in copies.items():
        table.loc[key, "reason"] = f"the returns of {_name(first)}, counted once"
    most = max(sum(job == name for job, _ in different) for name in {job for job, _ in different})
    trials = len(different) + bar.without_result * most
    tracks = {}
    for key, own in different.items():
        values = own.to_numpy(dtype=float)
        known = values[np.isfinite(values)]
        found = track(known) if len(known) > 1 else None
        reason = _doubt(known, found)
        table.loc[key, "reason"] = reason
        if found is None or np.isnan(found.sharpe):
            continue
        table.loc[key, ["n_obs", "sharpe"]] = [found.n, found.sharpe]
        tracks[key] = found
    known_ratios = [found.sharpe for found in tracks.values()]
    variance = float(np.var(known_ratios, ddof=1)) if len(known_ratios) > 1 else np.nan
    if trials == 1:
        variance = 0.0
    for key, found in tracks.items():
        if table.loc[key, "reason"]:
            continue
        table.loc[key, "probabilistic"] = probabilistic_sharpe(found)
        if np.isfinite(variance):
            table.loc[key, "deflated"] = deflated_sharpe(found, trials, variance)
        else:
            table.loc[key, "reason"] = (
                "no deflated ratio: one strategy does not show how ratios of trials vary"
            )
    return [*_overfitting(table, different), *_counted_once(copies)]


def _name(key: Key) -> str:
    return f"job {key[0]} ({key[1]})"


def _counted_once(copies: Mapping[Key, Key]) -> list[str]:
    if not copies:
        return []
    names = listed([_name(key) for key in copies])
    return [f"Strategies with the returns of another count once: {names}."]


def _doubt(returns: np.ndarray, found: Track | None) -> str:
    """Why the error of a Sharpe ratio is not known; empty where it is.

    Its formula takes returns as serially uncorrelated, and is of large samples.
    """
    if found is None or len(returns) < FEWEST:
        return f"{count(len(returns), 'return')}; needs {FEWEST}"
    if np.isnan(found.sharpe):
        return "returns do not vary"
    away = returns - returns.mean()
    serial = float(away[1:] @ away[:-1] / (away @ away))
    if abs(serial) > max(SERIAL, 2.0 / np.sqrt(len(returns))):
        return f"returns are serially correlated (first order {serial:.2f}): the ratio's error is not known"
    return ""


def _overfitting(table: pd.DataFrame, returns: Mapping[Key, pd.Series]) -> list[str]:
    """Fill in the probability of backtest overfitting, of strategies that differ."""
    import pandas as pd

    from runner.trials.overfitting import overfitting

    wide = pd.DataFrame(dict(enumerate(returns.values()))).sort_index()
    try:
        found = overfitting(wide.to_numpy(dtype=float), BLOCKS)
    except DataError as problem:
        return [f"The probability of backtest overfitting was not computed: {problem}."]
    table.loc[list(returns), "pbo"] = found.pbo
    lost = (
        f", {count(found.dropped, 'row')} left out on which one has none" if found.dropped else ""
    )
    rows = count(found.rows, "row")
    return [
        f"Backtest overfitting of {len(returns)} strategies on {rows} in {BLOCKS} blocks{lost}."
    ]


def _forecasts(table: pd.DataFrame, predictions: Mapping[str, pd.DataFrame], bar: Bar) -> list[str]:
    """Fill in the tests of the forecasts."""
    from runner.trials.losses import FEWEST as FEWEST_LOSSES
    from runner.trials.losses import block_of, losses_of, may_be_best, paired_draws, superior

    losses = losses_of(predictions)
    reasons: dict[str, list[str]] = {}
    for name, why in losses.left_out.items():
        reasons.setdefault(why, []).append(name)
    notes = [f"Forecasts not compared, {why}: {listed(names)}." for why, names in reasons.items()]
    draws = max(bar.draws // 10, 100)
    block = block_of(len(losses.ours), bar.horizon, bar.block)
    dates = len(losses.ours)
    why = ""
    if bar.horizon > 1:
        why = "targets overlap, where no length of blocks keeps the bootstrap at its level"
    elif FEWEST_LOSSES <= dates < BLOCKS_OF_LOSSES * block:
        blocks = count(dates // block, "block")
        why = f"losses: {count(dates, 'date')} make {blocks} of {block}; needs {BLOCKS_OF_LOSSES}"
    if why:
        return [*notes, f"The forecasts were not compared: {why}."]
    try:
        gains = (losses.benchmark - losses.ours).to_numpy(dtype=float)
        tested = superior(gains, draws, bar.block, bar.seed, bar.horizon)
    except DataError as problem:
        return [*notes, f"The forecasts were not compared: {problem}."]
    p = may_be_best(losses.ours, draws, block_of(tested.dates, bar.horizon, bar.block), bar.seed)
    fewer = paired_draws(len(p), draws)
    job = table.index.get_level_values("job")
    for name, value in p.items():
        own = job == name
        table.loc[own, "in_mcs"] = bool(value >= bar.size)
        # No draw at all beyond what was seen is a p-value below one draw, not zero.
        table.loc[own, "mcs_p_value"] = max(value, 1.0 / fewer)
        table.loc[own, "spa_p_value"] = max(tested.consistent, 1.0 / draws)
    drawn = f"{draws:,} draws" + (f", {fewer:,} of the confidence set" if fewer < draws else "")
    compared = (
        f"Forecasts compared on {count(tested.dates, 'date')}, blocks of {tested.block}: {drawn}."
    )
    return [*notes, compared]
