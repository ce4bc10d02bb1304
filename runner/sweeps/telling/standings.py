"""How each job of a sweep stands in MLflow: its rank, name and colour, and its numbers as a paper
prints them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.experiment.spec import CHOSEN
from runner.sweeps.comparison.common import COMMON
from runner.sweeps.comparison.texts import value_texts
from runner.text import number, stars

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison, Outcome

# Okabe and Ito's colours, which the colour-blind can tell apart, for the best; greys for the rest
# and for failures
BEST = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
REST, FAILED = "#999999", "#D9D9D9"
MOST_TERMS = 8  # terms with a column of their own
LONGEST_VALUE, LONGEST_NAME = 40, 200  # letters of a choice in a name, and of a name
ERROR_DIGITS = 3  # significant digits of a standard error; its estimate ends at the same decimal
FINEST = 7  # decimals beyond which a number is written with a power of ten
WORDS = {
    "r2": "R2",
    "r2_adj": "adjusted R2",
    "rmse": "RMSE",
    "mae": "MAE",
    "n_obs": "rows",
    "rank_ic": "rank corr.",
}
SAMPLES = {"common": "common", "oos": "OOS", "fit": "in sample", "holdout": "hold-out"}
EVIDENCE = (
    "common/n_obs",
    "oos/r2",
    "oos/rmse",
    "oos/n_obs",
    "fit/r2",
)  # beside the score, the metrics of a row
NO_BREAK = "\u00a0"
LINE, LETTER, SPACE = (
    260,
    6.2,
    3.6,
)  # pixels: what a line of a cell is filled up to, of a letter and of a space


@dataclass(frozen=True)
class Standing:
    """How a job stands: what its run in MLflow is called and shown with.

    Attributes:
        job: its number; key: what it is known by, empty where its data could not be read.
        name: rank and what differs.
        colour: the same in every chart.
        metrics: rank, and scores on common rows.
        tags: texts, a column each: scores and coefficients with every digit that a paper prints.
        table: the columns of `side_by_side.json`; None for a failed job.
    """

    job: int
    key: str
    name: str
    colour: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    table: Mapping[str, Any] | None = None

    @property
    def side_by_side(self) -> str:
        """The table as MLflow's artifact view reads it."""
        return json.dumps(self.table, ensure_ascii=False)


Rows = Mapping[str, Mapping[Hashable, Any]]  # of the headline coefficients, by term


class Columns(NamedTuple):
    """What every job is shown with: metrics, and terms of its regression."""

    scores: Sequence[str]
    terms: Sequence[str]


def standings(found: Comparison) -> list[Standing]:
    """Every job that was tried, best first; failed ones last, named so."""
    every = _labels(found, found.names)
    labels = _labels(found, varying(found)) if varying(found) else every
    columns = Columns(evidence(found), shown_terms(found))
    finished = [
        _finished(found, place, one, labels, columns) for place, one in enumerate(found.ranked)
    ]
    failures = found.failures[found.failures["outcome"] == "failed"]
    keys = {job.number: job.key for job in found.plan.jobs}
    failed = [
        Standing(int(job), keys[job], f"failed: {every[job]}"[:LONGEST_NAME], FAILED)
        for job in failures["job"]
    ]
    return [*finished, *failed]


def shown_terms(found: Comparison) -> list[str]:
    """The terms with a column: those that most jobs have first, at most eight, the constant
    last.
    """
    often = found.central["term"].value_counts()
    first = {term: at for at, term in enumerate(dict.fromkeys(found.central["term"]))}
    every = sorted(first, key=lambda term: (term == "const", -int(often[term]), first[term]))
    return every[:MOST_TERMS]


def heading(metric: str) -> str:
    """The heading of a column of scores: R2 common, R2 OOS, rows in sample."""
    sample, _, name = metric.partition("/")
    if sample not in SAMPLES:
        return metric
    return f"{WORDS.get(name, name)} {SAMPLES[sample]}"


def coefficient_heading(term: str) -> str:
    """The heading of a column of coefficients."""
    return f"b {term}"


def estimate_text(estimate: float, error: float, p_value: float) -> str:
    """An estimate with its stars and its standard error in brackets, both to the same decimal:
    1.0310** (0.0722).
    """
    if not math.isfinite(error) or error <= 0.0:
        return f"{number(estimate)}{stars(p_value)}"
    decimals = ERROR_DIGITS - 1 - math.floor(math.log10(error))
    if decimals > FINEST or decimals < 0:
        return f"{number(estimate)}{stars(p_value)} ({number(error, ERROR_DIGITS)})"
    return f"{estimate:.{decimals}f}{stars(p_value)} ({error:.{decimals}f})"


