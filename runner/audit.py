"""Does any column look ahead? All are computed again on data whose future is gone or scrambled.

A value of row t may use data up to row t; a target may look exactly `horizon` rows further, and only ahead. So
whatever happens after a cut, no value before it may move, in the value itself or in whether there is one. Two kinds
of future are tried at each cut: none at all, and one whose rows change places and sizes. Nothing is assumed of
how a column is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from runner.errors import DataError, RunnerError
from runner.market import Market
from runner.panel import Panel, aligned, checked, evaluate
from runner.preprocessing import Step, apply
from runner.targets import Target
from runner.words import count

if TYPE_CHECKING:
    from runner.spec import Experiment
    from runner.validation import Fold

FEW_ASSETS, FEW_ROWS, FEW_CUTS = 24, 800, 3  # of the audit that every run has
MANY_CUTS = 12  # of the thorough one
FIT_ASSETS, FIT_ROWS = 40, 250  # on which the model is fitted twice
UNTRIED = "not audited"  # how the verdict on what was not compared begins
MOVED = 1e-8  # of a column's size: what is less is rounding
SPREAD = 0.5  # of the logarithm of the factors that scramble
AUDIT = ["what", "check", "moved", "values", "first_date", "rows_ahead", "own_row", "verdict"]
Column = Callable[[Market], Any]


class Cut(NamedTuple):
    """Rows of the data up to `row`, which is row `last` of the panel, are kept as they are in both markets: one that
    ends there, and one scrambled after it."""

    row: int
    last: int
    ended: Market
    scrambled: Market


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what moved.

    Attributes:
        table: what, check, moved (rows in which a value did), values (compared), first_date (of those that moved),
            rows_ahead, own_row (whether a feature moves with the data of its own row, where that was seen), verdict
            (clean, leak, or why it was not audited); a row per column and check.
        assets, rows, cuts: how many of each were used.
        looks_ahead: whether the target lies after the features: it moves with rows after its own, or no feature moves
            with its own row; None where no value of the target could be compared.
    """

    table: pd.DataFrame
    assets: int
    rows: int
    cuts: int
    looks_ahead: bool | None

    @cached_property
    def leaks(self) -> list[str]:
        """A line for each column that moved."""
        rows = self.table[self.table["verdict"] == "leak"]
        if rows.empty:
            return []
        rows = rows.sort_values("rows_ahead", ascending=False, kind="stable")
        return [_line(row) for row in rows.drop_duplicates("what").sort_index().itertuples()]

    @property
    def words(self) -> list[str]:
        """What was tried and what moved, in sentences."""
        columns, untried = self.table["what"].nunique(), self.table["verdict"].str.startswith(UNTRIED)
        parts = (columns, "column"), (self.assets, "asset"), (self.rows, "row"), (self.cuts, "cut")
        tried = "{} on {} and {}, {}".format(*(count(*part) for part in parts))
        found = [] if self.leaks else [f"No value before a cut moved with what came after it ({tried})."]
        found += [f"{line}." for line in self.leaks]
        left = zip(self.table["what"][untried], self.table["verdict"][untried], strict=True)
        return [*found, *(f"{what}: {verdict}." for what, verdict in left)]

    def with_fit(self, model: Any, panel: Panel, folds: Sequence[Fold]) -> Audit:
        """The same with what the model makes of training rows when all other rows change."""
        if not folds:
            return self
        row = pd.DataFrame([_fit(model, panel, folds[0])], columns=AUDIT)
        return replace(self, table=pd.concat([self.table, row], ignore_index=True))


def audit(experiment: Experiment, market: Market, thorough: bool = False) -> Audit:
    """Try every feature, step and the target of the experiment.

    Args:
        thorough: all rows and assets, and more cuts, instead of a sample of each.
    """
    if not thorough:
        try:
            return _tried(experiment, _sample(market), FEW_CUTS)
        except DataError:  # a column needs assets or rows that the sample lacks
            return _tried(experiment, market, FEW_CUTS)
    return _tried(experiment, market, MANY_CUTS)


