"""The factor panel: dates x assets x columns, with a counted account of every cell that is not
used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, get_args

import numpy as np
import pandas as pd

from runner.data.attribution import Compute, Lost, causes, lost, undefined
from runner.data.calendar import Calendar, calendar_of, period_ends, session_numbers
from runner.data.market import Dropped, Market
from runner.errors import DataError, listed, placed
from runner.panels import memory
from runner.panels.segments import Regressors, Shared
from runner.preprocessing.steps import Step, apply
from runner.schema.settings import MOST_LOST, Frequency
from runner.targets import Target

WEIGHT = "model.weights"  # what weighs the rows, among the columns of a panel
CELLS = 32768  # of a column at a time, which stay in the cache
Feature = Callable[[Market], Any]


@dataclass(frozen=True)
class Panel:
    """Target and features on the rows to regress on.

    Attributes:
        dates: (T,) rows, increasing.
        assets: names (N,).
        names: names (K,) of the features.
        y: target (T, N); row t is known at row t + horizon.
        X: features (T, N, K); row t uses data up to t.
        valid: (T, N), True where the target and every feature are finite.
        horizon: rows that the target looks ahead; 0 means the same row.
        groups: frame (N, G), groups of the assets.
        weights: (T, N) positive weights of the cells, None where all count the same.
        raw: (T, N) the target as it is, to score against; None where y is that.
        back: names of numpy that take forecasts of y to the unit of the raw target, in this order.
        shared: moments that the folds of a run share, None without.
        sessions: (T,) number of the session of each row, None where rows are one series.
        dropped: what was left out, from the source to here; cells that are not valid are all
            counted.
        notes: sentences on the data that its reader should know.
        by_rule: name of a column -> its cells that lost their value to a rule, on the rows and
            assets of the data; a part of the panel has none.
        unknown: the last of those, cells without a target, a feature or a weight, by the column.
        kept: (T, N) cells that preprocessing kept; None where it kept all.
    """

    dates: pd.DatetimeIndex
    assets: list[str]
    names: list[str]
    y: np.ndarray
    X: np.ndarray
    valid: np.ndarray
    horizon: int
    groups: pd.DataFrame
    dropped: tuple[Dropped, ...]
    weights: np.ndarray | None = None
    raw: np.ndarray | None = None
    back: tuple[str, ...] = ()
    shared: Shared | None = None
    sessions: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    by_rule: Mapping[str, Sequence[Lost]] = field(default_factory=dict)
    unknown: tuple[Dropped, ...] = ()
    kept: np.ndarray | None = None

    @property
    def usable(self) -> np.ndarray:
        """(T,) whether some asset has a target and every feature; splitters count these rows."""
        return np.asarray(self.valid.any(axis=1))

    @property
    def scored(self) -> np.ndarray:
        """(T, N) what forecasts are judged by: the target as it is, whatever is fitted."""
        return self.y if self.raw is None else self.raw

    def in_units(self, forecast: np.ndarray) -> np.ndarray:
        """Forecasts of y in the unit of what they are judged by."""
        with np.errstate(over="ignore"):
            for name in self.back:
                forecast = getattr(np, name)(forecast)
        return forecast

    def at(self, rows: np.ndarray) -> Panel:
        """The panel on the rows at these positions; rows that follow each other are not copied."""
        adjacent = len(rows) > 0 and bool((np.diff(rows) == 1).all())
        own = slice(int(rows[0]), int(rows[-1]) + 1) if adjacent else rows
        optional = {name: getattr(self, name) for name in ("weights", "raw", "sessions", "kept")}
        parts: dict[str, Any] = {
            name: None if values is None else values[own] for name, values in optional.items()
        }
        X, y, valid = self.X[own], self.y[own], self.valid[own]
        parts["by_rule"] = {}
        return replace(self, dates=self.dates[own], y=y, X=X, valid=valid, shared=None, **parts)

    def without_targets(self, rows: np.ndarray) -> Panel:
        """The panel on these rows as known before their targets are: y and raw are NaN, `valid` is
        True where every feature is finite."""
        known = self.at(rows)
        missing = np.broadcast_to(np.nan, known.y.shape)
        raw = None if known.raw is None else missing
        return replace(known, y=missing, raw=raw, valid=np.isfinite(known.X).all(axis=2))

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Panel:
        """The panel on the rows and assets at these positions."""
        own, names = np.ix_(rows, assets), [self.assets[i] for i in assets]
        return replace(
            self,
            dates=self.dates[rows],
            assets=names,
            y=self.y[own],
            X=self.X[own],
            valid=self.valid[own],
            groups=self.groups.loc[names] if len(self.groups) else self.groups,
            weights=None if self.weights is None else self.weights[own],
            raw=None if self.raw is None else self.raw[own],
            kept=None if self.kept is None else self.kept[own],
            shared=None,
            sessions=None if self.sessions is None else self.sessions[rows],
            by_rule={},
        )

    def of(self, names: Sequence[str], weights: str | None) -> Panel:
        """The panel of these features alone, in the order of the panel.

        A cell is usable where they, the target and the weight are known, whatever the other
        features are.

        Args:
            weights: the field that weighs the rows, for the account of what is left out.
        """
        at = [self.names.index(name) for name in names]
        adjacent = bool(at) and at == list(range(at[0], at[-1] + 1))
        X = self.X[:, :, at[0] : at[-1] + 1] if adjacent else np.take(self.X, at, axis=2)
        kept = np.ones(self.y.shape, dtype=bool) if self.kept is None else self.kept
        valid, unknown = _account(self.y, X, list(names), self.weights, weights, kept, self.by_rule)
        before = self.dropped[: len(self.dropped) - len(self.unknown)]
        dropped = (*before, *unknown)
        return replace(
            self, names=list(names), X=X, valid=valid, dropped=dropped, unknown=unknown, shared=None
        )

    def dummies(self, names: Sequence[str] | None) -> np.ndarray:
        """(N, L) zeros and ones of the levels `group:level` among these regressors, which are not
        features.
        """
        levels = [name.split(":", 1) for name in names or () if name not in self.names]
        found = np.zeros((len(self.assets), len(levels)))
        for group in {group for group, _ in levels}:
            own = np.array([k for k, (one, _) in enumerate(levels) if one == group])
            at = pd.Index([levels[k][1] for k in own]).get_indexer(self.groups[group])
            found[at >= 0, own[at[at >= 0]]] = 1.0
        return found

    def shared_moments(
        self,
        rows: np.ndarray,
        names: Sequence[str] | None,
        by: str | None,
        owns: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (U, P, P) of units on these rows that folds share, and the point they are about.

        None where they are of other arrays or other rows (see `runner.panels.segments`).

        Args:
            names: the regressors, None for all features.
            by: what the units are; owns: positions of the assets of each.
        """
        shared = self.shared
        if shared is None or not shared.are_of(self.X, self.y, self.valid):
            return None
        columns = list(range(len(self.names)))
        levels: tuple[str, ...] = ()
        if names is not None:
            columns = [self.names.index(name) for name in names if name in self.names]
            levels = tuple(name for name in names if name not in self.names)
        return shared.of(rows, Regressors(columns, levels, self.dummies(levels)), by, owns)

    @cached_property
    def calendar(self) -> Calendar:
        """How often its rows come."""
        return calendar_of(self.dates)

    @property
    def date_format(self) -> str:
        """How a date of this panel is written: with the time of day only where rows have one."""
        return "%Y-%m-%d" if (self.dates == self.dates.normalize()).all() else "%Y-%m-%d %H:%M"

    @property
    def dropped_cells(self) -> int:
        """Cells (date x asset) without a usable row."""
        return int(self.valid.size - self.valid.sum())


