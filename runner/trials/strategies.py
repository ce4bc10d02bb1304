"""The strategies and forecasts of a sweep, adjusted for all that was tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError, listed
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

    from runner.trials.hurdles import Track
    from runner.trials.trial import Bar, Job, Predictions

STRATEGIES = ["job", "strategy", "n_obs", "sharpe", "probabilistic", "deflated", "pbo"]
STRATEGIES += ["spa_p_value", "mcs_p_value", "in_mcs", "reason"]
BLOCKS = 16  # of the rows of returns, where there are twice as many rows at least
# Below so many the bootstrap rejects too often: 11 to 22 % at 5 % with 10 to 24 blocks.
BLOCKS_OF_LOSSES = 60
FEWEST_DRAWS = 100  # of the tests of forecasts
FEWEST = 20  # returns, below which a Sharpe ratio has no error worth the name
# First-order autocorrelation beyond which the error of a Sharpe ratio is off by a tenth.
SERIAL = 0.1
SAME = 1e-9  # relative to the size of returns; strategies that differ by less are one

Key = tuple[str, str]  # job, strategy


def judged(jobs: Sequence[Job], bar: Bar) -> tuple[pd.DataFrame, list[str]]:
    """Sharpe ratios and forecasts of the jobs, those that have any, and notes."""
    import pandas as pd

    returns: dict[Key, pd.Series] = {}
    predictions = {}
    keys: list[Key] = []
    for job in jobs:
        for strategy, of_strategy in job.strategies.items():
            returns[job.name, strategy] = of_strategy
            keys.append((job.name, strategy))
        if job.predictions is not None:
            predictions[job.name] = job.predictions
            if not job.strategies:
                keys.append((job.name, ""))
    if not keys:
        return pd.DataFrame(columns=STRATEGIES), []
    index = pd.MultiIndex.from_tuples(keys, names=["job", "strategy"])
    table = pd.DataFrame(index=index, columns=STRATEGIES[2:], dtype=float)
    table = table.astype({"in_mcs": object, "reason": object})
    table["reason"] = ""
    notes: list[str] = []
    if returns:
        notes += _ratios(table, returns, bar)
    if predictions:
        notes += _forecasts(table, predictions, bar)
    return table.reset_index()[STRATEGIES], notes


def _once(returns: Mapping[Key, pd.Series]) -> tuple[dict[Key, pd.Series], dict[Key, Key]]:
    """The strategies that differ, and the others with the one whose returns they have."""
    different: dict[Key, pd.Series] = {}
    copies: dict[Key, Key] = {}
    for key, of_strategy in returns.items():
        same = [other for other, known in different.items() if _alike(of_strategy, known)]
        if same:
            copies[key] = same[0]
        else:
            different[key] = of_strategy
    return different, copies


def _alike(returns: pd.Series, others: pd.Series) -> bool:
    """Whether two strategies have the same returns but for rounding."""
    if not returns.index.equals(others.index):
        return False
    sizes = np.abs(others)
    largest = np.nanmax(sizes, initial=0.0)
    slack = SAME * float(largest)
    return bool(np.allclose(returns, others, rtol=0.0, atol=slack, equal_nan=True))


def _ratios(table: pd.DataFrame, returns: Mapping[Key, pd.Series], bar: Bar) -> list[str]:
    """Fill in the Sharpe ratios and the probability of overfitting; notes on them."""
    different, copies = _once(returns)
    for key, first in copies.items():
        table.loc[key, "reason"] = f"the returns of {_name(first)}, counted once"
    tracks = _tracks(table, different)
    trials_of_bar = _trials(different, bar)
    _deflate(table, tracks, trials_of_bar)
    return [*_overfitting(table, different), *_counted_once(copies)]


def _trials(different: Mapping[Key, pd.Series], bar: Bar) -> int:
    """Strategies that differ, and for each job without a result as many as the largest job has."""
    per_job = Counter(job for job, _ in different)
    most = max(per_job.values())
    lost = bar.without_result * most
    return len(different) + lost


def _tracks(table: pd.DataFrame, different: Mapping[Key, pd.Series]) -> dict[Key, Track]:
    """Fill in the Sharpe ratio of each strategy and why its error is not known; those with one."""
    from runner.trials.hurdles import track

    tracks = {}
    for key, returns in different.items():
        values = returns.to_numpy(dtype=float)
        is_known = np.isfinite(values)
        known = values[is_known]
        moments = track(known) if len(known) > 1 else None
        table.loc[key, "reason"] = _doubt(known, moments)
        if moments is None or np.isnan(moments.sharpe):
            continue
        table.loc[key, ["n_obs", "sharpe"]] = [moments.n, moments.sharpe]
        tracks[key] = moments
    return tracks


def _deflate(table: pd.DataFrame, tracks: Mapping[Key, Track], trials: int) -> None:
    """Fill in the confidence that a true ratio is above zero, alone and as one of all trials."""
    from runner.trials.hurdles import deflated_sharpe, probabilistic_sharpe

    ratios = [moments.sharpe for moments in tracks.values()]
    variance = float(np.var(ratios, ddof=1)) if len(ratios) > 1 else np.nan
    if trials == 1:
        variance = 0.0
    for key, moments in tracks.items():
        if table.loc[key, "reason"]:
            continue
        table.loc[key, "probabilistic"] = probabilistic_sharpe(moments)
        if np.isfinite(variance):
            table.loc[key, "deflated"] = deflated_sharpe(moments, trials, variance)
        else:
            table.loc[key, "reason"] = (
                "no deflated ratio: one strategy does not show how ratios of trials vary"
            )


def _name(key: Key) -> str:
    job, strategy = key
    return f"job {job} ({strategy})"


def _counted_once(copies: Mapping[Key, Key]) -> list[str]:
    if not copies:
        return []
    names = listed([_name(key) for key in copies])
    return [f"Strategies with the returns of another count once: {names}."]


def _doubt(returns: np.ndarray, moments: Track | None) -> str:
    """Why the error of a Sharpe ratio is not known; empty where it is.

    Its formula takes returns as serially uncorrelated, and is of large samples.
    """
    if moments is None or len(returns) < FEWEST:
        return f"{count(len(returns), 'return')}; needs {FEWEST}"
    if np.isnan(moments.sharpe):
        return "returns do not vary"
    mean = returns.mean()
    away = returns - mean
    later = away[1:]
    earlier = away[:-1]
    covariance = later @ earlier
    serial = float(covariance / (away @ away))
    two_errors = 2.0 / np.sqrt(len(returns))
    least = max(SERIAL, two_errors)
    if abs(serial) > least:
        return (
            f"returns are serially correlated (first order {serial:.2f}): "
            "the ratio's error is not known"
        )
    return ""


def _overfitting(table: pd.DataFrame, returns: Mapping[Key, pd.Series]) -> list[str]:
    """Fill in the probability of backtest overfitting, of strategies that differ."""
    import pandas as pd

    from runner.trials.overfitting import overfitting

    wide = pd.DataFrame(dict(enumerate(returns.values()))).sort_index()
    try:
        returns_of_all = wide.to_numpy(dtype=float)
        result = overfitting(returns_of_all, BLOCKS)
    except DataError as problem:
        return [f"The probability of backtest overfitting was not computed: {problem}."]
    table.loc[list(returns), "pbo"] = result.pbo
    text = (
        f"Backtest overfitting of {len(returns)} strategies on "
        f"{count(result.rows, 'row')} in {BLOCKS} blocks"
    )
    if result.dropped:
        dropped = count(result.dropped, "row")
        text += f", {dropped} left out on which one has none"
    return [f"{text}."]


def _forecasts(table: pd.DataFrame, predictions: Mapping[str, Predictions], bar: Bar) -> list[str]:
    """Fill in the tests of the forecasts; notes on them."""
    from runner.trials.losses import block_of, losses_of, may_be_best, paired_draws, superior

    losses = losses_of(predictions)
    notes = _left_out(losses.left_out)
    if losses.ours.empty and notes:
        return notes
    why = _not_comparable(len(losses.ours), bar)
    if why:
        return [*notes, f"The forecasts were not compared: {why}."]
    draws = max(bar.draws // 10, FEWEST_DRAWS)
    gains = (losses.benchmark - losses.ours).to_numpy(dtype=float)
    try:
        ability = superior(gains, draws, bar.block, bar.seed, bar.horizon)
    except DataError as problem:
        return [*notes, f"The forecasts were not compared: {problem}."]
    block = block_of(ability.dates, bar.horizon, bar.block)
    p_values = may_be_best(losses.ours, draws, block, bar.seed)
    draws_of_set = paired_draws(len(p_values), draws)
    job = table.index.get_level_values("job")
    for name, p in p_values.items():
        rows = job == name
        table.loc[rows, "in_mcs"] = bool(p >= bar.size)
        # No draw at all beyond what was seen is a p-value below one draw, not zero.
        table.loc[rows, "mcs_p_value"] = max(p, 1.0 / draws_of_set)
        least_p = 1.0 / draws
        table.loc[rows, "spa_p_value"] = max(ability.consistent, least_p)
    drawn = f"{draws:,} draws"
    if draws_of_set < draws:
        drawn += f", {draws_of_set:,} of the confidence set"
    dates = count(ability.dates, "date")
    return [*notes, f"Forecasts compared on {dates}, blocks of {ability.block}: {drawn}."]


def _left_out(reason_of: Mapping[str, str]) -> list[str]:
    """A note for each reason why forecasts of jobs are not compared."""
    names: dict[str, list[str]] = {}
    for name, reason in reason_of.items():
        names.setdefault(reason, []).append(name)
    sentences = []
    for reason, jobs in names.items():
        noun = "job" if len(jobs) == 1 else "jobs"
        sentences.append(f"Forecasts not compared ({reason}): {noun} {listed(jobs)}.")
    return sentences


def _not_comparable(dates: int, bar: Bar) -> str:
    """Why no bootstrap of the losses keeps its level; empty where it does."""
    from runner.trials.losses import FEWEST as FEWEST_LOSSES
    from runner.trials.losses import block_of

    if bar.horizon > 1:
        return "targets overlap, where no length of blocks keeps the bootstrap at its level"
    block = block_of(dates, bar.horizon, bar.block)
    if FEWEST_LOSSES <= dates < BLOCKS_OF_LOSSES * block:
        blocks = count(dates // block, "block")
        extent = f"{count(dates, 'date')} make {blocks} of {block}"
        return f"losses: {extent}; needs {BLOCKS_OF_LOSSES}"
    return ""