def _tried(experiment: Experiment, market: Market, count: int) -> Audit:
    """Every column of the experiment on this market, at so many cuts.

    Raises:
        DataError: a column that this market, whole as it is, cannot give.
    """
    target = checked(evaluate("target", experiment.target, market), market)
    cuts = _cuts(market, target[0], count)
    found = [_feature(name, one, market, target[0], cuts) for name, one in experiment.features.items()]
    found += _steps(experiment.steps, experiment.features, market, target[0], cuts)
    ahead = _target(experiment.target, market, target, cuts)
    table = pd.DataFrame([row for rows in [*found, ahead] for row in rows], columns=AUDIT)
    lagged = [not row["own_row"] for rows in found for row in rows if row.get("own_row") is not None]
    seen = not ahead[0]["verdict"].startswith(UNTRIED)
    later = ahead[0]["rows_ahead"] > 0 or (bool(lagged) and all(lagged)) if seen else None
    return Audit(table, len(market.assets), len(market.dates), len(cuts), later)


def _sample(market: Market) -> Market:
    """Some assets, evenly spread, and the latest rows: a column that looks ahead does so there too."""
    few = np.unique(np.linspace(0, len(market.assets) - 1, FEW_ASSETS).astype(int))
    assets = [market.assets[i] for i in few]
    return market.of(assets).at(np.arange(max(len(market.dates) - FEW_ROWS, 0), len(market.dates)))


def _cuts(market: Market, rows: pd.DatetimeIndex, count: int) -> list[Cut]:
    """Cuts at rows of the panel, from a third of the data on, where one can be amid a week and a month."""
    dates = market.dates
    at = dates.get_indexer(rows)
    found = []
    for share in np.linspace(0.35, 0.92, count):
        near = at[np.argsort(np.abs(at - share * len(dates)), kind="stable")[:15]]
        near = near[near < len(dates) - 1]
        if len(near):
            amid = np.abs(dates[near].day_of_week - 1.5) / 4.0 + np.abs(dates[near].day - 14.0) / 15.0
            found.append(int(near[np.argmin(amid)]))
    last = {row: place for place, row in enumerate(at)}
    return [Cut(c, last[c], market.at(np.arange(c + 1)), _scrambled(market, c)) for c in dict.fromkeys(found)]


def _scrambled(market: Market, last: int) -> Market:
    """The market with the rows after `last` in another order and of other sizes; gaps move along."""
    rng = np.random.default_rng(last)
    order = np.append(np.arange(last + 1), last + 1 + rng.permutation(len(market.dates) - last - 1))

    def changed(values: Any) -> Any:
        cells = values.to_numpy(dtype=float)[order]
        cells[last + 1 :] *= np.exp(SPREAD * rng.standard_normal(cells[last + 1 :].shape))
        kind = pd.DataFrame if cells.ndim == 2 else pd.Series
        names = {"columns": values.columns} if cells.ndim == 2 else {"name": values.name}
        return kind(cells, index=values.index, **names)

    close, ret = market.market_close, market.market_ret
    return replace(
        market,
        fields={name: changed(frame) for name, frame in market.fields.items()},
        series=changed(market.series) if market.series.shape[1] else market.series,
        market_close=None if close is None else changed(close),
        market_ret=None if ret is None else changed(ret),
    )


