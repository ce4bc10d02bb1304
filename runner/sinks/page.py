"""A report as one HTML file that needs nothing else: pictures and styles inside, every text escaped."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from runner.calendar import span
from runner.words import LEVEL, MOST_VIF, count, number, p_text, per_unit, plural, sections, t_text, target_text
from runner.words import unit_noun as noun_of

if TYPE_CHECKING:
    import pandas as pd

    from runner.report import Report
    from runner.study import Finding

MOST_ROWS = 150  # of a table shown; the rest is in its CSV file
OPEN_ROWS = 40  # longer tables are folded
FIGURE_SPACE, POINT_SPACE = "\u2007", "\u2008"  # as wide as a digit and as a point
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")  # would turn the text around


def write(report: Report, directory: Path, pictures: list[Path]) -> None:
    """Write `directory`/report.html."""
    shown = {path.stem: _picture(path) for path in pictures}
    parts = [_tag("section", _tag("h2", heading), content) for heading, content in _parts(report, shown) if content]
    page = PAGE.format(title=escape(report.name), style=STYLE, body="".join([_head(report), *parts]))
    (directory / "report.html").write_text(page, encoding="utf-8")


def _parts(report: Report, shown: dict[str, Html]) -> list[tuple[str, Html]]:
    """Heading and content of every section, in the order in which they are read."""
    at = {stem: shown.pop(stem, Html()) for stem in CAPTIONS}
    fit = report.fit
    folds = _frame(report.folds.drop(columns="layout", errors="ignore"), "Folds", "folds.csv")
    held_out = [at["actual_predicted"], _scores(report), at["folds"], folds]
    return [
        ("Reading", _reading(report)),
        ("Coefficients", _all(at["coefficients"], *_coefficients(report))),
        ("Fit", _frame(fit.quality.drop(columns="scope"), "Fit in sample", "quality.csv")),
        ("Hypotheses", _frame(fit.hypotheses.drop(columns="scope"), "Wald tests", "hypotheses.csv")),
        *((_titled(name), _found(name, one, shown.pop(name, Html()))) for name, one in report.findings.items()),
        ("Out of sample", _all(*held_out)),
        ("Diagnostics", _all(at["residuals"], *_diagnostics(report))),
        ("More pictures", _all(*shown.values())),
        (
            "Leak audit",
            Html() if report.audit is None else _frame(report.audit.table, "Columns computed again", "audit.csv"),
        ),
        ("Rows", _rows(report)),
        ("To repeat it", _repeat(report)),
    ]


class Html(str):
    """Text that is HTML already; everything else is escaped on its way into the page."""


class Column(NamedTuple):
    heading: str
    cells: list[str]
    kind: str = "number"


def _all(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part).translate(TURNING) for part in parts))


def _tag(name: str, *content: str, **attributes: str) -> Html:
    """An element; an attribute such as `class_` or `aria_label` gets its name in HTML."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"' for key, text in attributes.items())
    return Html(f"<{name}{given}>{_all(*content)}</{name}>")


def _box(content: Html, label: str) -> Html:
    """Something wide, in a box that scrolls by itself."""
    return _tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def _list(pairs: Iterable[tuple[str, Iterable[str]]], kind: str) -> Html:
    """Names on the left, what belongs to each on the right."""
    rows = (_tag("div", _tag("dt", name), _tag("dd", *content)) for name, content in pairs)
    return _tag("dl", *rows, class_=kind)


def _picture(path: Path) -> Html:
    said = CAPTIONS.get(path.stem, "")
    caption = said or path.stem.replace("_", " ")
    data = f"data:image/png;base64,{b64encode(path.read_bytes()).decode('ascii')}"
    image = Html(f'<img src="{data}" alt="{escape(caption)}">')
    return _tag("figure", _box(image, path.stem), *([_tag("figcaption", said)] if said else []))


CAPTIONS = {
    "coefficients": "Where an interval misses the dashed zero, the term is distinguishable from zero.",
    "actual_predicted": "Rows not fitted on. Means off the line: predictions are too large or too small there.",
    "folds": "Rows in neither a training nor a test part are purged, embargoed, or not used by that fold.",
    "residuals": "Left: ends off the line are tails heavier than a normal's. Right: a mean off zero is a bend "
    "that the line misses, a widening band unequal variances.",
}