def build_panel(
    market: Market,
    features: Mapping[str, Feature],
    target: Callable[[Market], Target],
    steps: Sequence[Step] = (),
    weights: str | None = None,
    allow_loss: float = MOST_LOST,
) -> Panel:
    """Evaluate the target and the features on the market, line them up, and preprocess them.

    Row t of the weights is row t of the field of that name. `allow_loss` is the share of a series
    that may be zero or negative where a feature needs its relative change or logarithm.

    Raises:
        DataError: a feature or target that the data cannot give, one line each; less memory than a
            run on it takes.
    """
    mistakes: list[str] = []
    dates, y, horizon = market.dates, np.empty((0, 0)), 0
    try:
        dates, y, horizon = checked(evaluate("target", target, market), market)
    except DataError as error:
        mistakes += error.mistakes
    memory.check(len(dates), len(market.assets), len(features))
    X = np.empty((len(dates), len(market.assets), len(features)))
    for k, (name, feature) in enumerate(features.items()):
        try:
            X[:, :, k] = _cells(name, feature, dates, market)
        except DataError as error:
            mistakes += error.mistakes
    w = _weights(weights, market, dates, mistakes)
    if mistakes:
        raise DataError(mistakes)
    columns = [y, *X.transpose(2, 0, 1), *([] if w is None else [w])]
    by_rule = _lost_to_rules(
        market, _computed(features, target, weights, dates), columns, allow_loss
    )
    made = apply(steps, X, list(features), market.groups, y, in_place=True)
    valid, account = _account(made.y, made.X, list(features), w, weights, made.keep, by_rule)
    steps_account = [Dropped(*line) for line in made.account]
    dropped = (*market.dropped, *_running_period(market, dates), *steps_account, *account)
    about = (horizon, market.groups, dropped, w, None if made.y is y else y, made.back)
    sessions = session_numbers(dates) if market.sessions else None
    kept = None if made.keep.all() else made.keep
    parts: dict[str, Any] = {"sessions": sessions, "notes": market.notes, "by_rule": by_rule}
    parts |= {"unknown": account, "kept": kept}
    return Panel(dates, market.assets, list(features), made.y, made.X, valid, *about, **parts)