def _feature(
    name: str, feature: Column, market: Market, rows: pd.DatetimeIndex, cuts: Sequence[Cut]
) -> list[dict[str, Any]]:
    """One row for data that ends at the cuts, one for data scrambled after them."""
    where, found = f"features.{name}", []
    whole = aligned(where, evaluate(where, feature, market), market, rows)
    for check in ("ended", "scrambled"):
        moved, values, failed, own = list[tuple[int, int]](), 0, "", None
        for cut in cuts:
            other, kept = getattr(cut, check), rows[: cut.last + 1] if check == "ended" else rows
            try:
                part = aligned(where, evaluate(where, feature, other), other, kept)
            except DataError as error:
                failed = error.mistakes[0]
                continue
            until, after = slice(0, cut.last + 1), slice(cut.last + 1, cut.last + 2)
            moved += _places(_moved(whole[until], part[until], whole), cut.last)
            values += int(np.isfinite(whole[until]).sum())
            if check == "scrambled" and np.isfinite(whole[after]).any():
                own = bool(own) or bool(_moved(whole[after], part[after], whole).any())
        row = _row(where, f"data {check} at {len(cuts)} cuts", moved, values, failed, rows)
        found.append(row | {"own_row": own})
    return found


def _places(moved: np.ndarray, last: int) -> list[tuple[int, int]]:
    """Rows that moved, and how many rows ahead of each lies the first that changed."""
    return [(int(row), last - int(row) + 1) for row in np.flatnonzero(moved)]