def _frame(frame: pd.DataFrame, caption: str, file: str) -> Html:
    """A frame as it is, with the columns that hold something; long ones folded, and cut."""
    if frame.empty:
        return Html()
    filled = [name for name in frame if name == "" or (frame[name].notna() & (frame[name].astype(str) != "")).any()]
    columns = [_column(frame[name].iloc[:MOST_ROWS], str(name)) for name in filled]
    return _table(columns, len(frame), caption, file)


def _table(columns: list[Column], size: int, caption: str, file: str) -> Html:
    head = _tag("tr", *(_tag("th", column.heading, scope="col", class_=column.kind) for column in columns))
    rows = zip(*(column.cells for column in columns), strict=True)
    body = (_tag("tr", *(_tag("td", c, class_=k.kind) for c, k in zip(row, columns, strict=True))) for row in rows)
    table = _tag("table", _tag("caption", caption), _tag("thead", head), _tag("tbody", *body))
    more = [_tag("p", f"{size - MOST_ROWS:,} more rows are in {file}.", class_="note")] if size > MOST_ROWS else []
    content = _all(_box(table, caption), *more)
    folded = _tag("details", _tag("summary", f"{caption}: {count(size, 'row')}"), content)
    return folded if size > OPEN_ROWS else content


def _column(values: pd.Series, name: str) -> Column:
    """Cells of a column by what it holds: numbers aligned at the point, dates, or text."""
    heading = NAMES.get(name, name.replace("_", " "))
    if values.dtype.kind in "iuf":
        return Column(heading, _aligned([_figure(value, name) for value in values.astype(float)]))
    if values.dtype.kind == "M":
        return Column(heading, [f"{value:%Y-%m-%d}" for value in values], "text")
    texts = ["" if text is None or text != text else str(text) for text in values]
    if name == "unit":  # those that repeat the one above in pale
        above = [None, *texts[:-1]]
        texts = [_tag("i", text) if text == last else text for text, last in zip(texts, above, strict=True)]
    return Column(heading, texts, "text")


def _figure(value: float, name: str) -> str:
    """A number as its column wants it."""
    whole = value.is_integer() and abs(value) >= 1.0
    return FORMS[name](value) if name in FORMS else f"{value:,.0f}" if whole else number(value)


def _aligned(texts: list[str]) -> list[str]:
    """Padded on the right so that the points stand below each other; those with an exponent stay."""
    after = [len(text.partition(".")[2]) for text in texts]
    most = max((n for n, text in zip(after, texts, strict=True) if "e" not in text), default=0)
    pads = [(POINT_SPACE if most and not n else "") + FIGURE_SPACE * (most - n) for n in after]
    return [text if "e" in text else text + pad for text, pad in zip(texts, pads, strict=True)]


FORMS: dict[str, Callable[[float], str]] = dict.fromkeys(
    ["dm_p_value", "cw_p_value", "ic_p_value", "rank_ic_p_value"], p_text
)
FORMS |= {"p_value": p_text, "f_p_value": p_text, "t_stat": t_text}
NAMES = {"std_error": "std. error", "t_stat": "t", "p_value": "p", "ci_low": "interval from", "ci_high": "to"}
NAMES |= {"n_obs": "rows", "f_stat": "F", "f_p_value": "p of F", "r2": "R2", "r2_adj": "R2 adj.", "aic": "AIC"}
NAMES |= {"bic": "BIC", "r2_zero": "R2 (zero)", "r2_test_mean": "R2 (test mean)", "rmse": "RMSE", "mae": "MAE"}
NAMES |= dict.fromkeys([f"{name}_naive" for name in ("mape", "qlike", "correlation", "ic", "rank_ic")], "naive")
NAMES |= {
    "dm_p_value": "p of DM",
    "cw_p_value": "p of CW",
    "rmse_naive": "naive",
    "mae_naive": "naive",
    "hit_rate_naive": "naive",
    "vif": "largest VIF",
}


def _head(report: Report) -> Html:
    panel = report.panel
    facts = {
        "Target": target_text(report),
        "Terms": ", ".join(report.fit.coefficients["term"].unique()),
        "Errors": report.fit.errors,
        "Data": report.source,
        "Fingerprint": _tag("code", report.fingerprint),
        "Dates": f"{span(panel.dates)}, {count(len(panel.dates), 'date')} × {count(len(panel.assets), 'asset')}",
        "Run": f"{report.started:%Y-%m-%d %H:%M} UTC",
    }
    badges = [_tag("span", report.kind, class_=f"badge {report.kind}")]
    badges += [_tag("span", "leaking", class_="badge leaking")] if report.leaks else []
    title = _tag("h1", report.name, *(part for badge in badges for part in (" ", badge)))
    tiles = (_tag("div", _tag("b", text), _tag("span", label)) for label, text in _tiles(report.metrics, report))
    listed = _list(((name, [text]) for name, text in facts.items()), "facts")
    return _tag("header", title, _tag("div", *tiles, class_="tiles"), listed)


