"""A regression table: the numbers of runs in the places that its settings give them, as texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from runner.schema.regression_table import TableSettings
from runner.sinks.paper.digits import decimals_of, figure
from runner.sinks.paper.feet import feet
from runner.sinks.paper.notes import notes
from runner.sinks.paper.plan import Place, Plan, PlannedLine, PlannedPanel, planned
from runner.sinks.paper.runs import Estimate, Estimates, Run
from runner.sinks.paper.stars import Judged, compared, judged, stars
from runner.sinks.paper.table import Cell, Foot, Heading, Line, Panel, RegressionTable
from runner.text import t_text

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def regression_table(
    runs: Sequence[Run], settings: TableSettings, source: str, others: Sequence[Run] = ()
) -> RegressionTable | None:
    """The table of these runs; None where they have no coefficients.

    Args:
        source: of the columns: the run, or the jobs of a sweep.
        others: runs that were compared with these and have no column; their tests count.

    Raises:
        SpecError: settings that do not suit these runs.
    """
    plan = planned(runs, settings)
    if plan is None:
        return None
    every = [*runs, *others]
    estimates = compared(plan, every)
    tests_judged = judged(plan, every, estimates)
    decimals = _decimals(plan, estimates, settings)
    panels = []
    for number, panel in enumerate(plan.panels):
        title = _title(panel.title, number, len(plan.panels))
        lines = [_line(line, estimates, tests_judged, decimals, settings) for line in panel.lines]
        panels.append(Panel(title, tuple(lines), _feet(panel, runs, estimates, settings)))
    headings = _headings(plan, runs)
    columns = [heading.number or heading.name for heading in headings]
    targets = {run.target: None for run in runs if run.target}
    title = settings.title or _of_targets(list(targets))
    sentences = notes(plan, runs, estimates, tests_judged, columns, settings)
    return RegressionTable(source, title, headings, tuple(panels), tuple(sentences))


def _of_targets(targets: Sequence[str]) -> str:
    """What is regressed, where the settings give no title."""
    if not targets:
        return "Regression estimates"
    return f"Dependent variable: {'; '.join(targets)}"


def _title(title: str, number: int, panels: int) -> str:
    """The title of a panel with its letter, where there are several."""
    if panels == 1:
        return title
    letter = LETTERS[number] if number < len(LETTERS) else str(number + 1)
    return f"Panel {letter}: {title}"


def _headings(plan: Plan, runs: Sequence[Run]) -> tuple[Heading, ...]:
    """The heads of the columns; models are numbered where there are several."""
    numbered = plan.columns == "model" and len(runs) > 1
    headings = []
    for number, name in enumerate(plan.names, start=1):
        headings.append(Heading(f"({number})" if numbered else "", name))
    return tuple(headings)


def _decimals(
    plan: Plan, estimates: Mapping[Place, Estimates], settings: TableSettings
) -> dict[str, int]:
    """Decimals of each coefficient, the same in every line and column that it has."""
    if settings.digits is not None:
        return dict.fromkeys(plan.terms, settings.digits)
    shown: dict[str, list[Estimate]] = {term: [] for term in plan.terms}
    for panel in plan.panels:
        for line in panel.lines:
            for place in line.places:
                estimate = _estimate(estimates, place, line.term)
                if estimate is not None:
                    shown[line.term].append(estimate)
    decimals = {}
    for term, of_term in shown.items():
        values = [estimate.estimate for estimate in of_term]
        errors = [estimate.std_error for estimate in of_term]
        decimals[term] = decimals_of(values, errors)
    return decimals


def _estimate(estimates: Mapping[Place, Estimates], place: Place, term: str) -> Estimate | None:
    """The estimate of a coefficient in a regression; None where it has none."""
    of_place = estimates.get(place)
    estimate = None if of_place is None else of_place.by_term.get(term)
    if estimate is None or math.isnan(estimate.estimate):
        return None
    return estimate


def _line(
    line: PlannedLine,
    estimates: Mapping[Place, Estimates],
    tests_judged: Judged,
    decimals: Mapping[str, int],
    settings: TableSettings,
) -> Line:
    """The cells of a line."""
    cells = []
    for place in line.places:
        estimate = _estimate(estimates, place, line.term)
        if estimate is None:
            cells.append(Cell())
            continue
        p_value = tests_judged.p_values.get((place, line.term), math.nan)
        cell = _cell(estimate, decimals[line.term], settings)
        cells.append(cell._replace(stars=stars(p_value, settings.stars)))
    return Line(line.label, tuple(cells))


def _cell(estimate: Estimate, decimals: int, settings: TableSettings) -> Cell:
    """An estimate and its brackets as texts; what a penalty set to zero is a plain zero."""
    if math.isnan(estimate.std_error):
        is_zero = estimate.estimate == 0.0
        return Cell("0" if is_zero else figure(estimate.estimate, decimals))
    text = figure(estimate.estimate, decimals)
    if settings.brackets == "t":
        t = t_text(estimate.t_stat)
        return Cell(text, bracket=f"({t})")
    if settings.brackets == "ci":
        low = figure(estimate.ci_low, decimals)
        high = figure(estimate.ci_high, decimals)
        return Cell(text, bracket=f"[{low}, {high}]")
    return Cell(text, bracket=f"({figure(estimate.std_error, decimals)})")


def _feet(
    panel: PlannedPanel,
    runs: Sequence[Run],
    estimates: Mapping[Place, Estimates],
    settings: TableSettings,
) -> tuple[Foot, ...]:
    """The last rows of a panel."""
    of_columns = [runs[place.run] for place in panel.places]
    own = [estimates.get(place) for place in panel.places]
    rows = feet(panel, of_columns, own, settings.digits)
    return tuple(Foot(settings.labels.get(label, label), texts) for label, texts in rows)
