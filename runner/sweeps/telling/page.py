"""A sweep as files and one HTML page: leaderboard, coefficients side by side, what depends on
which choice.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.experiment.spec import without_secrets
from runner.sinks import latex
from runner.sinks.canvas import DPI, style
from runner.sinks.files import DIGITS
from runner.sinks.markup import (
    MOST_ROWS,
    OPEN_ROWS,
    Column,
    Html,
    box,
    column_of,
    framed,
    joined,
    page_of,
    pairs_of,
    picture,
    table_of,
    tabled,
    tag,
    unbroken,
)
from runner.sweeps.comparison.comparison import MOST_BESIDE, Comparison, ordered
from runner.sweeps.comparison.texts import brief, value_texts
from runner.sweeps.telling import drawings
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

FIRST = 15  # jobs of a long leaderboard that are seen at once
FILLED = 0.25  # least share of the combinations of two keys that have a job, for a heat map
LONGEST = 48  # characters of a choice in a cell; its CSV file has all
MOST_LISTED = 12  # values of a key listed among the facts
LEGEND = "*** p < 0.01, ** p < 0.05, * p < 0.10; in brackets the std. error; p-values as if this were the only job."


@dataclass(frozen=True)
class Verdict:
    """What tests of all jobs together say."""

    words: Sequence[str] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Pictures:
    """Paths of the pictures, each empty where there is none."""

    scores: Sequence[Path] = ()
    curves: Sequence[Path] = ()


def write(
    found: Comparison,
    directory: Path,
    term: str | None,
    heat: tuple[str, str] | None,
    verdict: Verdict,
) -> None:
    """Write leaderboard.csv, coefficients.csv, coefficients.tex, failures.csv, plots and
    report.html.

    Args:
        term: whose specification curve is drawn; null: of the first tested terms.
        heat: keys of a heat map; null: the two that differ, where there are two.

    Raises:
        SpecError: no job has the term, or a key does not differ; nothing was written.
    """
    terms, keys = found.curve_terms(term), _heat_keys(found, heat)
    directory.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("leaderboard", found.leaderboard),
        ("coefficients", found.coefficients),
        ("failures", found.failures),
        *verdict.tables.items(),
    ):
        table.to_csv(directory / f"{_file(name)}.csv", index=False, float_format=DIGITS)
    (directory / "coefficients.tex").write_text(tex(found), encoding="utf-8")
    shutil.rmtree(directory / "plots", ignore_errors=True)  # of terms that are no longer drawn
    pictures = draw(found, directory / "plots", terms, keys)
    (directory / "report.html").write_text(_page(found, pictures, verdict), encoding="utf-8")


def tex(found: Comparison) -> str:
    """The jobs side by side as LaTeX."""
    table = found.side_by_side()
    notes = (f"sweep {found.plan.name}: {_beside(found)}. {LEGEND}", *found.errors_in_full())
    return latex.tabular(table, (table.attrs["terms"],), notes)


def _heat_keys(found: Comparison, heat: tuple[str, str] | None) -> tuple[str, str] | None:
    """The keys that were asked for, or the two that differ where the jobs fill enough of their
    combinations.
    """
    if heat is not None:
        keys = found.key(heat[0]), found.key(heat[1])
        found.heat_map(*keys)  # the same key twice is refused before anything is written
        return keys
    names = list(found.names)
    return (names[0], names[1]) if len(names) == 2 and not _scattered(found) else None


def _scattered(found: Comparison) -> str:
    """Why the two keys that differ have no heat map, empty where they have one or are not two."""
    values = [found.choices[name].nunique() for name in found.names]
    if len(values) != 2 or len(found.plan.jobs) >= FILLED * values[0] * values[1]:
        return ""
    cells = f"{count(len(found.plan.jobs), 'job')} for {values[0]} × {values[1]} combinations"
    return f"No heat map: {cells}; --heat {','.join(found.names)} draws it all the same."


def draw(
    found: Comparison, folder: Path, terms: Sequence[str], keys: tuple[str, str] | None
) -> Pictures:
    """The pictures that this sweep has, as PNG files."""
    scored = [one for one in found.ranked if found.score in one.metrics]
    best = scored[0].job.number if scored else None
    figures: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    values = {name: ordered(found.choices[name]) for name in found.names}
    with style():
        if scored and keys:
            cells = found.heat_map(*keys)
            figures["heat_map"] = drawings.heat_map(
                cells, found.score, found.lower_is_better, len(found.names) > 2
            )
        if len(scored) > 1 and len(found.names) == 1:
            figures["scores"] = drawings.score_by(
                found.leaderboard, next(iter(found.names)), found.score, best
            )
        for term in terms if len(found.outcomes) > 1 else ():
            table = found.specification_curve(term)
            if len(table) > 1:
                name = f"specification_curve_{_file(term)}"
                name += f"_{len(curves)}" if name in curves else ""
                curves[name] = drawings.specification_curve(
                    table, term, values, len(found.outcomes), best
                )
        folder.mkdir(exist_ok=True)
        for name, figure in {**figures, **curves}.items():
            figure.savefig(folder / f"{name}.png", dpi=DPI)
    paths = ([folder / f"{name}.png" for name in group] for group in (figures, curves))
    return Pictures(*paths)


def _file(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name)[:60]


def _page(found: Comparison, pictures: Pictures, verdict: Verdict) -> str:
    parts = [
        ("Reading", _sentences(found.words)),
        ("All jobs together", _verdict(verdict)),
        (
            "Leaderboard",
            joined(
                _leaderboard(found), *map(picture, pictures.scores), _no_heat_map(found, pictures)
            ),
        ),
        ("Coefficients side by side", _side_by_side(found)),
        ("Specification curves", joined(*map(picture, pictures.curves))),
        (
            "Jobs without results",
            framed(_readable(found.failures), "Failed or not run", "failures.csv"),
        ),
        ("To repeat it", _repeat(found)),
    ]
    sections = [
        tag("section", tag("h2", heading), content) for heading, content in parts if content
    ]
    return page_of(f"sweep {found.plan.name}", _head(found), *sections)


def _head(found: Comparison) -> Html:
    failed = int((found.failures["outcome"] == "failed").sum())
    tiles = [
        (f"{len(found.outcomes)} of {len(found.plan.jobs)}", "jobs finished"),
        (f"{failed}", "failed"),
    ]
    best = found.ranked[0] if found.ranked else None
    if best is not None and found.score in best.metrics:
        order = "smallest" if found.lower_is_better else "largest"
        tiles.append((number(best.metrics[found.score], 3), f"{order} {found.score}"))
        tiles.append((str(best.job.number), "job that has it (first of equals)"))
    boxes = (tag("div", tag("b", text), tag("span", label)) for text, label in tiles)
    listed = pairs_of(_facts(found), "facts")
    return tag(
        "header", tag("h1", f"sweep {found.plan.name}"), tag("div", *boxes, class_="tiles"), listed
    )


def _facts(found: Comparison) -> list[tuple[str, list[str]]]:
    """What was asked, on which data, and what differs with all its values."""
    about = [one.about for one in found.outcomes]
    facts = {
        "Asked for": tag("code", _command(found)),
        "Experiment": _different(one["name"] for one in about),
    }
    facts["Data"] = _different(one["source"] for one in about)
    facts["Fingerprint"] = _different(one["fingerprint"] for one in about)
    facts["Kind"] = _different(one["kind"] for one in about)
    facts["Code"] = _different(one["code"] for one in about)
    told = [(name, [text]) for name, text in facts.items() if text]
    for name, key in found.names.items():
        values = value_texts(ordered(found.choices[name]), LONGEST)
        more = f" and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else ""
        parts = [part for value in values[:MOST_LISTED] for part in (" | ", tag("code", value))]
        told.append((f"Differs: {key}", [*parts[1:], more]))
    return told


def _different(texts: Any) -> str:
    """The different texts, few of them."""
    found = list(dict.fromkeys(texts))
    return "; ".join(found[:3]) + (f"; {len(found) - 3} more" if len(found) > 3 else "")


def _sentences(words: Sequence[str]) -> Html:
    return tag("div", *(tag("p", unbroken(text)) for text in words), class_="reading")


def _verdict(verdict: Verdict) -> Html:
    tables = [
        framed(table, name.replace("_", " "), f"{_file(name)}.csv")
        for name, table in verdict.tables.items()
    ]
    return joined(*([_sentences(verdict.words)] if verdict.words else []), *tables)


def _leaderboard(found: Comparison) -> Html:
    """All jobs; of many the first ones at once, the others folded."""
    table = found.leaderboard
    if table.empty:
        return Html()
    every = _columns(found, table.head(MOST_ROWS))
    whole = tabled(every, len(table), "All jobs", "leaderboard.csv")
    if len(table) <= OPEN_ROWS:
        return whole
    first = tabled(
        _columns(found, table.head(FIRST)),
        FIRST,
        f"The first {FIRST} of {count(len(table), 'job')}",
        "",
    )
    return joined(first, whole)


def _no_heat_map(found: Comparison, pictures: Pictures) -> Html:
    why = "" if pictures.scores else _scattered(found)
    return tag("p", why, class_="note") if why else Html()


def _columns(found: Comparison, table: pd.DataFrame) -> list[Column]:
    """Metrics and keys under their own names; ranks where there are any."""
    ranks = [
        "–" if missing else str(rank)
        for rank, missing in zip(table["rank"], table["rank"].isna(), strict=True)
    ]
    columns = [Column("rank", ranks), Column("job", [str(job) for job in table["job"]])]
    for name in table.columns[2:]:
        if name in found.names and table[name].dtype == object:
            columns.append(Column(str(name), value_texts(table[name], LONGEST), "text"))
        else:
            columns.append(column_of(table[name], str(name))._replace(heading=str(name)))
    return columns


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda value: brief(value, 160) if isinstance(value, str) else value)


def _beside(found: Comparison) -> str:
    """Which jobs stand side by side."""
    n = len(found.ranked)
    first = (
        f"the first {MOST_BESIDE} of {n} jobs by {found.score}"
        if n > MOST_BESIDE
        else count(n, "job")
    )
    means = any("mean" in set(one.central["scope"]) for one in found.ranked[:MOST_BESIDE])
    return f"{first}; coefficients are means over units where there are several" if means else first


def _side_by_side(found: Comparison) -> Html:
    table = found.side_by_side()
    if table.empty or table.shape[1] < 2:
        return Html()
    terms = table.attrs["terms"]
    cells = [
        [brief(text, 28) if at >= terms else text for at, text in enumerate(table[name])]
        for name in table
    ]
    columns = [
        Column(str(name), part, "number" if name else "text")
        for name, part in zip(table, cells, strict=True)
    ]
    told = _beside(found)
    shown = table_of(columns, told[0].upper() + told[1:])
    return joined(
        shown, *(tag("p", text, class_="note") for text in (LEGEND, *found.errors_in_full()))
    )


def _command(found: Comparison) -> str:
    return shlex.join(["python", "-m", "runner", "-m", *without_secrets(found.plan.words)])


def _repeat(found: Comparison) -> Html:
    place = str(found.plan.directory)
    name = found.plan.name if Path("outputs/sweeps") == found.plan.directory.parent else place
    name = name if "/" in name or name == found.plan.name else f"./{name}"
    lines = {
        "the whole sweep": _command(found),
        "what has no results yet": shlex.join(["python", "-m", "runner", "resume", name]),
        "this page": shlex.join(["python", "-m", "runner", "compare", name]),
        "the runs in the MLflow UI": shlex.join(["python", "-m", "runner", "ui", "--sweep", name]),
    }
    jobs = found.ranked[:1]
    if jobs:
        words = [
            word for word in without_secrets(jobs[0].job.overrides) if not word.startswith("hydra.")
        ]
        lines["the first job alone"] = shlex.join(["python", "-m", "runner", *words])
    code = found.plan.code
    said = [tag("p", "Code ", tag("code", code), ".")] if code else []
    return joined(
        *said,
        *(joined(tag("p", label), box(tag("pre", line), label)) for label, line in lines.items()),
    )
