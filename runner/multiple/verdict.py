"""What survives of a sweep: its tests and its strategies, each adjusted for all that was tried, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.settings import Count, Rows, Share
from runner.words import MANY_TESTS, count, number

if TYPE_CHECKING:
    import pandas as pd

TESTS = ["job", "term", "estimate", "std_error", "t_stat", "p_value", "p_holm", "p_romano_wolf", "p_bh", "p_by"]
TESTS += ["hurdle_t", "survives", "reason"]
STRATEGIES = ["job", "n_obs", "sharpe", "probabilistic", "deflated", "pbo", "spa_p_value", "mcs_p_value", "in_mcs"]
STRATEGIES += ["reason"]
BLOCKS = 16  # of the rows of returns, where there are twice as many rows at least


@dataclass(frozen=True)
class Job:
    """What one run of a sweep left behind.

    Attributes:
        name: of the run, unique.
        coefficients: as in coefficients.csv.
        influence: frame (dates, terms) of `runner.multiple.influence`, None where there is none.
        returns: of its strategy by date, decimals per period, after costs; None without.
        predictions: as in predictions.parquet, None without.
    """

    name: str
    coefficients: pd.DataFrame
    influence: pd.DataFrame | None = None
    returns: pd.Series | None = None
    predictions: pd.DataFrame | None = None


@dataclass(frozen=True)
class Bar:
    """What a finding has to pass.

    Attributes:
        terms: that are tested; null takes every term of the headline but `const`.
        level: of the unadjusted tests, of the chance of any false one (Holm, Romano-Wolf) and of the hurdle.
        false_discoveries: largest expected share of false ones among those that Benjamini-Hochberg keeps.
        size: of the model confidence set: a job is in it where its p-value is at least this.
        without_result: jobs on this data and target that failed or were abandoned, whose p counts as 1.
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


class Verdict(NamedTuple):
    """Tables, the sentence that says what survives, and notes on what was drawn and what could not be computed.

    `tests` has one row per job and term: estimate, std_error, t_stat, p_value of the fit; p-values adjusted by Holm,
    Romano-Wolf, Benjamini-Hochberg and Benjamini-Yekutieli; hurdle_t, the |t| that Holm asks under the normal
    distribution; survives, whether it passes Holm and, where there is one, Romano-Wolf; reason, why a p-value is
    absent. `strategies` has one row per job: Sharpe ratio per period, confidence that the true one is above zero,
    as if it were the only one (probabilistic) and as one of all (deflated); of the whole family the probability of
    backtest overfitting, and the p-value of no forecast beating its benchmark; that of the model confidence set.
    """

    tests: pd.DataFrame
    strategies: pd.DataFrame
    sentence: str
    notes: tuple[str, ...]
    metrics: dict[str, float]


def judge(jobs: Sequence[Job], bar: Bar | None = None) -> Verdict:
    """Adjust what these jobs found for all that was tried.

    A job without a result counts as as many trials as the largest job has tests. Romano-Wolf is of the tests that
    have an influence, and never below the unadjusted p-value.

    Raises:
        ValueError: two jobs of one name; a term that no job has.
    """
    bar = bar or Bar()
    names = [job.name for job in jobs]
    if len(set(names)) < len(names):
        raise ValueError(f"jobs: {listed({name for name in names if names.count(name) > 1})} given twice")
    table = _gathered(jobs, bar.terms)
    most = int(table.groupby("job").size().max()) if len(table) else 1
    trials = len(table) + bar.without_result * most
    tests, notes = _adjusted(table, jobs, bar, trials)
    strategies, more = _strategies(jobs, bar)
    return Verdict(tests, strategies, sentence(tests, trials, bar), (*notes, *more), _metrics(tests, trials, bar))


def _gathered(jobs: Sequence[Job], terms: list[str] | None) -> pd.DataFrame:
    """The tested rows of every job, in the order of the jobs.

    Raises:
        ValueError: a term that no job has.
    """
    import pandas as pd

    from runner.fit import headline

    columns = ["job", *TESTS[1:6]]
    parts = {job.name: headline(job.coefficients) for job in jobs}
    table = pd.concat(parts, names=["job", "row"]).reset_index() if parts else pd.DataFrame(columns=columns)
    absent = [term for term in terms or [] if term not in set(table["term"])]
    if absent and len(table):
        raise ValueError(f"terms: given {listed(absent)}; allowed: {listed(dict.fromkeys(table['term']))}")
    own = table["term"] != "const" if terms is None else table["term"].isin(terms)
    return table.loc[own, columns].reset_index(drop=True)


