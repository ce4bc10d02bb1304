"""Which estimate stands where in a regression table: panels, lines and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runner.errors import SpecError, unknown
from runner.schema.regression_table import Columns, TableSettings
from runner.sinks.paper.runs import HEADLINE, Run
from runner.text import count

CONSTANT = "const"
MOST_ASSETS = 12  # with a column each
MOST_LINES = 60  # coefficients or assets with a line each


class Place(NamedTuple):
    """A regression of a run: the number of the run, and the asset or group, or HEADLINE."""

    run: int
    unit: str


class PlannedLine(NamedTuple):
    """A line: its label, its coefficient, and the regression of each column."""

    label: str
    term: str
    places: tuple[Place, ...]


class PlannedPanel(NamedTuple):
    """A panel: its title, its lines, and the regressions that its last rows, if any, are of."""

    title: str
    lines: tuple[PlannedLine, ...]
    places: tuple[Place, ...]
    with_fit: bool


class Plan(NamedTuple):
    """A table before its numbers are looked up.

    Attributes:
        columns: what a column is: an asset or a model.
        names: of the columns.
        panels: from the top.
        terms: the coefficients that it has.
        units: what it compares over runs: assets or groups, or HEADLINE alone.
        cut: what was left out, a sentence each.
    """

    columns: Columns
    names: tuple[str, ...]
    panels: tuple[PlannedPanel, ...]
    terms: tuple[str, ...]
    units: tuple[str, ...]
    cut: tuple[str, ...]


def planned(runs: Sequence[Run], settings: TableSettings) -> Plan | None:
    """The plan of a table of these runs; None where they have no coefficients.

    Raises:
        SpecError: `table.terms` names a coefficient that no run has.
    """
    every = _terms(runs)
    if not every:
        return None
    if settings.rows == "asset":
        return _assets_in_rows(runs, settings, every)
    terms, cut = _chosen(every, settings)
    if _columns(runs, settings) == "asset":
        return _assets_in_columns(runs, settings, terms, cut)
    return _models_in_columns(runs, settings, terms, cut)


def _terms(runs: Sequence[Run]) -> list[str]:
    """Coefficients of the runs in their order, the constant last."""
    names: dict[str, None] = {}
    for run in runs:
        names |= dict.fromkeys(run.terms)
    constants = [name for name in names if name == CONSTANT]
    return [name for name in names if name != CONSTANT] + constants


def _chosen(every: Sequence[str], settings: TableSettings) -> tuple[tuple[str, ...], list[str]]:
    """The coefficients that the table has, and what was left out."""
    if settings.terms is None:
        return _cut(every, "coefficient")
    for number, name in enumerate(settings.terms):
        if name not in every:
            raise SpecError(f"table.terms[{number}]: {unknown(name, every)}")
    return tuple(settings.terms), []


def _cut(
    names: Sequence[str], noun: str, most: int = MOST_LINES
) -> tuple[tuple[str, ...], list[str]]:
    """The first names, and a sentence where there are more."""
    if len(names) <= most:
        return tuple(names), []
    of_all = count(len(names), noun)
    return tuple(names[:most]), [f"The first {most} of {of_all}; the CSV files have all."]


def _columns(runs: Sequence[Run], settings: TableSettings) -> Columns:
    """What a column is, where the settings leave it open: assets of a single run that has a few."""
    if settings.columns is not None:
        return settings.columns
    if len(runs) == 1 and 2 <= len(runs[0].units) <= MOST_ASSETS:
        return "asset"
    return "model"


def _units(runs: Sequence[Run]) -> list[str]:
    """The assets or groups of the runs, in their order."""
    names: dict[str, None] = {}
    for run in runs:
        names |= dict.fromkeys(run.units)
    return list(names)


def _label(name: str, settings: TableSettings) -> str:
    """A name as the table prints it."""
    plain = "Constant" if name == CONSTANT else name
    return settings.labels.get(name, plain)


def _noun(runs: Sequence[Run]) -> str:
    """What the units of the runs are: asset or group."""
    nouns = {run.noun for run in runs}
    return "group" if nouns == {"group"} else "asset"


def _assets_in_columns(
    runs: Sequence[Run], settings: TableSettings, terms: tuple[str, ...], cut: list[str]
) -> Plan:
    """A column per asset or group, and a panel per run."""
    noun = _noun(runs)
    units, cut_units = _cut(_units(runs), noun, MOST_ASSETS)
    if not units:
        allowed = "model, or a model with by=asset or by a group"
        raise SpecError(f"table.columns: asset given without assets or groups; allowed: {allowed}")
    panels = []
    for number, run in enumerate(runs):
        places = tuple(Place(number, unit) for unit in units)
        title = _label(run.name, settings) if len(runs) > 1 else ""
        own = [term for term in terms if term in run.terms]
        lines = tuple(PlannedLine(_label(term, settings), term, places) for term in own)
        panels.append(PlannedPanel(title, lines, places, with_fit=True))
    names = tuple(_label(unit, settings) for unit in units)
    return Plan("asset", names, tuple(panels), terms, units, (*cut, *cut_units))


def _models_in_columns(
    runs: Sequence[Run], settings: TableSettings, terms: tuple[str, ...], cut: list[str]
) -> Plan:
    """A column per run: what it is known by or, of assets without a mean, a panel for each."""
    units: tuple[str, ...] = (HEADLINE,)
    if all(run.headline is None for run in runs):
        units, cut_units = _cut(_units(runs), _noun(runs), MOST_ASSETS)
        cut = [*cut, *cut_units]
    panels = []
    for unit in units:
        places = tuple(Place(number, unit) for number in range(len(runs)))
        lines = tuple(PlannedLine(_label(term, settings), term, places) for term in terms)
        panels.append(PlannedPanel(_label(unit, settings), lines, places, with_fit=True))
    names = tuple(settings.labels.get(run.name, run.heading) for run in runs)
    return Plan("model", names, tuple(panels), terms, units, tuple(cut))


def _assets_in_rows(runs: Sequence[Run], settings: TableSettings, every: Sequence[str]) -> Plan:
    """A row per asset or group, a column per run, and a panel per coefficient."""
    terms: tuple[str, ...] = (_default_term(runs, every),)
    if settings.terms is not None:
        terms, _ = _chosen(every, settings)
    units, cut = _cut(_units(runs), _noun(runs))
    if not units:
        allowed = "term, or a model with by=asset or by a group"
        raise SpecError(f"table.rows: asset given without assets or groups; allowed: {allowed}")
    numbers = range(len(runs))
    runs_alone = tuple(Place(number, HEADLINE) for number in numbers)
    panels = []
    for term in terms:
        lines = []
        for unit in units:
            places = tuple(Place(number, unit) for number in numbers)
            lines.append(PlannedLine(_label(unit, settings), term, places))
        title = _label(term, settings) if len(terms) > 1 else ""
        is_last = term == terms[-1]
        below = runs_alone if is_last else ()
        panels.append(PlannedPanel(title, tuple(lines), below, with_fit=False))
    names = tuple(settings.labels.get(run.name, run.heading) for run in runs)
    return Plan("model", names, tuple(panels), terms, units, tuple(cut))


def _default_term(runs: Sequence[Run], every: Sequence[str]) -> str:
    """The constant of models that explain, the first regressor of others."""
    explains = all(run.horizon == 0 for run in runs)
    if explains and CONSTANT in every:
        return CONSTANT
    return every[0]