def _tiles(found: Mapping[str, float], report: Report) -> list[tuple[str, str]]:
    """The numbers that most readers look for first."""
    units = int(found.get("fit/units", 0))
    tiles = [("mean R2 in sample" if units > 1 else "R2 in sample", number(found.get("fit/r2", float("nan")), 3))]
    if "oos/r2" in found:
        naive = f"RMSE out of sample ({report.benchmark} {number(found.get('oos/rmse_naive', float('nan')), 3)})"
        tiles.append((f"R2 out of sample, against the {report.benchmark}", number(found["oos/r2"], 3)))
        tiles.append((naive, number(found["oos/rmse"], 3)))
    noun = noun_of(report.fit.quality)
    tiles.append((f"{noun if units == 1 else plural(noun)} estimated", f"{units:,}"))
    return [*tiles, ("rows fitted on", f"{found.get('fit/n_obs', 0.0):,.0f}")]


def _reading(report: Report) -> Html:
    said = sections(report).items()
    return _list(((name, [_tag("p", _unbroken(text)) for text in texts]) for name, texts in said), "reading")


def _unbroken(sentence: str) -> str:
    """A number stays on the line of its sign or unit."""
    return sentence.replace(" %", "\u00a0%").replace("(t ", "(t\u00a0").replace("(p ", "(p\u00a0")


def _coefficients(report: Report) -> list[Html]:
    table = report.fit.coefficients
    means, noun = table[table["scope"] == "mean"], noun_of(table)
    over = _frame(_starred(means).drop(columns="unit"), f"Mean over {plural(noun)}", "coefficients.csv")
    each = _frame(_starred(per_unit(table)), f"Estimates of each {noun}", "coefficients.csv")
    legend = (
        [_tag("p", "*** p < 0.01, ** p < 0.05, * p < 0.10", class_="note")] if table["p_value"].notna().any() else []
    )
    return [over, each, *legend]


def _starred(table: pd.DataFrame) -> pd.DataFrame:
    """With a column of stars, which has no heading."""
    table = table.drop(columns="scope")
    stars = [sum(p < level for level in (0.01, 0.05, 0.10)) * "*" for p in table["p_value"]]
    table.insert(table.columns.get_loc("p_value") + 1, "", stars)
    return table


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _found(name: str, finding: Finding, picture: Html) -> Html:
    """What an analysis found: its picture and its table."""
    return _all(picture, _frame(finding.table, _titled(name), f"{name}.csv"))


def _scores(report: Report) -> Html:
    table = report.scores.sort_values("scope", key=lambda scope: scope != "pooled", kind="stable")
    return _frame(table, f"Scores; naive is the {report.benchmark}", "scores.csv")


def _diagnostics(report: Report) -> list[Html]:
    """One row per unit: p-values of the tests, then statistics that have none; bad ones are marked."""
    table = report.diagnostics
    if table.empty:
        return []
    units = list(table["unit"].unique())
    table = table[table["unit"].isin(units[:MOST_ROWS])]
    tests, others = [Column(noun_of(table), units[:MOST_ROWS], "text")], list[Column]()
    for name, rows in table.groupby("diagnostic", sort=False):
        tested = rows["p_value"].notna().any()
        worst = rows.groupby("unit")["p_value" if tested else "statistic"].max().reindex(units[:MOST_ROWS])
        if worst.notna().any():
            (tests if tested else others).append(_marked(worst, str(name), bool(tested)))
    note = f"Tests show p-values, the columns after them statistics; ▲: p < {LEVEL:g} or VIF > {MOST_VIF:g}."
    shown = _table(tests + others, len(units), "Tests of residuals and columns", "diagnostics.csv")
    return [shown, _tag("p", note, class_="note")]


def _marked(worst: pd.Series, name: str, tested: bool) -> Column:
    texts = _aligned([p_text(value) if tested else number(value) for value in worst])
    bad = (worst < LEVEL) if tested else (worst > MOST_VIF) & (name == "vif")
    cells = [_tag("b", f"▲ {text}") if mark else text for text, mark in zip(texts, bad, strict=True)]
    return Column(NAMES.get(name, name.replace("_", " ")), cells)


