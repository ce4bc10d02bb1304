"""A report as one HTML file that needs nothing else: pictures and styles inside, every text
escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from runner.data.calendar import span
from runner.experiment.reading import sections
from runner.experiment.wording import calendar_text, target_text
from runner.sinks.markup import (
    MOST_ROWS,
    NAMES,
    Column,
    Html,
    aligned,
    box,
    framed,
    joined,
    page_of,
    pairs_of,
    picture,
    tabled,
    tag,
    unbroken,
)
from runner.text import LEVEL, MOST_VIF, count, number, p_text, per_unit, plural, stars
from runner.text import unit_noun as noun_of

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report
    from runner.panels.finding import Finding


def write(report: Report, directory: Path, pictures: list[Path]) -> None:
    """Write `directory`/report.html."""
    captions = _captions(report)
    shown = {path.stem: picture(path, captions.get(path.stem, "")) for path in pictures}
    parts = [
        tag("section", tag("h2", heading), content)
        for heading, content in _parts(report, shown)
        if content
    ]
    (directory / "report.html").write_text(
        page_of(report.name, _head(report), *parts), encoding="utf-8"
    )


def _parts(report: Report, shown: dict[str, Html]) -> list[tuple[str, Html]]:
    """Heading and content of every section, in the order in which they are read."""
    at = {stem: shown.pop(stem, Html()) for stem in (*CAPTIONS, "coefficients")}
    fit = report.fit
    folds = framed(report.folds.drop(columns="layout", errors="ignore"), "Folds", "folds.csv")
    held_out = [at["actual_predicted"], _scores(report), at["folds"], folds]
    return [
        ("Reading", _reading(report)),
        ("Coefficients", joined(at["coefficients"], at["t_stats"], *_coefficients(report))),
        ("Fit", framed(fit.quality.drop(columns="scope"), "Fit in sample", "quality.csv")),
        (
            "Hypotheses",
            framed(fit.hypotheses.drop(columns="scope"), "Wald tests", "hypotheses.csv"),
        ),
        *(
            (_titled(name), _found(name, one, shown.pop(name, Html())))
            for name, one in report.findings.items()
        ),
        ("Out of sample", joined(*held_out)),
        ("Diagnostics", joined(at["residuals"], *_diagnostics(report), at["correlations"])),
        ("More pictures", joined(*shown.values())),
        (
            "Leak audit",
            Html()
            if report.audit is None
            else framed(report.audit.table, "Columns computed again", "audit.csv"),
        ),
        ("Rows", _rows(report)),
        ("To repeat it", _repeat(report)),
    ]


CAPTIONS = {
    "t_stats": "",
    "correlations": "Near 1 or −1 two columns say the same: their separate estimates are imprecise.",
    "actual_predicted": "Rows not fitted on. Means off the line: predictions are too large or too small there.",
    "folds": "Rows in neither a training nor a test part are purged, embargoed, or not used by that fold.",
    "residuals": "Left: ends off the line are tails heavier than a normal's. Middle: mean and ± 1 standard "
    "deviation; a mean off zero is a bend that the line misses, a widening band unequal variances. Right: bars "
    "beyond the dashed lines (± 1.96 over the root of the rows of an asset) are more than chance in one asset; "
    "of several, the mean and the middle 90 %.",
}


def _captions(report: Report) -> dict[str, str]:
    """What to look for in each picture; of the coefficients it depends on what they are."""
    table = report.fit.coefficients
    if noun_of(table) == "date":
        return {
            **CAPTIONS,
            "coefficients": "Near the dashed line the premium is steady; a bend is a change of it.",
        }
    tested = "Where an interval misses the dashed zero, the term is distinguishable from zero."
    bare = "Estimates without errors: nothing here tells them from zero."
    return {**CAPTIONS, "coefficients": tested if table["ci_low"].notna().any() else bare}


def _head(report: Report) -> Html:
    panel = report.panel
    facts = {
        "Target": target_text(report),
        "Terms": ", ".join(report.fit.coefficients["term"].unique()),
        "Model": _model(report.spec.get("model")),
        "Errors": report.fit.errors,
        "Data": report.source,
        "Fingerprint": tag("code", report.fingerprint),
        "Dates": f"{span(panel.dates)}, {count(len(panel.dates), 'date')} × {count(len(panel.assets), 'asset')}",
        "Calendar": calendar_text(report),
        "Validation": _named(report.spec.get("validation")),
        "Run": f"{report.started:%Y-%m-%d %H:%M} UTC",
    }
    badges = [tag("span", report.kind, class_=f"badge {report.kind}")]
    badges += [tag("span", "leaking", class_="badge leaking")] if report.leaks else []
    title = tag("h1", report.name, *(part for badge in badges for part in (" ", badge)))
    tiles = (
        tag("div", tag("b", text), tag("span", label))
        for label, text in _tiles(report.metrics, report)
    )
    listed = pairs_of(((name, [text]) for name, text in facts.items() if text), "facts")
    return tag("header", title, tag("div", *tiles, class_="tiles"), listed)


def _model(node: object) -> str:
    """What is fitted, on which cells each."""
    settings = node if isinstance(node, Mapping) else {}
    if "estimator" not in settings:
        return _named(node)
    effects = "".join(f", fixed effects of {effect}s" for effect in settings.get("effects") or ())
    return f"{settings['estimator']}, {'by ' + settings['by'] if settings.get('by') else 'one of all cells'}{effects}"


def _named(node: object) -> str:
    """A part of the spec by its name and its plain settings; those that are null or empty say
    nothing.
    """
    settings = dict(node) if isinstance(node, Mapping) else {}
    name = str(settings.pop("_target_", "")).rpartition(".")[2]
    plain = [
        f"{key}={value}"
        for key, value in settings.items()
        if isinstance(value, str | int | float) and value != ""
    ]
    return f"{name}: {', '.join(plain)}" if plain else name


def _tiles(found: Mapping[str, float], report: Report) -> list[tuple[str, str]]:
    """The numbers that most readers look for first."""
    units = int(found.get("fit/units", 0))
    tiles = [
        (
            "mean R2 in sample" if units > 1 else "R2 in sample",
            number(found.get("fit/r2", float("nan")), 3),
        )
    ]
    if "oos/r2" in found:
        naive = f"RMSE out of sample ({report.benchmark} {number(found.get('oos/rmse_naive', float('nan')), 3)})"
        tiles.append(
            (f"R2 out of sample, against the {report.benchmark}", number(found["oos/r2"], 3))
        )
        tiles.append((naive, number(found["oos/rmse"], 3)))
    noun = noun_of(report.fit.quality)
    tiles.append((f"{noun if units == 1 else plural(noun)} estimated", f"{units:,}"))
    return [*tiles, ("rows fitted on", f"{found.get('fit/n_obs', 0.0):,.0f}")]


def _reading(report: Report) -> Html:
    said = sections(report).items()
    return pairs_of(
        ((name, [tag("p", unbroken(text)) for text in texts]) for name, texts in said), "reading"
    )


def _coefficients(report: Report) -> list[Html]:
    table = report.fit.coefficients
    means, noun = table[table["scope"] == "mean"], noun_of(table)
    over = framed(
        _starred(means).drop(columns="unit"), f"Mean over {plural(noun)}", "coefficients.csv"
    )
    each = framed(
        _starred(per_unit(table)),
        f"Estimates of each {noun}".removesuffix(" of each regression"),
        "coefficients.csv",
    )
    legend = (
        [tag("p", "*** p < 0.01, ** p < 0.05, * p < 0.10", class_="note")]
        if table["p_value"].notna().any()
        else []
    )
    return [over, each, *legend]


def _starred(table: pd.DataFrame) -> pd.DataFrame:
    """With a column of stars, which has no heading."""
    table = table.drop(columns="scope")
    table.insert(table.columns.get_loc("p_value") + 1, "", [stars(p) for p in table["p_value"]])
    return table


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _found(name: str, finding: Finding, picture: Html) -> Html:
    """What an analysis found: its picture and its table."""
    return joined(picture, framed(finding.table, _titled(name), f"{name}.csv"))


def _scores(report: Report) -> Html:
    table = report.scores.sort_values("scope", key=lambda scope: scope != "pooled", kind="stable")
    return framed(table, f"Scores; naive is the {report.benchmark}", "scores.csv")


def _diagnostics(report: Report) -> list[Html]:
    """One row per unit: p-values of the tests, then statistics that have none; bad ones are
    marked.
    """
    table = report.diagnostics
    if table.empty:
        return []
    units = list(table["unit"].unique())
    table = table[table["unit"].isin(units[:MOST_ROWS])]
    tests, others = [Column(noun_of(table), units[:MOST_ROWS], "text")], list[Column]()
    for name, rows in table.groupby("diagnostic", sort=False):
        tested = rows["p_value"].notna().any()
        worst = (
            rows.groupby("unit")["p_value" if tested else "statistic"]
            .max()
            .reindex(units[:MOST_ROWS])
        )
        if worst.notna().any():
            (tests if tested else others).append(_marked(worst, str(name), bool(tested)))
    note = f"Tests show p-values, the columns after them statistics; ▲: p < {LEVEL:g} or VIF > {MOST_VIF:g}."
    shown = tabled(tests + others, len(units), "Tests of residuals and columns", "diagnostics.csv")
    return [shown, tag("p", note, class_="note")]


def _marked(worst: pd.Series, name: str, tested: bool) -> Column:
    texts = aligned([p_text(value) if tested else number(value) for value in worst])
    bad = (worst < LEVEL) if tested else (worst > MOST_VIF) & (name == "vif")
    cells = [tag("b", f"▲ {text}") if mark else text for text, mark in zip(texts, bad, strict=True)]
    return Column(NAMES.get(name, name.replace("_", " ")), cells)


def _rows(report: Report) -> Html:
    """What was left out on the way, and what is left."""
    account = [(one.what, one.reason, f"{one.rows:,}") for one in report.dropped]
    rows = [*account, ("panel cell", tag("b", "kept"), f"{int(report.panel.valid.sum()):,}")]
    what, reason, lost = (list(part) for part in zip(*rows[-MOST_ROWS:], strict=True))
    columns = [
        Column("what", what, "text"),
        Column("dropped because", reason, "text"),
        Column("rows", lost),
    ]
    return tabled(columns, len(rows), "Rows dropped and kept", "dropped.csv")


def _repeat(report: Report) -> Html:
    spec = yaml.safe_dump(dict(report.spec), sort_keys=False, allow_unicode=True)
    words = [
        word for word in report.overrides if not word.startswith("hydra.")
    ]  # its directory is taken
    command = shlex.join(["python", "-m", "runner", *words])
    said = tag("p", "Code ", tag("code", report.code), ", data as above:")
    folded = tag("details", tag("summary", "Spec (YAML)"), box(tag("pre", spec), "spec"))
    return joined(said, box(tag("pre", command), "command"), folded)