def _adjusted(table: pd.DataFrame, jobs: Sequence[Job], bar: Bar, trials: int) -> tuple[pd.DataFrame, list[str]]:
    """The tests with their adjusted p-values, and notes."""
    from runner.multiple import adjust
    from runner.multiple.hurdles import hurdles

    p = table["p_value"].to_numpy(dtype=float)
    joint, notes, reason = _jointly(table, jobs, bar, trials)
    table = table.assign(p_holm=adjust.holm(p, trials), p_romano_wolf=joint)
    table = table.assign(
        p_bh=adjust.benjamini_hochberg(p, trials),
        p_by=adjust.benjamini_yekutieli(p, trials),
        hurdle_t=hurdles(p, bar.level, trials).holm if trials else np.nan,
        survives=(table["p_holm"] < bar.level) & ~(table["p_romano_wolf"] >= bar.level),
        reason=np.where(np.isnan(p), "no p-value", reason),
    )
    return table[TESTS], notes


def _jointly(
    table: pd.DataFrame, jobs: Sequence[Job], bar: Bar, trials: int
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Romano-Wolf p-values (m,), a note on how they were drawn, and the reasons (m,) why they are absent."""
    import pandas as pd

    from runner.multiple.romano_wolf import romano_wolf

    found, reason = np.full(len(table), np.nan), np.full(len(table), "", dtype=object)
    series = {job.name: job.influence for job in jobs if job.influence is not None}
    keys = list(zip(table["job"], table["term"], strict=True))
    known = np.array([job in series and term in series[job] for job, term in keys], dtype=bool)
    known &= np.isfinite(table[["p_value", "t_stat"]].to_numpy(dtype=float)).all(axis=1)
    reason[~known] = "no Romano-Wolf: no influence by date"
    if not known.any():
        return found, [], reason
    columns = {at: series[keys[at][0]][keys[at][1]] for at in np.flatnonzero(known)}
    psi = pd.DataFrame(columns).sort_index().to_numpy(dtype=float)
    b, error, p = (table.loc[known, name].to_numpy(dtype=float) for name in ("estimate", "std_error", "p_value"))
    # Tests without influence take their share of the level, as trials without a result do.
    try:
        drawn = romano_wolf(b, error, psi, bar.draws, bar.block, bar.seed, bar.horizon, trials)
    except DataError as problem:
        reason[known] = f"no Romano-Wolf: {problem}"
        return found, [f"Romano-Wolf was not computed: {problem}."], reason
    found[known] = np.fmax(drawn.p_value, np.where(np.isnan(drawn.p_value), np.nan, p))
    reason[known & np.isnan(found)] = "no Romano-Wolf: too few dates"
    return found, [f"Romano-Wolf by {bar.draws:,} draws: {drawn.how} (of {count(len(psi), 'date')})."], reason


def _strategies(jobs: Sequence[Job], bar: Bar) -> tuple[pd.DataFrame, list[str]]:
    """Sharpe ratios and forecasts of the jobs, those that have any, and notes."""
    import pandas as pd

    table = pd.DataFrame({"job": [job.name for job in jobs]}).reindex(columns=STRATEGIES)
    table = table.astype({"job": object, "in_mcs": object, "reason": object}).set_index("job")
    table["reason"] = ""
    returns = {job.name: job.returns for job in jobs if job.returns is not None}
    predictions = {job.name: job.predictions for job in jobs if job.predictions is not None}
    notes = _ratios(table, returns, bar) if returns else []
    notes += _forecasts(table, predictions, bar) if predictions else []
    own = [name for name in table.index if name in returns or name in predictions]
    return table.loc[own].reset_index()[STRATEGIES], notes


def _ratios(table: pd.DataFrame, returns: Mapping[str, pd.Series], bar: Bar) -> list[str]:
    """Fill in the Sharpe ratios and the probability of overfitting."""
    import pandas as pd

    from runner.multiple.hurdles import deflated_sharpe, probabilistic_sharpe, track
    from runner.multiple.overfitting import overfitting

    tracks = {name: track(one.to_numpy(dtype=float)) for name, one in returns.items() if one.notna().sum() > 1}
    trials = len(returns) + bar.without_result
    known = [one.sharpe for one in tracks.values() if np.isfinite(one.sharpe)]
    variance = float(np.var(known, ddof=1)) if len(known) > 1 else 0.0 if trials == 1 else np.nan
    for name in returns:
        if name not in tracks or np.isnan(tracks[name].sharpe):
            table.loc[name, "reason"] = "returns do not vary" if name in tracks else "fewer than 2 returns"
            continue
        one = tracks[name]
        table.loc[name, ["n_obs", "sharpe"]] = [one.n, one.sharpe]
        table.loc[name, "probabilistic"] = probabilistic_sharpe(one)
        table.loc[name, "deflated"] = np.nan if np.isnan(variance) else deflated_sharpe(one, trials, variance)
    try:
        found = overfitting(pd.DataFrame(dict(returns)).sort_index().to_numpy(dtype=float), BLOCKS)
    except DataError as problem:
        return [f"The probability of backtest overfitting was not computed: {problem}."]
    table.loc[list(returns), "pbo"] = found.pbo
    lost = f", {count(found.dropped, 'row')} left out on which one has none" if found.dropped else ""
    return [
        f"Backtest overfitting of {len(returns)} strategies on {count(found.rows, 'row')} in {BLOCKS} blocks{lost}."
    ]


def _forecasts(table: pd.DataFrame, predictions: Mapping[str, pd.DataFrame], bar: Bar) -> list[str]:
    """Fill in the tests of the forecasts."""
    from runner.multiple.losses import block_of, losses_of, may_be_best, paired_draws, superior

    losses = losses_of(predictions)
    reasons: dict[str, list[str]] = {}
    for name, why in losses.left_out.items():
        reasons.setdefault(why, []).append(name)
    notes = [f"Forecasts not compared, {why}: {listed(names)}." for why, names in reasons.items()]
    draws = max(bar.draws // 10, 100)
    try:
        gains = (losses.benchmark - losses.ours).to_numpy(dtype=float)
        tested = superior(gains, draws, bar.block, bar.seed, bar.horizon)
    except DataError as problem:
        return [*notes, f"The forecasts were not compared: {problem}."]
    p = may_be_best(losses.ours, draws, block_of(tested.dates, bar.horizon, bar.block), bar.seed)
    fewer = paired_draws(len(p), draws)
    table.loc[p.index, "in_mcs"] = p >= bar.size
    # No draw at all beyond what was seen is a p-value below one draw, not zero.
    table.loc[p.index, "spa_p_value"] = max(tested.consistent, 1.0 / draws)
    table.loc[p.index, "mcs_p_value"] = p.clip(lower=1.0 / fewer)
    drawn = f"{draws:,} draws" + (f", {fewer:,} of the confidence set" if fewer < draws else "")
    return [*notes, f"Forecasts compared on {count(tested.dates, 'date')}, blocks of {tested.block}: {drawn}."]


def _metrics(tests: pd.DataFrame, trials: int, bar: Bar) -> dict[str, float]:
    """Counts of the sentence."""
    found: dict[str, float] = {"tests": int(tests["p_value"].notna().sum()), "trials": trials}
    found |= {"unadjusted": int((tests["p_value"] < bar.level).sum()), "survive": int(tests["survives"].sum())}
    for name in ("holm", "romano_wolf"):
        found[name] = int((tests[f"p_{name}"] < bar.level).sum())
    return found | {name: int((tests[f"p_{name}"] < bar.false_discoveries).sum()) for name in ("bh", "by")}


def sentence(tests: pd.DataFrame, trials: int, bar: Bar) -> str:
    """What survives, no surer than the table."""
    of = _metrics(tests, trials, bar)
    n, lost = int(of["tests"]), trials - int(of["tests"])
    missing = f"{lost:,} of them elsewhere or without a result, which count as p = 1"
    noun = "trial"
    if not n:
        return f"Nothing was tested: {f'{count(trials, noun)}, none with a p-value' if trials else 'no trial'}."
    about = f" ({count(trials, noun)} on this data and target, {missing})" if lost else ""
    chance = f" (chance alone would give about {number(bar.level * n, 2)})" if n >= MANY_TESTS else ""
    level, fdr = f"{100 * bar.level:g} %", f"{100 * bar.false_discoveries:g} %"
    raw, bh = int(of["unadjusted"]), int(of["bh"])
    return (
        f"Of {count(n, 'test')}{about}, {_some(raw, n, 'has', 'have')} p below {bar.level:g} unadjusted{chance}; "
        f"{_family_wise(tests, of, n, level)}; {_some(bh, n, 'survives', 'survive')} Benjamini-Hochberg at {fdr}."
    )


def _family_wise(tests: pd.DataFrame, of: Mapping[str, float], n: int, level: str) -> str:
    """What survives Holm and Romano-Wolf, by name, and where the two differ."""
    joint, kept = int(tests["p_romano_wolf"].notna().sum()), tests[tests["survives"]]
    partly = f"Romano-Wolf where it could be computed ({joint:,} of {n:,})"
    method = (
        "Holm (Romano-Wolf was not computed)" if not joint else f"Holm and {'Romano-Wolf' if joint == n else partly}"
    )
    by_term = kept.groupby("term", sort=False)["job"]
    names = "; ".join(f"{term} in {'job' if len(own) == 1 else 'jobs'} {listed(own)}" for term, own in by_term)
    text = f"{_some(len(kept), n, 'survives', 'survive')} {method} at {level}"
    alone = (
        ""
        if of["holm"] == of["romano_wolf"] == len(kept) or not joint
        else (f" (Holm alone {of['holm']:,}, Romano-Wolf alone {of['romano_wolf']:,})")
    )
    return f"{text}{alone}{f': {names}' if len(kept) else ''}"


def _some(found: int, total: int, one: str, several: str) -> str:
    """How many of them, with the verb."""
    if found == 0:
        return f"none {one}"
    if found == total and total > 1:
        return f"all {found:,} {several}"
    return f"{found:,} {one if found == 1 else several}"
