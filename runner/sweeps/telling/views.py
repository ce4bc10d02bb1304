"""What MLflow shows of a sweep beyond its runs: saved views, the description of the parent run,
the newest sweep.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from runner.experiment.spec import CHOSEN
from runner.sinks import view
from runner.sinks.view import Mode, Section, View
from runner.sweeps.telling.standings import (
    coefficient_heading,
    evidence,
    heading,
    score_text,
    shown_terms,
    varying,
)
from runner.text import count, number

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison
    from runner.sweeps.telling.standings import Standing

LEADERBOARD = "Leaderboard"  # the first link of a description
FIRST, TABLE, GROUPS, CHARTS = (
    "leaderboard",
    "table",
    "groups",
    "charts",
)  # the last part of a view's key
BEST = 10  # jobs of the leaderboard in the description of the parent run
MOST_CARDS = 6  # cards of a section on coefficients
MOST_KEYS = 4  # keys that the first line of a description names
LONGEST_FIRST = (
    180  # letters of the first line on what survives: MLflow folds a description after five lines
)
NEWEST = "Newest sweep: "  # how the first line of the experiment's description begins
SCORES = (
    "oos/r2",
    "oos/rmse",
    "fit/r2",
    "fit/n_obs",
)  # columns of the newest runs, before the coefficients
SERIES = ("by year", "by fold")  # how series over steps begin


def order_of(found: Comparison) -> tuple[str, bool]:
    """The column that orders the jobs: by a metric that no run has MLflow would show the newest
    first in silence.
    """
    return view.RANKED if found.outcomes else view.NEWEST


def facets(found: Comparison, tags: Mapping[str, str]) -> dict[str, Any]:
    """Filter and order of the jobs of the sweep: what a link can say to any MLflow."""
    return View("", [], view.where(tags), order_of(found)).facets


def views(
    found: Comparison,
    places: Sequence[Standing],
    tags: Mapping[str, str],
    day: str,
    metrics: Iterable[str],
) -> dict[str, View]:
    """The saved views of a sweep: leaderboard, regression table, by group, charts.

    Args:
        places: how the jobs stand.
        tags: that every run of the sweep has.
        day: that the sweep ended on.
        metrics: of all its runs, as MLflow names them.
    """
    title = f"{day} {found.plan.name}"
    params = [view.param(name) for name in found.params]
    scores = [view.tag(heading(name)) for name in evidence(found)]
    terms = [view.tag(view.allowed(coefficient_heading(term))) for term in shown_terms(found)]
    leaking = [view.tag("leaking")] if any(one.about.get("leaks") for one in found.outcomes) else []
    sections = _sections(found, set(metrics))
    letters = {
        view.param(key): _longest(found.choices[name].astype(str))
        for name, key in found.names.items()
    }
    for heading_text in {name for one in places for name in one.tags}:
        values = [one.tags[heading_text] for one in places if heading_text in one.tags]
        letters[view.tag(view.allowed(heading_text))] = _longest(values)
    shared = View("", [], view.where(tags), order_of(found), "", sections, sorted(metrics), letters)

    def named(name: str, columns: Sequence[str], group_by: str = "") -> View:
        return replace(shared, name=f"{title}: {name}", columns=columns, group_by=group_by)

    groups = [name for name in found.params if name in CHOSEN] or found.params
    numbers = [view.metric(name) for name in evidence(found)]
    every = {
        FIRST: named("leaderboard", [*params, *leaking, *scores, *terms]),
        TABLE: named("regression table", [*params, *terms, *scores[:2], view.tag("errors")]),
        CHARTS: named("charts", [*params, *scores]),
    }
    if groups:
        every[GROUPS] = named(f"by {groups[0]}", [*numbers, *params], groups[0])
    return every


def _longest(texts: Iterable[str]) -> int:
    """Letters of the longest text."""
    return max(map(len, texts), default=0)


def newest_view(runs: Sequence[Any]) -> View:
    """The view of the newest runs, whatever they belong to: what was chosen, scores and fit,
    coefficients.
    """
    params = [name for name in CHOSEN if any(name in run.data.params for run in runs)]
    metrics = [view.metric(name) for name in _columns(runs)] if runs else []
    chosen = {
        view.param(name): _longest(run.data.params.get(name, "") for run in runs) for name in params
    }
    return View("Newest runs", [*chosen, *metrics], letters=chosen)


def _columns(runs: Sequence[Any]) -> list[str]:
    """Metrics worth a column: scores and fit first, then the coefficients of the run with most of
    them.
    """
    present = {name for run in runs for name in run.data.metrics}
    largest = max(runs, key=lambda run: sum(name.startswith("coef/") for name in run.data.metrics))
    terms = sorted(
        name.partition("/")[2] for name in largest.data.metrics if name.startswith("coef/")
    )
    pairs = [f"{what}/{term}" for term in terms for what in ("coef", "tstat")]
    return [name for name in [*SCORES, *pairs] if name in present]


def _sections(found: Comparison, metrics: set[str]) -> list[Section]:
    """The charts: the answer, the coefficients, what is over years and folds."""
    score, params = found.score, found.params
    answer = [view.bar(score)] if score else []
    if score and score != "fit/r2" and "fit/r2" in metrics:
        answer.append(view.scatter("fit/r2", score))
    axes = [key for name, key in varying(found).items() if key in params]
    if axes and score:
        answer.append(view.parallel(axes, [score]))
    coefficients = [view.allowed(f"coef/{term}") for term in shown_terms(found) if term != "const"]
    bars = [view.bar(name) for name in coefficients if name in metrics]
    lines = [view.line(name) for name in sorted(metrics) if name.startswith(SERIES)]
    sections = [Section("Answer", 3, answer), Section("Coefficients", 3, bars[:MOST_CARDS])]
    sections.append(Section("Over years and folds", 3, lines))
    return [section for section in sections if section.cards]


def headline(found: Comparison, names: Mapping[int, str], leaderboard: str) -> str:
    """The answer in a line of Markdown: the best job, on which rows, by how much it is ahead.

    Args:
        names: of the runs, by job number.
        leaderboard: the path that the name of the best job links to, since MLflow shades the line
            of links.
    """
    if not found.first_block:
        why = f" {found.fallback}" if found.fallback else ""
        return f"**No job has a score to rank by.**{escaped(why)}"
    values = [float(str(found.score_of(one))) for one in found.first_block]
    best = found.first_block[0]
    label = heading(found.score).rpartition(" ")[0].removesuffix(" in") or found.score
    name = f"[{escaped(names[best.job.number])}]({leaderboard})"
    told = f"**Best: {name}, {label} {number(values[0])}** {_sample(found)}"
    if len(values) < 2:
        return f"{told}."
    gap = abs(values[0] - values[1])
    lead = f"{number(gap, 2)} ahead of the next" if gap else "level with the next"
    return f"{told}, {lead}.{_difference(found)}"


def _difference(found: Comparison) -> str:
    """In which settings the finished jobs differ, as a sentence after another; nothing where they
    differ in none.
    """
    keys = [escaped(name) for name in varying(found)]
    if not keys:
        return ""
    rest = len(keys) - MOST_KEYS
    shown = [*keys[:MOST_KEYS], count(rest, "more key")] if rest > 0 else keys
    *others, last = shown
    return (
        f" The jobs differ in {', '.join(others)} and {last}."
        if others
        else f" The jobs differ in {last}."
    )


def _sample(found: Comparison) -> str:
    """Which rows the score of the best job is of."""
    best = found.first_block[0]
    sample = found.score.partition("/")[0]
    counted = {"common": "common/n_obs", "fit": "fit/n_obs", "holdout": "holdout/n_obs"}.get(
        sample, "oos/n_obs"
    )
    rows = f"{best.metrics[counted]:,.0f} rows" if counted in best.metrics else "its rows"
    if sample == "fit":
        return f"in sample, on the {rows} it was fitted on"
    shared = (
        f"the {rows} that all {len(found.outcomes)} jobs forecast" if sample == "common" else rows
    )
    if found.cross_validated(best):
        return f"cross-validated on {shared} (training rows include later ones: no forecast)"
    return f"out of sample on {shared}"


def shortened(sentence: str) -> str:
    """The sentence up to the last clause that leaves the links below it in sight; the whole one is
    further down.

    A colon begins a list, which is left out as a whole: half a list of what survives would mislead.
    """
    if len(sentence) <= LONGEST_FIRST:
        return sentence
    start = sentence[:LONGEST_FIRST]
    clause, colon, _ = start.partition(": ")
    if colon:
        return f"{clause} (listed below)."
    clause, pause, _ = start.rpartition("; ")
    return f"{clause} (continued below)." if pause else f"{start.rpartition(' ')[0]} …"


def note(
    answer: str,
    links: Mapping[str, str],
    found: Comparison,
    pictures: Sequence[str],
    parent: str,
    words: Sequence[str],
) -> str:
    """The description of the parent run: the answer, the links, the leaderboard, the curves, what
    one must know.

    Args:
        answer: the first line, in Markdown.
        links: paths by what they are called.
        pictures: paths of specification curves below the artifacts of the run with the id `parent`.
        words: what survives, and what one must know before comparing.
    """
    drawn = [
        f"![specification curve](get-artifact?path={quote(path)}&run_uuid={parent})"
        for path in pictures
    ]
    said = "\n".join(f"- {escaped(line)}" for line in words if line)
    return "\n\n".join(
        part for part in (answer.rstrip(), linked(links), table(found), *drawn, said) if part
    )


def links(experiment: str, parent: str, sweep: str, views: Mapping[str, View]) -> dict[str, str]:
    """Paths that preview the saved views of a sweep and open its report, by what they are called.

    Args:
        parent: the id of its parent run.
        sweep: its own id.
    """
    ways: dict[str, tuple[str, Mode]] = {
        LEADERBOARD: (FIRST, "TABLE"),
        "Charts": (CHARTS, "CHART"),
        "Regression table": (TABLE, "TABLE"),
        "Coefficients side by side": (TABLE, "ARTIFACT"),
        "By group": (GROUPS, "TABLE"),
    }
    known = {label: way for label, way in ways.items() if way[0] in views}
    paths = {
        label: view.shared_path(experiment, f"{sweep}-{kind}", mode)
        for label, (kind, mode) in known.items()
    }
    return {**paths, **_report(experiment, parent)}


def plain_links(experiment: str, parent: str, facets: Mapping[str, Any]) -> dict[str, str]:
    """Paths for a sweep without saved views: its jobs by filter and order, and its report."""
    return {LEADERBOARD: view.facets_path(experiment, facets), **_report(experiment, parent)}


def _report(experiment: str, parent: str) -> dict[str, str]:
    return {"Report": view.artifact_path(experiment, parent, "report.html")}


def linked(links: Mapping[str, str]) -> str:
    """The line of links of a description."""
    return " · ".join(f"[{label}]({path})" for label, path in links.items())


def relinked(description: str, links: Mapping[str, str], more: str = "") -> str:
    """The description with these links in place of its own; as it is where a person took them away.

    Args:
        more: Markdown after the links.
    """
    line = re.search(rf"^\[{LEADERBOARD}\]\((#/[^)]*)\).*$", description, flags=re.MULTILINE)
    if line is None:
        return description
    fresh = description.replace(line[0], f"{linked(links)}{more}")
    return fresh.replace(f"]({line[1]})", f"]({links[LEADERBOARD]})")


def again(sweep: str) -> str:
    """How the saved views of an older sweep come back, in Markdown."""
    return escaped(f" · columns and charts again: python -m runner ui --sweep {shlex.quote(sweep)}")


def table(found: Comparison) -> str:
    """The first jobs of the leaderboard, in Markdown."""
    board = found.leaderboard.head(BEST)
    if board.empty:
        return ""
    rows = [
        [_cell(str(name), value) for name, value in row.items()] for row in board.to_dict("records")
    ]
    heads = [escaped(heading(str(name))) for name in board]
    lines = [heads, ["---"] * len(heads), *rows]
    more = len(found.leaderboard) - BEST
    rest = [f"\n{count(more, 'more job')} in leaderboard.csv."] if more > 0 else []
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in lines), *rest])


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return score_text(name, value)
    return escaped("–" if str(value) == "<NA>" else str(value))


def escaped(text: str) -> str:
    """The text as Markdown that says the same and is no markup, link or picture."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", plain)


def with_newest(description: str, link: str) -> str:
    """The description of an experiment with this first line instead of an older one; what a person
    wrote stays.
    """
    rest = (
        description.split("\n", 1)[1:] if description.startswith(NEWEST) else [f"\n{description}"]
    )
    return "\n".join([f"{NEWEST}{link}", *rest]).rstrip()