def _cells(name: str, feature: Feature, dates: pd.DatetimeIndex, market: Market) -> np.ndarray:
    """The feature on the rows of the panel, (T, N) or (T, 1)."""
    where = f"features.{name}"
    return aligned(where, evaluate(where, feature, market), market, dates)


def _computed(
    features: Mapping[str, Feature],
    target: Callable[[Market], Target],
    weights: str | None,
    dates: pd.DatetimeIndex,
) -> dict[str, Compute]:
    """How the target, each feature and, where there are any, the weights are computed from a
    market, by name.
    """
    columns: dict[str, Compute] = {
        "target": lambda part: checked(evaluate("target", target, part), part)[1]
    }
    columns |= {name: partial(_cells, name, feature, dates) for name, feature in features.items()}
    if weights is not None:
        columns[WEIGHT] = lambda part: aligned(WEIGHT, part.get(weights), part, dates)
    return columns


def _lost_to_rules(
    market: Market,
    computed: Mapping[str, Compute],
    columns: Sequence[np.ndarray],
    allow_loss: float,
) -> dict[str, list[Lost]]:
    """The cells of each column (T, N) that lost their value to a rule, given how each is computed.

    Raises:
        DataError: a column needs positive levels of a series that has too many others, one line
            each.
    """
    among, by_rule, mistakes = causes(market), {}, list[str]()
    for (name, compute), cells in zip(computed.items(), columns, strict=True):
        if among and np.isnan(cells).any():
            by_rule[name] = lost(name, compute, market, among)
            where = name if name in ("target", WEIGHT) else f"features.{name}"
            mistakes += undefined(where, by_rule[name], market, allow_loss)
    if mistakes:
        raise DataError(mistakes)
    return by_rule


def _running_period(market: Market, dates: pd.DatetimeIndex) -> tuple[Dropped, ...]:
    """The account of a last week or month that is not over and that a target by week or month left
    out.
    """
    for frequency in get_args(Frequency):
        complete = market.dates[period_ends(market.dates, frequency)[:-1]]
        if dates.equals(complete):
            return market.left_out(frequency)
    return ()


def _weights(
    field: str | None, market: Market, dates: pd.DatetimeIndex, mistakes: list[str]
) -> np.ndarray | None:
    """The field that weighs the rows; what the data cannot give is added to the mistakes."""
    try:
        if field is None:
            return None
        return np.array(aligned(WEIGHT, market.get(field), market, dates), order="C")
    except DataError as error:
        mistakes += [f"{WEIGHT}: {line}" for line in error.mistakes]
        return None


def evaluate(where: str, function: Callable[[Market], Any], market: Market) -> Any:
    """What the function gives for its own copy of the market, of each session by itself where there
    are sessions; what it raises becomes one line that says where."""
    try:
        if market.sessions:
            return _joined([function(_own(one)) for one in market.by_session()])
        return function(_own(market))
    except DataError as error:
        raise DataError(placed(where, error)) from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{where}: raised {type(error).__name__}: {reason}") from error


def _joined(parts: list[Any]) -> Any:
    """What sessions gave, one after the other; anything else than frames, series or targets as the
    first gave it.
    """
    first = parts[0]
    if all(isinstance(one, Target) and isinstance(one.values, pd.DataFrame) for one in parts):
        return Target(pd.concat([one.values for one in parts]), first.horizon)
    frames = all(isinstance(one, type(first)) for one in parts) and isinstance(
        first, pd.DataFrame | pd.Series
    )
    return pd.concat(parts) if frames else first