def score_text(metric: str, value: float) -> str:
    """A score as a paper prints it; rows are counted."""
    return f"{value:,.0f}" if metric.endswith("n_obs") else number(value)


def evidence(found: Comparison) -> list[str]:
    """The metrics that every row shows: the score, its baseline, and those of `EVIDENCE` that some
    job has.
    """
    present = {name for one in found.outcomes for name in one.metrics}
    own = (found.score, f"{found.score}_naive", *EVIDENCE)
    return [name for name in dict.fromkeys(own) if name in present]


def varying(found: Comparison) -> dict[str, str]:
    """The keys that differ between finished jobs, dotted, by their short names."""
    finished = found.choices.loc[[one.job.number for one in found.outcomes]]
    return {
        name: key for name, key in found.names.items() if finished[name].astype(str).nunique() > 1
    }


def _labels(found: Comparison, names: Mapping[str, str]) -> dict[int, str]:
    """What differs of each job in these keys: a chosen option by itself, a setting with its
    name.
    """
    if not names:
        return dict(found.plan.names)
    cut = {name: value_texts(map(_plain, found.choices[name]), LONGEST_VALUE) for name in names}
    said = {name: [_said(name, key, text) for text in cut[name]] for name, key in names.items()}
    return {
        job: " ".join(parts)
        for job, *parts in zip(found.choices.index, *said.values(), strict=True)
    }


def _plain(value: Any) -> Any:
    """A number as one types it, to six digits; what is no number as it is."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _said(name: str, key: str, text: str) -> str:
    return text if key in CHOSEN else f"{name}={text}"


def _finished(
    found: Comparison, place: int, one: Outcome, labels: Mapping[int, str], columns: Columns
) -> Standing:
    rank = found.ranks[one.job.number]
    unranked = bool(rank != rank) or str(rank) == "<NA>"
    last = (
        int(found.ranks.notna().sum()) + 1
    )  # the runs page needs an order of the unranked ones too
    parts = [
        "–" if unranked else str(rank),
        *(["cv"] if found.cross_validated(one) else []),
        labels[one.job.number],
    ]
    rows = {str(row["term"]): row for row in one.central.to_dict("records")}
    common = {name: value for name, value in one.metrics.items() if name.startswith(COMMON)}
    return Standing(
        one.job.number,
        one.job.key,
        " ".join(parts)[:LONGEST_NAME],
        BEST[place] if place < len(BEST) else REST,
        {"rank": float(last if unranked else rank), **common},
        _texts(one, rows, columns),
        _table(one, rows, columns),
    )


def _texts(one: Outcome, rows: Rows, columns: Columns) -> dict[str, str]:
    known = [name for name in columns.scores if name in one.metrics]
    scores = {heading(name): score_text(name, one.metrics[name]) for name in known}
    coefficients = {
        coefficient_heading(term): _estimate(rows[term]) for term in columns.terms if term in rows
    }
    leaking = {"leaking": "yes"} if one.about.get("leaks") else {}
    return {**scores, **coefficients, **leaking, **({"errors": one.errors} if one.errors else {})}


def _estimate(row: Mapping[Hashable, Any]) -> str:
    return estimate_text(row["estimate"], row["std_error"], row["p_value"])


def _table(one: Outcome, rows: Rows, columns: Columns) -> dict[str, Any]:
    """A row per block, its lines filled up with spaces at which no line is broken."""
    blocks = {
        "coefficients (std. error)": [f"{term} {_estimate(row)}" for term, row in rows.items()],
        "scores": [
            f"{heading(n)} {score_text(n, one.metrics[n])}"
            for n in columns.scores
            if n in one.metrics
        ],
        "standard errors": [one.errors] if one.errors else [],
    }
    data = [[what, _lines(lines)] for what, lines in blocks.items() if lines]
    return {"columns": ["what", "value"], "data": data}


def _lines(lines: Sequence[str]) -> str:
    """Lines of a cell: the artifact view breaks them at plain spaces only, and where the next
    would not fit.
    """
    return " ".join(_filled(line) for line in lines) if len(lines) > 1 else lines[0]


def _filled(line: str) -> str:
    """The line with no-break spaces only, and so many of them that no other line fits beside it."""
    missing = max(0, round((LINE - LETTER * len(line)) / SPACE))
    return line.replace(" ", NO_BREAK) + NO_BREAK * missing