def _moved(before: np.ndarray, after: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """(T,) rows in which a value changed, came or went."""
    size = np.nanstd(whole) if np.isfinite(whole).any() else 0.0
    known = np.isfinite(before), np.isfinite(after)
    with np.errstate(invalid="ignore"):
        far = np.abs(before - after) > MOVED * (np.abs(before) + (size if np.isfinite(size) else 0.0))
    return ((known[0] != known[1]) | (known[0] & known[1] & far)).any(axis=1)


def _row(
    where: str, check: str, moved: list[tuple[int, int]], values: int, failed: str, dates: pd.DatetimeIndex
) -> dict[str, Any]:
    first = min((row for row, _ in moved), default=None)
    verdict = "leak" if moved else "clean" if values else f"{UNTRIED}: {failed or 'no value before a cut'}"
    return {
        "what": where,
        "check": check,
        "moved": len(moved),
        "values": values,
        "first_date": None if first is None else dates[first],
        "rows_ahead": max((ahead for _, ahead in moved), default=0),
        "own_row": None,
        "verdict": verdict,
    }


def _steps(
    steps: Sequence[Step],
    features: Mapping[str, Column],
    market: Market,
    dates: pd.DatetimeIndex,
    cuts: Sequence[Cut],
) -> list[list[dict[str, Any]]]:
    """Each step after those before it, on the features of a market whose future changed after them."""
    if not steps:
        return []
    names, groups = list(features), market.groups
    N = len(market.assets)
    columns = [aligned(name, evaluate(name, features[name], market), market, dates) for name in names]
    X = np.stack([np.broadcast_to(column, (len(column), N)) for column in columns], axis=2)
    found = []
    for number, step in enumerate(steps):
        whole, rows = apply([step], X, names, groups)[0], []
        for check, change in (("ended", _ended), ("scrambled", _mixed)):
            moved, values, failed = [], 0, ""
            for cut in cuts:
                try:
                    after = apply([step], change(X, cut.last), names, groups)[0][: cut.last + 1]
                except DataError as error:
                    failed = error.mistakes[0]
                    continue
                flat = (part.reshape(len(part), -1) for part in (whole[: cut.last + 1], after, whole))
                moved += _places(_moved(*flat), cut.last)
                values += int(np.isfinite(whole[: cut.last + 1]).sum())
            where = f"preprocess[{number}] ({step.name})"
            rows.append(_row(where, f"data {check} at {len(cuts)} cuts", moved, values, failed, dates))
        found.append(rows)
        X = whole
    return found


def _ended(X: np.ndarray, last: int) -> np.ndarray:
    return X[: last + 1]


def _mixed(X: np.ndarray, last: int) -> np.ndarray:
    """The columns with the rows after `last` in another order and of other sizes."""
    rng, later = np.random.default_rng(last), X[last + 1 :]
    mixed = later[rng.permutation(len(later))] * np.exp(SPREAD * rng.standard_normal(later.shape))
    return np.concatenate([X[: last + 1], mixed])


def _target(
    target: Callable[[Market], Target],
    market: Market,
    whole: tuple[pd.DatetimeIndex, np.ndarray, int],
    cuts: Sequence[Cut],
) -> list[dict[str, Any]]:
    """How far ahead the target looks, beside the horizon that it declares; and whether it looks back."""
    dates, y, horizon = whole
    reach, overlap, values, failed = list[tuple[int, int]](), list[tuple[int, int]](), 0, ""
    for cut in cuts:
        last, before = cut.last, _past(market, cut.row)
        try:
            _, later, _ = checked(evaluate("target", target, cut.scrambled), cut.scrambled)
            _, after, _ = checked(evaluate("target", target, before), before)
        except DataError as error:
            failed = error.mistakes[0]
            continue
        values += int(np.isfinite(y[: last + 1]).sum())
        reach += _places(_moved(y[: last + 1], later[: last + 1], y), last)
        if horizon:
            overlap += [
                (int(row), int(row) - last) for row in last + np.flatnonzero(_moved(y[last:], after[last:], y))
            ]
    too_far = [one for one in reach if one[1] > horizon]
    found = [_row("target", f"looks {count(horizon, 'row')} ahead", too_far, values, failed, dates)]
    found[0]["rows_ahead"] = max((ahead for _, ahead in reach), default=0)
    if horizon:
        found.append(_row("target", "knows no return of its own row or before", overlap, values, failed, dates))
    return found


def _past(market: Market, row: int) -> Market:
    """The market with other rows before `row`, and all later ones as they are; of that row itself, its return."""
    rng = np.random.default_rng(row)

    def changed(name: str, frame: pd.DataFrame) -> pd.DataFrame:
        cells, end = frame.to_numpy(dtype=float).copy(), row + (name == "ret")
        cells[:end] *= np.exp(SPREAD * rng.standard_normal(cells[:end].shape))
        return pd.DataFrame(cells, index=frame.index, columns=frame.columns)

    return replace(market, fields={name: changed(name, frame) for name, frame in market.fields.items()})


def _fit(model: Any, panel: Panel, fold: Fold) -> dict[str, Any]:
    """Are the estimates of the training rows the same whatever stands in the others?"""
    where, check = "model", f"fit on training rows of fold {fold.name}, other rows changed"
    train = fold.train[-FIT_ROWS:]
    others = np.setdiff1d(np.arange(len(panel.dates)), fold.train)[:FIT_ROWS]
    rows = np.sort(np.concatenate([train, others]))
    few = np.unique(np.linspace(0, len(panel.assets) - 1, FIT_ASSETS).astype(int))
    small, outside = panel.part(rows, few), ~np.isin(rows, train)
    rng, other = np.random.default_rng(0), panel.part(rows, few)
    for cells in (other.y, other.X):
        cells[outside] *= 1.0 + SPREAD * rng.standard_normal(cells[outside].shape)
    try:
        first, second = (model.fit(one, np.flatnonzero(~outside)).params for one in (small, other))
    except RunnerError as error:
        return _row(where, check, [], 0, str(error).splitlines()[0], small.dates)
    moved = _moved(np.atleast_2d(first), np.atleast_2d(second), first).any()
    return _row(where, check, [(0, 0)] if moved else [], first.size, "", small.dates)


def _line(row: Any) -> str:
    """One leak in words."""
    if row.what == "target" and row.check.startswith("looks"):
        declared = row.check.split()[1]
        seen = f"looks {count(row.rows_ahead, 'row')} ahead, its horizon says {declared}"
        return f"target: {seen}; from {row.first_date:%Y-%m-%d}"
    if row.what == "model":
        return "model: what it fits on training rows moves with the other rows"
    if row.what == "target":
        return f"target: depends on rows before its own, which features know; from {row.first_date:%Y-%m-%d}"
    ahead = f"at least {row.rows_ahead} rows" if row.rows_ahead > 1 else "1 row"
    return f"{row.what}: looks ahead by {ahead}; first value that moves: {row.first_date:%Y-%m-%d} ({row.check})"
