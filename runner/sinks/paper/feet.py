"""The rows below the estimates: fixed effects, clusters, standard errors, observations and fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.estimators.standard_errors import called
from runner.sinks.paper.digits import figure
from runner.sinks.paper.plan import PlannedPanel
from runner.sinks.paper.runs import Estimates, Run
from runner.sinks.paper.table import Foot

R2_DECIMALS = 3
SMALL_R2 = 0.01  # below it, one more decimal
FITS = {
    "r2": "R²",
    "r2_adj": "Adjusted R²",
    "r2_within": "Within R²",
    "pseudo_r2": "Pseudo R²",
}


def feet(
    panel: PlannedPanel,
    runs: Sequence[Run],
    estimates: Sequence[Estimates | None],
    digits: int | None,
) -> tuple[Foot, ...]:
    """The last rows of a panel; none where it is continued by the next one.

    Args:
        runs: that of each column.
        estimates: of each column, None where it has none.
        digits: decimals of R2; None: three.
    """
    if not panel.places:
        return ()
    rows = [*_effects(runs), *_clusters(runs), *_errors(runs), *_further(runs)]
    if panel.with_fit:
        rows += _fit(runs, estimates, digits)
    return tuple(rows)


def _effects(runs: Sequence[Run]) -> list[Foot]:
    """A row per kind of fixed effects that some model has, with Yes or No in each column."""
    return _yes_or_no(runs, _absorbed, "{} fixed effects")


def _absorbed(model: Mapping[str, Any]) -> list[str]:
    """The fixed effects of a model; by date, its dummies."""
    names = list(model.get("effects") or [])
    if model.get("by") == "date":
        names += model.get("dummies") or []
    return names


def _clusters(runs: Sequence[Run]) -> list[Foot]:
    """A row per kind of clusters, with Yes or No in each column."""

    def clusters(model: Mapping[str, Any]) -> list[str]:
        return list(model.get("clusters") or [])

    return _yes_or_no(runs, clusters, "Clustered by {}")


def _yes_or_no(
    runs: Sequence[Run], names_of: Callable[[Mapping[str, Any]], list[str]], label: str
) -> list[Foot]:
    """A row per name that some model has."""
    of_runs = [names_of(run.model) for run in runs]
    every: dict[str, None] = {}
    for names in of_runs:
        every |= dict.fromkeys(names)
    rows = []
    for name in every:
        shown_name = name.replace("*", " × ")
        words = label.format(shown_name)
        texts = ["Yes" if name in names else "No" for names in of_runs]
        rows.append(Foot(words[0].upper() + words[1:], tuple(texts)))
    return rows


def _errors(runs: Sequence[Run]) -> list[Foot]:
    """How standard errors were computed, where columns differ."""
    texts = []
    for run in runs:
        covariance = run.model.get("cov")
        name = called(str(covariance or ""))
        texts.append(name[:1].upper() + name[1:])
    if len(set(texts)) == 1:
        return []
    return [Foot("Standard errors", tuple(texts))]


def _further(runs: Sequence[Run]) -> list[Foot]:
    """What the runs themselves ask for."""
    labels: dict[str, None] = {}
    for run in runs:
        labels |= dict.fromkeys(run.feet)
    texts_of_labels = [
        Foot(label, tuple(run.feet.get(label, "") for run in runs)) for label in labels
    ]
    return texts_of_labels


def _fit(
    runs: Sequence[Run], estimates: Sequence[Estimates | None], digits: int | None
) -> list[Foot]:
    """Regressions that a mean is over, observations, and R2."""
    facts = [{} if of_column is None else of_column.facts for of_column in estimates]
    noun = next((run.noun for run in runs), "asset")
    counts = {"units": f"{noun.capitalize()}s", "n_obs": "Observations"}
    rows = []
    for name, label in counts.items():
        texts = [f"{of_column[name]:,.0f}" if name in of_column else "" for of_column in facts]
        rows.append(Foot(label, tuple(texts)))
    for name, label in FITS.items():
        values = [of_column.get(name, float("nan")) for of_column in facts]
        rows.append(Foot(label, _r2_texts(values, digits)))
    return [row for row in rows if any(row.texts)]


def _r2_texts(values: Sequence[float], digits: int | None) -> tuple[str, ...]:
    """R2 with the same decimals in every column, empty where there is none."""
    known = [abs(value) for value in values if value == value]
    decimals = R2_DECIMALS
    if known and max(known) < SMALL_R2:
        decimals += 1
    if digits is not None:
        decimals = digits
    return tuple(figure(value, decimals) if value == value else "" for value in values)
