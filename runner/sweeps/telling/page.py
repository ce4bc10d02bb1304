"""A sweep as files and one HTML page: leaderboard, coefficients, what depends on a choice."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.record.csvfile import write_table
from runner.record.rundir import called
from runner.record.secrets import without_secrets
from runner.sinks.canvas import style
from runner.sinks.drawings.hover import Drawn, saved
from runner.sinks.markup import (
    MOST_ROWS,
    OPEN_ROWS,
    Column,
    Html,
    box,
    column_of,
    framed,
    holds_something,
    joined,
    page_of,
    pairs_of,
    paragraphs,
    picture,
    tabled,
    tag,
    tiles_of,
)
from runner.sinks.paper.of_run import FOLDER
from runner.sinks.paper.written.files import write_regression
from runner.sinks.paper.written.html import html
from runner.sweeps.comparison.comparison import MOST_BESIDE, Comparison, ordered
from runner.sweeps.comparison.texts import brief, value_texts
from runner.sweeps.telling import drawings
from runner.sweeps.telling.answer import best_of
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.schema.regression_table import Format
    from runner.sinks.paper.table import RegressionTable
    from runner.sweeps.comparison.by_unit import ByUnit

FIRST = 15  # jobs of a long leaderboard that are seen at once
FILLED = 0.25  # least share of the combinations of two keys that have a job, for a heat map
LONGEST = 48  # characters of a choice in a cell; its CSV file has all
MOST_LISTED = 12  # values of a key listed among the facts
MOST_DIFFERENT = 3  # sources, kinds and so on of jobs among the facts
EXPLAINED = {
    "tests": (
        "p dates: the larger of the p-value of the fit and that of what each date contributes to "
        "the estimate. p holm and p romano wolf: adjusted so that the chance of any false "
        "rejection among all tests is at most the level; p bh and p by (Benjamini-Hochberg, "
        "Benjamini-Yekutieli): so that the expected share of false ones among the rejected is. "
        "hurdle t: the |t| that Holm's first step asks for."
    )
}
PAGE = "report.html"  # of a run, in its directory
TILE_DIGITS = 3  # significant digits of a tile
LONGEST_REASON = 160  # characters of why a job failed


@dataclass(frozen=True)
class Verdict:
    """What tests of all jobs together say: what survives, notes on it, and tables."""

    sentences: Sequence[str] = ()
    notes: Sequence[str] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Pictures:
    """The pictures, each empty where there is none."""

    scores: Sequence[Drawn] = ()
    curves: Sequence[Drawn] = ()


def write(
    comparison: Comparison,
    directory: Path,
    term: str | None,
    heat: tuple[str, str] | None,
    verdict: Verdict,
    regression: RegressionTable | None,
    formats: Sequence[Format],
) -> None:
    """Write the tables of the sweep, plots and report.html.

    Args:
        regression: the regression table of the jobs; None where they have no coefficients.
        formats: files that it is written to.
        term: whose specification curve is drawn and whose estimates stand by unit; null: the first
            tested terms, and the constant where jobs explain.
        heat: keys of a heat map; null: the two that differ, where there are two.

    Raises:
        SpecError: no job has the term, or a key does not differ; nothing was written.
    """
    terms = comparison.curve_terms(term)
    keys = _heat_keys(comparison, heat)
    directory.mkdir(parents=True, exist_ok=True)
    tables = {
        "leaderboard": comparison.leaderboard,
        "coefficients": comparison.coefficients,
        "failures": comparison.failures,
        **verdict.tables,
    }
    units = comparison.by_unit(term)
    by_unit = directory / "by_unit.csv"
    by_unit.unlink(missing_ok=True)  # of jobs or a term that are no longer compared
    if units is not None:
        write_table(units.table, by_unit)
    for name, table in tables.items():
        write_table(table, directory / f"{_file(name)}.csv")
    shutil.rmtree(directory / FOLDER, ignore_errors=True)  # of jobs that are no longer compared
    if regression is not None:
        (directory / FOLDER).mkdir()
        write_regression(regression, formats, directory / FOLDER)
    shutil.rmtree(directory / "plots", ignore_errors=True)  # of terms that are no longer drawn
    pictures = draw(comparison, directory / "plots", terms, keys)
    page = _page(comparison, pictures, verdict, regression, units)
    (directory / PAGE).write_text(page, encoding="utf-8")


def _heat_keys(comparison: Comparison, heat: tuple[str, str] | None) -> tuple[str, str] | None:
    """The keys asked for, or the two that differ where jobs fill enough of their combinations."""
    if heat is not None:
        keys = comparison.key(heat[0]), comparison.key(heat[1])
        comparison.heat_map(*keys)  # the same key twice is refused before anything is written
        return keys
    names = list(comparison.names)
    if len(names) != 2 or _scattered(comparison):
        return None
    return names[0], names[1]


def _scattered(comparison: Comparison) -> str:
    """Why the two keys that differ have no heat map, empty where they have one or are not two."""
    if len(comparison.names) != 2:
        return ""
    rows, columns = (comparison.choices[name].nunique() for name in comparison.names)
    jobs = len(comparison.plan.jobs)
    if jobs >= FILLED * rows * columns:
        return ""
    cells = f"{count(jobs, 'job')} for {rows} × {columns} combinations"
    keys = ",".join(comparison.names)
    return f"No heat map: {cells}; --heat {keys} draws it all the same."


def draw(
    comparison: Comparison, folder: Path, terms: Sequence[str], keys: tuple[str, str] | None
) -> Pictures:
    """The pictures that this sweep has, as PNG files."""
    scored = [outcome for outcome in comparison.ranked if comparison.score in outcome.metrics]
    best = scored[0].job.number if scored else None
    with style():
        figures = _score_figures(comparison, keys, len(scored), best)
        curves = _curve_figures(comparison, terms, best)
        folder.mkdir(exist_ok=True)
        return Pictures(_saved(figures, folder), _saved(curves, folder))


def _score_figures(
    comparison: Comparison, keys: tuple[str, str] | None, scored: int, best: int | None
) -> dict[str, Any]:
    """What the score depends on: a heat map of two keys, or the score by the only key.

    Args:
        scored: jobs that have the score.
        best: number of the best of them.
    """
    names = list(comparison.names)
    score = comparison.score
    figures: dict[str, Any] = {}
    if scored and keys:
        cells = comparison.heat_map(*keys)
        figures["heat_map"] = drawings.heat_map(
            cells, score, comparison.lower_is_better, len(names) > 2
        )
    if scored > 1 and len(names) == 1:
        figures["scores"] = drawings.score_by(comparison.leaderboard, names[0], score, best)
    return figures


def _curve_figures(
    comparison: Comparison, terms: Sequence[str], best: int | None
) -> dict[str, Any]:
    """The specification curve of each term that several jobs have."""
    curves: dict[str, Any] = {}
    jobs = len(comparison.outcomes)
    if jobs < 2:
        return curves
    values = {name: ordered(comparison.choices[name]) for name in comparison.names}
    for term in terms:
        table = comparison.specification_curve(term)
        if len(table) > 1:
            name = f"specification_curve_{_file(term)}"
            if name in curves:
                name = f"{name}_{len(curves)}"
            curves[name] = drawings.specification_curve(table, term, values, jobs, best)
    return curves


def _saved(figures: Mapping[str, Any], folder: Path) -> list[Drawn]:
    """The figures as PNG files."""
    return [saved(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _file(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name)[:60]


def _page(
    comparison: Comparison,
    pictures: Pictures,
    verdict: Verdict,
    regression: RegressionTable | None,
    units: ByUnit | None,
) -> str:
    """The whole page."""
    scores = [picture(drawn) for drawn in pictures.scores]
    curves = [picture(drawn) for drawn in pictures.curves]
    board = joined(_leaderboard(comparison), *scores, _no_heat_map(comparison, pictures))
    failures = _readable(comparison.failures)
    answer = [*best_of(comparison, verdict.tables), *verdict.sentences]
    parts = [
        ("Verdict", _sentences(answer)),
        ("Leaderboard", board),
        ("Reading", _sentences(comparison.caveats)),
        ("Coefficients", _regression(regression)),
        ("Specification curves", joined(*curves)),
        ("By asset or group", _by_unit(comparison, units)),
        ("Tests of all jobs", _tests(verdict)),
        ("Jobs without results", framed(failures, "Failed, refused or not run", "failures.csv")),
        ("Reproduce it", _repeat(comparison)),
    ]
    return page_of(f"sweep {comparison.plan.name}", _head(comparison), parts)


def _head(comparison: Comparison) -> Html:
    """The title, the first numbers, and the facts of the sweep."""
    outcomes = comparison.failures["outcome"].value_counts()
    failed = outcomes.get("failed", 0)
    finished = f"{len(comparison.outcomes)} of {len(comparison.plan.jobs)}"
    tiles = [("jobs finished", finished), ("failed", f"{failed}")]
    if "refused" in outcomes:
        tiles.append(("refused by their data", f"{outcomes['refused']}"))
    best = comparison.ranked[0] if comparison.ranked else None
    if best is not None and comparison.score in best.metrics:
        order = "smallest" if comparison.lower_is_better else "largest"
        score = number(best.metrics[comparison.score], TILE_DIGITS)
        tiles.append((f"{order} {comparison.score}", score))
        tiles.append(("job that has it (first of equals)", str(best.job.number)))
    return tag(
        "header",
        tag("h1", f"sweep {comparison.plan.name}"),
        tiles_of(tiles),
        pairs_of(_facts(comparison), "facts"),
    )


def _facts(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """What was asked, on which data, and what differs with all its values."""
    facts = {
        "Asked for": tag("code", _command(comparison)),
        "Experiment": _different(comparison, "name"),
        "Data": _different(comparison, "source"),
        "Fingerprint": _different(comparison, "fingerprint"),
        "Kind": _different(comparison, "kind"),
        "Code": _different(comparison, "code"),
    }
    listed = [(name, [text]) for name, text in facts.items() if text]
    for name, key in comparison.names.items():
        values = value_texts(ordered(comparison.choices[name]), LONGEST)
        listed.append(("Differs", [tag("code", key), ": ", *_values(values)]))
    return listed


def _values(values: Sequence[str]) -> list[str]:
    """The first values with bars between them, and how many more there are."""
    parts: list[str] = []
    for value in values[:MOST_LISTED]:
        if parts:
            parts.append(" | ")
        parts.append(tag("code", value))
    rest = len(values) - MOST_LISTED
    if rest > 0:
        parts.append(f" and {rest} more")
    return parts


def _different(comparison: Comparison, name: str) -> str:
    """What the runs differ in under this name, the first few."""
    texts = list(dict.fromkeys(outcome.about[name] for outcome in comparison.outcomes))
    shown = "; ".join(texts[:MOST_DIFFERENT])
    rest = len(texts) - MOST_DIFFERENT
    return f"{shown}; {rest} more" if rest > 0 else shown


def _sentences(words: Sequence[str]) -> Html:
    """A paragraph each; nothing of none."""
    if not words:
        return Html()
    return tag("div", *paragraphs(words), class_="reading")


def _tests(verdict: Verdict) -> Html:
    """Notes on the tests of all jobs together, their tables, and what their columns are."""
    parts = []
    for name, table in verdict.tables.items():
        of_jobs = table.drop(columns="job", errors="ignore")
        if not any(holds_something(of_jobs[name]) for name in of_jobs):
            continue
        explanation = EXPLAINED.get(name)
        if explanation:
            parts.append(tag("p", explanation, class_="note"))
        heading = name.replace("_", " ").capitalize()
        parts.append(framed(table, heading, f"{_file(name)}.csv"))
    return joined(_sentences(verdict.notes), *parts)


def _leaderboard(comparison: Comparison) -> Html:
    """All jobs; of many the first ones at once, the others folded."""
    table = comparison.leaderboard
    if table.empty:
        return Html()
    every = _columns(comparison, table.head(MOST_ROWS))
    whole = tabled(every, len(table), "All jobs", "leaderboard.csv")
    if len(table) <= OPEN_ROWS:
        return whole
    caption = f"The first {FIRST} of {count(len(table), 'job')}"
    first = tabled(_columns(comparison, table.head(FIRST)), FIRST, caption, "")
    return joined(first, whole)


def _no_heat_map(comparison: Comparison, pictures: Pictures) -> Html:
    """Why there is no heat map of the two keys that differ, where there is none."""
    reason = "" if pictures.scores else _scattered(comparison)
    if not reason:
        return Html()
    return tag("p", reason, class_="note")


def _columns(comparison: Comparison, table: pd.DataFrame) -> list[Column]:
    """Metrics and keys under their own names; ranks where there are any."""
    ranks = table["rank"].astype("string").fillna("–").to_list()
    jobs = [_linked(comparison, str(job)) for job in table["job"]]
    columns = [Column("rank", ranks), Column("job", jobs)]
    for name in table.columns[2:]:
        heading = str(name)
        if name in comparison.names and table[name].dtype == object:
            columns.append(Column(heading, value_texts(table[name], LONGEST), "text"))
        else:
            columns.append(column_of(table[name], heading)._replace(heading=heading))
    return columns


def _linked(comparison: Comparison, job: str) -> str:
    """The number of a job, a link to its page where it has one."""
    if not (comparison.plan.directory / job / PAGE).exists():
        return job
    return tag("a", job, href=f"../{job}/{PAGE}")


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with long texts cut."""

    def cut(value: object) -> object:
        return brief(value, LONGEST_REASON) if isinstance(value, str) else value

    return table.map(cut)


