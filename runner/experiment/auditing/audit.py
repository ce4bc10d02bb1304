"""Does anything look ahead? Everything is computed again on data that end earlier or differ later.

A value of row t may use data up to row t; a target may look exactly `horizon` rows further, and
only ahead. So whatever comes after a cut, no value before it may move, in the value itself or in
whether there is one. Nothing is assumed of how a column is computed. Data that end at the cut are
what a user would have had on that day; data with another future find how far a column looks.

What the audit proves: at the cuts, on the assets and rows that it tried, no value moved. Cuts lie
at ends of weeks, months and quarters, at extreme returns and the rows before them, on rows that
follow each other, and at rows drawn by a seed that is reported. The quick audit of every run tries
a sample of assets; the thorough one (`python -m runner audit`) all assets, rows and years.

What it cannot prove: anything on rows between the cuts; anything about data that do not come from
the market that a function is given (a file, a cache, an array in its closure), which is warned of
where it can be seen; and that a value was published by the date that it bears.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import DataError, listed
from runner.experiment.auditing import columns, cuts, models, outside
from runner.experiment.auditing.tally import (
    CLEAN,
    COLUMNS,
    LEAK,
    UNTRIED,
    WARNING,
    line,
    moved_rows,
    size_of,
)
from runner.models.model import Model
from runner.panels.building import build_panel
from runner.panels.evaluated import checked, evaluate
from runner.panels.panel import Panel
from runner.record.identity import digest
from runner.text import count

if TYPE_CHECKING:
    from runner.experiment.spec import Experiment
    from runner.validation.splitters import Fold

FEW_CELLS = 16_000  # of the sample of the quick audit
FEW_ASSETS = 6  # of the sample, at least
LONGEST = 5_000  # rows of the sample, at most
MOST_NUMBERS = 2**24  # of a panel that the quick audit builds again as a whole
SEEDS = 1_000_000
# How `what` begins where it is no splitter and no model.
OF_COLUMNS = ("features.", "target", "preprocess")
Row = dict[str, Any]


@dataclass(frozen=True)
class Audit:
    """What was tried, and what moved.

    Attributes:
        table: a row per column and check: what, check, moved (rows in which a value changed),
            values (compared), first_date (of those that moved), rows_ahead, own_row (whether a
            feature moves with the data of its own row, where that was seen), verdict (clean, leak,
            warning, or why it was not audited), finding (the sentence on a leak or a warning).
        assets, rows, cuts: how many of each were used.
        seed: by which the sample and the cuts were drawn.
        thorough: whether all assets and rows were tried.
        looks_ahead: whether the target lies after the features: it moves with rows after its own,
            or no feature moves with its own row; None where no value of the target could be
            compared.
        without_data: features that did not move with the data at all.
    """

    table: pd.DataFrame
    assets: int
    rows: int
    cuts: int
    looks_ahead: bool | None
    seed: int = 0
    thorough: bool = False
    without_data: tuple[str, ...] = ()

    @cached_property
    def leaks(self) -> list[str]:
        """A sentence for each column that moved, and each check of the model that failed."""
        verdicts = self.table["verdict"]
        leaking = verdicts == LEAK
        rows = self.table[leaking]
        if rows.empty:
            return []
        rows = rows.sort_values("rows_ahead", ascending=False, kind="stable")
        is_column = rows["what"] != "model"
        furthest = rows[is_column].drop_duplicates("what")
        leaks = pd.concat([furthest, rows[~is_column]]).sort_index()
        return leaks["finding"].tolist()

    @property
    def warnings(self) -> list[str]:
        """A sentence for each column that takes data from elsewhere."""
        return self.table.loc[self.table["verdict"] == WARNING, "finding"].tolist()

    @property
    def words(self) -> list[str]:
        """What was tried and what moved, in sentences."""
        sentences = [self._tried()]
        sentences += [f"{text}." for text in self.leaks]
        sentences += [f"Warning: {text}." for text in self.warnings]
        if self.without_data:
            sentences.append(
                f"{listed(self.without_data)} did not change when the data did, as a calendar "
                "would not: the audit cannot see look-ahead in data from elsewhere."
            )
        untried = self.table[self.table["verdict"].str.startswith(UNTRIED)]
        pairs = zip(untried["what"], untried["verdict"], strict=True)
        reasons = [f"{what}: {verdict}." for what, verdict in pairs]
        unlike_reasons = dict.fromkeys(reasons)
        return [*sentences, *unlike_reasons]

    def _tried(self) -> str:
        """How much was tried, and that nothing moved where nothing did."""
        columns = [what for what in self.table["what"].unique() if what.startswith(OF_COLUMNS)]
        number = count(len(columns), "column")
        dates = count(self.cuts, "date")
        assets = count(self.assets, "asset")
        rows = count(self.rows, "row")
        extent = f"{assets}, {rows}"
        drawn = "all of the data" if self.thorough else "sample"
        answer = "Look-ahead" if self.leaks else "No look-ahead found"
        result = "" if self.leaks else "; no value known by then changed"
        return (
            f"{answer}: {number} recomputed on data that end at {dates}, or differ after them "
            f"({drawn}: {extent}; seed {self.seed}){result}."
        )

    def with_models(self, model: Model, panel: Panel, folds: Sequence[Fold]) -> Audit:
        """The same with the training rows of every fold, and fits and forecasts of some folds.

        A thorough audit tries the fits and forecasts of all folds.
        """
        rng = np.random.default_rng(self.seed)
        size = models.THOROUGH if self.thorough else models.QUICK
        rows = models.splits_tried(folds, panel, model) if folds else []
        leaks = [row["what"] for row in rows if row["verdict"] == LEAK]
        if "validation" not in leaks:
            rows += models.models_tried(model, panel, folds, size, rng)
        return self._with_rows(rows)

    def _with_rows(self, rows: Sequence[Row]) -> Audit:
        """The same with more rows of the table."""
        if not rows:
            return self
        more = pd.DataFrame(rows, columns=COLUMNS)
        return replace(self, table=pd.concat([self.table, more], ignore_index=True))


def audit(
    experiment: Experiment, market: Market, thorough: bool = False, panel: Panel | None = None
) -> Audit:
    """Try every feature, step and the target of the experiment.

    Args:
        thorough: all rows and assets and many cuts, instead of a sample.
        panel: of the run; the quick audit builds it again on all assets, the data ended at a date.

    Raises:
        DataError: a column that the data, whole as they are, cannot give.
    """
    seed = seed_of(experiment, market)
    if thorough:
        return _tried(experiment, market, cuts.THOROUGH, seed, True)
    rng = np.random.default_rng(seed)
    sampled = cuts.sample(market, FEW_CELLS, FEW_ASSETS, LONGEST, rng)
    try:
        quick = _tried(experiment, sampled, cuts.QUICK, seed, False)
    except DataError:  # a column needs assets or rows that the sample lacks
        sampled = market
        quick = _tried(experiment, market, cuts.QUICK, seed, False)
    if panel is None or sampled is market:
        return quick
    cells = len(panel.dates) * len(panel.assets)
    every_cell = cells * len(panel.names)
    if every_cell > MOST_NUMBERS:
        return quick
    return quick._with_rows(_panel_tried(experiment, market, panel, rng))


def seed_of(experiment: Experiment, market: Market) -> int:
    """The seed of the spec, or one that follows from spec and data: a rerun draws the same."""
    given = experiment.settings.audit_seed
    if given is not None:
        return given
    settings = [experiment.spec.get(name) for name in ("features", "target", "preprocess")]
    name = digest([settings, market.fingerprint])
    return int(name, 16) % SEEDS


def _tried(
    experiment: Experiment, market: Market, density: cuts.Density, seed: int, thorough: bool
) -> Audit:
    """Every column of the experiment on this market.

    Raises:
        DataError: a column that this market, whole as it is, cannot give.
    """
    with outside.opened_files() as opened_by_target:
        dates, y, horizon, _ = checked(evaluate("target", experiment.target, market), market)
    rng = np.random.default_rng(seed)
    all_cuts = cuts.cuts_at(market, dates, density, rng)
    some_cuts = _evenly(all_cuts, density.futures)
    ground = columns.Ground(market, dates, all_cuts, some_cuts)
    tallies, X, opened = columns.features_tried(experiment.features, ground)
    steps = columns.steps_tried(experiment.steps, experiment.features, X, ground)
    target, target_ahead = columns.target_tried(experiment.target, y, horizon, ground)
    tried = [*tallies, *steps]
    rows = [tally.row(dates, columns.feature_finding(tally, dates)) for tally in tried]
    warned = _warned(experiment, opened | {"target": opened_by_target})
    own_rows = [tally.own_row for tally in tallies]
    without_data = [tally.what for tally in tallies if tally.answers is False]
    return Audit(
        table=pd.DataFrame([*rows, *target, *warned], columns=COLUMNS),
        assets=len(market.assets),
        rows=len(market.dates),
        cuts=len(all_cuts),
        looks_ahead=_looks_ahead(target_ahead, own_rows),
        seed=seed,
        thorough=thorough,
        without_data=tuple(without_data),
    )


def _evenly(all_cuts: list[cuts.Cut], most: int) -> list[cuts.Cut]:
    """So many of the cuts, spread evenly from the first to the last."""
    n = len(all_cuts)
    points = min(most, n)
    even = np.linspace(0, n - 1, points)
    places = even.astype(int)
    return [all_cuts[k] for k in np.unique(places)]


def _looks_ahead(target_ahead: bool | None, own_rows: Sequence[bool | None]) -> bool | None:
    """Whether the target lies after the features.

    It does where it looks ahead, or where no feature uses the data of its own row.
    """
    if target_ahead is None:
        return None
    if target_ahead:
        return True
    seen = [own for own in own_rows if own is not None]
    return bool(seen) and not any(seen)


def _warned(experiment: Experiment, opened: Mapping[str, list[str]]) -> list[Row]:
    """A row for each function that takes data from outside the market.

    Args:
        opened: files that it opened while it was computed.
    """
    functions = {f"features.{name}": feature for name, feature in experiment.features.items()}
    functions["target"] = experiment.target
    for k, step in enumerate(experiment.steps):
        functions[f"preprocess[{k}] ({step.name})"] = step.function
    rows = []
    for what, function in functions.items():
        sources = [*outside.held_data(function), *opened.get(what, [])]
        if sources:
            rows.append(line(what, "data from outside", WARNING, outside.warning(what, sources)))
    return rows


def _panel_tried(
    experiment: Experiment, market: Market, panel: Panel, rng: np.random.Generator
) -> list[Row]:
    """The panel of the run, all assets and steps, beside one built on data that end at a date."""
    places = market.dates.get_indexer(panel.dates)
    last = int(rng.integers(len(places) // 2, len(places)))
    place = int(places[last])
    end = cuts.Cut(place, last)
    known = cuts.ended(market, end)
    check = f"panel of all assets, data end at {panel.dates[last]:{panel.date_format}}"
    try:
        earlier = build_panel(
            known,
            experiment.features,
            experiment.target,
            experiment.steps,
            experiment.model.weight_field,
            allow_loss=1.0,
        )
    except DataError as error:
        mistake = error.mistakes[0]
        untried = line("panel", check, f"{UNTRIED}: {mistake}")
        return [untried]
    rows = []
    for k, name in enumerate(panel.names):
        what = f"features.{name}"
        whole = panel.X[:, :, k]
        column = earlier.X[:, :, k]
        row_of_feature = _panel_row(what, check, panel, whole, column, last)
        rows.append(row_of_feature)
    kept = max(last - panel.horizon + 1, 0)
    target_before = panel.y[:kept]
    target_after = earlier.y[:kept]
    row_of_target = _panel_row("target", check, panel, target_before, target_after, last)
    rows.append(row_of_target)
    return rows


def _panel_row(
    what: str, check: str, panel: Panel, whole: np.ndarray, known: np.ndarray, last: int
) -> Row:
    """One column of the panel beside that of data that end earlier."""
    n = min(len(whole), len(known))
    before = whole[:n]
    after = known[:n]
    values = int(np.isfinite(before).sum())
    moved = np.flatnonzero(moved_rows(before, after, size_of(whole)))
    if not len(moved):
        verdict = CLEAN if values else f"{UNTRIED}: no value before a cut"
        return line(what, check, verdict, values=values)
    first_row = int(moved[0])
    first_date = panel.dates[first_row]
    text = (
        f"{what}: looks ahead on the whole data: "
        f"its value on {first_date:%Y-%m-%d} differs ({check})"
    )
    return line(
        what,
        check,
        LEAK,
        text,
        moved=len(moved),
        values=values,
        first_date=first_date,
        rows_ahead=last - first_row + 1,
    )