def _own(market: Market) -> Market:
    """The same market for one function: pandas copies what that function writes to, and nothing
    else.
    """
    close, ret = market.market_close, market.market_ret
    return replace(
        market,
        fields={name: frame.copy(deep=False) for name, frame in market.fields.items()},
        series=market.series.copy(deep=False),
        market_close=None if close is None else close.copy(deep=False),
        market_ret=None if ret is None else ret.copy(deep=False),
        groups=market.groups.copy(deep=False),
    )


def checked(target: Any, market: Market) -> tuple[pd.DatetimeIndex, np.ndarray, int]:
    """Rows of the panel, the target on them (T, N), and its horizon."""
    if not isinstance(target, Target) or not isinstance(target.values, pd.DataFrame):
        raise DataError(
            f"target: gave {type(target).__name__}; allowed: a Target of a frame (T, N) and a horizon"
        )
    if not isinstance(target.horizon, int | np.integer) or target.horizon < 0:
        raise DataError(
            f"target: gave the horizon {target.horizon!r}; allowed: a whole number of rows from 0"
        )
    rows = target.values.index
    if not (rows.isin(market.dates).all() and rows.is_monotonic_increasing and rows.is_unique):
        raise DataError(f"target: its {len(rows)} rows are not rows of the data in their order")
    dates = pd.DatetimeIndex(rows)
    return (
        dates,
        np.array(aligned("target", target.values, market, dates), order="C"),
        int(target.horizon),
    )


def aligned(where: str, values: Any, market: Market, dates: pd.DatetimeIndex) -> np.ndarray:
    """Values on the rows of the panel, (T, N) or (T, 1); they may be those of the data, not to be
    written to.
    """
    if not isinstance(values, pd.DataFrame | pd.Series):
        raise DataError(
            f"{where}: gave {type(values).__name__}; allowed: a frame (T, N) or a series (T,)"
        )
    if isinstance(values, pd.DataFrame) and list(values.columns) != market.assets:
        times = values.columns.value_counts().reindex(market.assets, fill_value=0)
        for reason, wrong in (("no column", times == 0), ("several columns", times > 1)):
            if wrong.any():
                raise DataError(f"{where}: its frame has {reason} for {listed(times.index[wrong])}")
        values = values[market.assets]
    if values.index.equals(market.dates) and not values.index.equals(dates):
        values = values.loc[dates]
    if not values.index.equals(dates):
        raise DataError(
            f"{where}: its {len(values)} rows are not those of the data or of the target"
        )
    try:
        cells = values.to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: not numbers: {' '.join(str(error).split())}") from error
    return cells if cells.ndim == 2 else cells[:, None]


def _account(
    y: np.ndarray,
    X: np.ndarray,
    names: list[str],
    weights: np.ndarray | None,
    field: str | None,
    keep: np.ndarray,
    by_rule: Mapping[str, Sequence[Lost]],
) -> tuple[np.ndarray, tuple[Dropped, ...]]:
    """Mask (T, N) of usable cells, and those of `keep` that are not under the first reason that
    applies to each.
    """
    valid, lost_cells = keep.copy(), Counter[str]()
    size = max(CELLS // max(y.shape[1], 1), 1)
    for rows in (slice(first, first + size) for first in range(0, len(y), size)):
        for name, cells in [
            ("target", y[rows]),
            *((name, X[rows, :, k]) for k, name in enumerate(names)),
        ]:
            usable = np.isfinite(cells)
            unusable = valid[rows] & ~usable
            missing = unusable & np.isnan(cells)
            lost_cells.update(_reasons(f"{name} is missing", missing, by_rule.get(name, ()), rows))
            lost_cells[f"{name} is infinite"] += int(np.count_nonzero(unusable & ~missing))
            valid[rows] &= usable
    if weights is not None:
        usable = (weights > 0.0) & np.isfinite(weights)
        reason = f"its weight, {field}, is missing or not positive"
        lost_cells.update(_reasons(reason, valid & ~usable, by_rule.get(WEIGHT, ()), slice(None)))
        valid &= usable
    return valid, tuple(
        Dropped("panel cell", reason, cells) for reason, cells in lost_cells.items() if cells
    )


def _reasons(
    otherwise: str, missing: np.ndarray, by_rule: Sequence[Lost], rows: slice
) -> dict[str, int]:
    """How many of the missing cells (t, N) on these rows each rule took; the others have one
    reason.
    """
    counts = {
        one.reason: int(np.count_nonzero(missing[:, one.assets] & one.cells[rows]))
        for one in by_rule
    }
    return {otherwise: int(np.count_nonzero(missing)) - sum(counts.values()), **counts}