def _regression(table: RegressionTable | None) -> Html:
    """The regression table, and which jobs it is of."""
    if table is None:
        return Html()
    source = table.source[0].upper() + table.source[1:]
    return joined(html(table), tag("p", f"{source}.", class_="note"))


def _by_unit(comparison: Comparison, units: ByUnit | None) -> Html:
    """A term of each unit under the first jobs, and how many are significant of all."""
    if units is None:
        return Html()
    jobs = [outcome.job.number for outcome in comparison.ranked[:MOST_BESIDE]]
    texts = units.texts(jobs)
    columns = []
    for name in texts:
        cells = list(texts[name].head(MOST_ROWS))
        is_name = name == "unit"
        columns.append(Column("", cells, "text") if is_name else Column(str(name), cells))
    caption = f"{units.term} with t in brackets; stars by p-values adjusted by Holm"
    shown = tabled(columns, len(texts), caption, "by_unit.csv")
    return joined(shown, *(tag("p", text, class_="note") for text in units.words))


def _runner(*words: str) -> str:
    """The command line with these words."""
    return shlex.join(["python", "-m", "runner", *words])


def _command(comparison: Comparison) -> str:
    """The command line that began the sweep."""
    return _runner("-m", *without_secrets(comparison.plan.words))


def _repeat(comparison: Comparison) -> Html:
    """The commands that repeat the sweep, parts of it, or what is shown of it."""
    plan = comparison.plan
    name = called(plan.directory)
    commands = {
        "the whole sweep": _command(comparison),
        "what has no results yet": _runner("resume", name),
        "this page": _runner("compare", name),
        "the runs in the MLflow UI": _runner("ui", "--sweep", name),
    }
    if comparison.ranked:
        overrides = without_secrets(comparison.ranked[0].job.overrides)
        words = [word for word in overrides if not word.startswith("hydra.")]
        commands["the first job alone"] = _runner(*words)
    parts = []
    if plan.code:
        parts.append(tag("p", "Code ", tag("code", plan.code), "."))
    for label, command in commands.items():
        parts.append(tag("p", label))
        parts.append(box(tag("pre", command), label))
    return joined(*parts)