def _rows(report: Report) -> Html:
    """What was left out on the way, and what is left."""
    account = [(one.what, one.reason, f"{one.rows:,}") for one in report.dropped]
    rows = [*account, ("panel cell", _tag("b", "kept"), f"{int(report.panel.valid.sum()):,}")]
    what, reason, lost = (list(part) for part in zip(*rows[-MOST_ROWS:], strict=True))
    columns = [Column("what", what, "text"), Column("dropped because", reason, "text"), Column("rows", lost)]
    return _table(columns, len(rows), "Rows dropped and kept", "dropped.csv")


def _repeat(report: Report) -> Html:
    spec = yaml.safe_dump(dict(report.spec), sort_keys=False, allow_unicode=True)
    command = shlex.join(["python", "-m", "runner", *report.overrides])
    said = _tag("p", "Code ", _tag("code", report.code), ", data as above:")
    folded = _tag("details", _tag("summary", "Spec (YAML)"), _box(_tag("pre", spec), "spec"))
    return _all(said, _box(_tag("pre", command), "command"), folded)


STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5b646d;--line:#dfe3e8;--paper:#fff;--card:#f5f7f9;--link:#0060a0;
--bad:#a33b00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a4adb6;--line:#343b43;--paper:#14181c;--card:#1d2329;
--link:#6cb8f0;--bad:#ff9a62}}
*{box-sizing:border-box} h1,p,dd,td{unicode-bidi:isolate} pre{background:var(--card);padding:12px;margin:4px 0}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:28px 20px 60px} .scroll{overflow-x:auto}
h1{font-size:26px;line-height:1.25;margin:0 0 16px;overflow-wrap:anywhere}
h2{font-size:18px;margin:36px 0 10px;padding-top:14px;border-top:1px solid var(--line)}
.badge{display:inline-block;vertical-align:middle;font-size:13px;padding:1px 10px;border-radius:99px;
border:1px solid currentColor;color:var(--link)} .badge.predictive{color:var(--bad)}
.badge.leaking{color:#fff;background:#c00000;border-color:#c00000}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px;margin:0 0 18px}
.tiles div{background:var(--card);border-radius:8px;padding:10px 14px} .tiles b,.tiles span{display:block}
.tiles b{font-size:22px} .tiles span{color:var(--soft);font-size:12.5px;line-height:1.35}
dl{margin:0} dl>div{display:grid;grid-template-columns:150px minmax(0,1fr);gap:2px 16px;padding:4px 0}
dt{color:var(--soft)} dd{margin:0;overflow-wrap:anywhere} .reading p{margin:0 0 5px;max-width:75ch}
.reading>div{padding:8px 0} .reading>div+div{border-top:1px solid var(--line)} .reading dt{font-weight:600}
table{border-collapse:collapse;font-size:13px;line-height:1.35;font-variant-numeric:tabular-nums;margin:4px 0}
th,td{padding:4px 12px 4px 0;white-space:pre;text-align:right;border-bottom:1px solid var(--line)}
th{color:var(--soft);border-bottom:1.5px solid var(--soft)} .text,caption{text-align:left}
td i{font-style:normal;color:var(--soft);opacity:.65} td b{color:var(--bad)} td.text b{color:var(--ink)}
caption,summary{font-weight:600;padding:8px 0 6px} summary{cursor:pointer;color:var(--link)}
.note,figcaption{color:var(--soft);font-size:13px;margin:4px 0 14px} figure{margin:10px 0 18px}
figure .scroll{background:#fff;border:1px solid var(--line);border-radius:8px;padding:6px}
img{display:block;width:100%;min-width:620px} code,pre{font:13px/1.45 ui-monospace,Consolas,monospace}
@media(max-width:600px){main{padding:18px 14px 40px} dl>div{grid-template-columns:minmax(0,1fr)}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;--card:#f5f7f9;--link:#0060a0}
main{max-width:none;padding:0} figure,tr,.tiles{break-inside:avoid} h2{break-after:avoid} .scroll{overflow:visible}
img{min-width:0} table{font-size:11px} th,td{padding-right:8px}}
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}: factor regression</title><style>{style}</style>
</head><body><main>
{body}
</main></body></html>
"""
