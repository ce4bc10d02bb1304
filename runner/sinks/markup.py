"""Pieces of a page that needs nothing else: texts escaped, tables, pictures inside, one style for
all pages.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from html import escape
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.text import count, number, p_text, t_text

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 150  # of a table shown; the rest is in its CSV file
OPEN_ROWS = 40  # longer tables are folded
FIGURE_SPACE, POINT_SPACE = "\u2007", "\u2008"  # as wide as a digit and as a point
TURNING = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"
)  # would turn the text around


class Html(str):
    """Text that is HTML already; everything else is escaped on its way into the page."""


class Column(NamedTuple):
    heading: str
    cells: list[str]
    kind: str = "number"


def joined(*parts: str) -> Html:
    return Html(
        "".join(
            part if isinstance(part, Html) else escape(part).translate(TURNING) for part in parts
        )
    )


def tag(name: str, *content: str, **attributes: str) -> Html:
    """An element; an attribute such as `class_` or `aria_label` gets its name in HTML."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"' for key, text in attributes.items()
    )
    return Html(f"<{name}{given}>{joined(*content)}</{name}>")


def box(content: Html, label: str) -> Html:
    """Something wide, in a box that scrolls by itself."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def pairs_of(pairs: Iterable[tuple[str, Iterable[str]]], kind: str) -> Html:
    """Names on the left, what belongs to each on the right."""
    rows = (tag("div", tag("dt", name), tag("dd", *content)) for name, content in pairs)
    return tag("dl", *rows, class_=kind)


def picture(path: Path, caption: str = "") -> Html:
    """A PNG file inside the page."""
    said = caption or path.stem.replace("_", " ")
    data = f"data:image/png;base64,{b64encode(path.read_bytes()).decode('ascii')}"
    image = Html(f'<img src="{data}" alt="{escape(said)}">')
    return tag("figure", box(image, path.stem), *([tag("figcaption", caption)] if caption else []))


def page_of(title: str, *parts: Html) -> str:
    """The whole page."""
    return PAGE.format(title=escape(title), style=STYLE, body=joined(*parts))


def unbroken(sentence: str) -> str:
    """A number stays on the line of its sign or unit."""
    return sentence.replace(" %", "\u00a0%").replace("(t ", "(t\u00a0").replace("(p ", "(p\u00a0")


def framed(frame: pd.DataFrame, caption: str, file: str) -> Html:
    """A frame as it is, with the columns that hold something; long ones folded, and cut."""
    if frame.empty:
        return Html()
    filled = [
        name
        for name in frame
        if name == "" or (frame[name].notna() & (frame[name].astype(str) != "")).any()
    ]
    columns = [column_of(frame[name].iloc[:MOST_ROWS], str(name)) for name in filled]
    return tabled(columns, len(frame), caption, file)


def table_of(columns: list[Column], caption: str) -> Html:
    """The columns beside each other, in a box of their own."""
    head = tag(
        "tr", *(tag("th", column.heading, scope="col", class_=column.kind) for column in columns)
    )
    rows = zip(*(column.cells for column in columns), strict=True)
    body = (
        tag("tr", *(tag("td", c, class_=k.kind) for c, k in zip(row, columns, strict=True)))
        for row in rows
    )
    table = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return box(table, caption)


def tabled(columns: list[Column], size: int, caption: str, file: str) -> Html:
    """The first rows of a table of this size, which the file has whole; a long one is folded."""
    more = (
        [tag("p", f"{size - MOST_ROWS:,} more rows are in {file}.", class_="note")]
        if size > MOST_ROWS
        else []
    )
    content = joined(table_of(columns, caption), *more)
    folded = tag("details", tag("summary", f"{caption}: {count(size, 'row')}"), content)
    return folded if size > OPEN_ROWS else content


def column_of(values: pd.Series, name: str) -> Column:
    """Cells of a column by what it holds: numbers aligned at the point, dates, or text."""
    heading = NAMES.get(name, name.replace("_", " "))
    values = values.infer_objects()
    if values.dtype == object and values.map(_numeric).all():
        values = values.astype(float)  # whole numbers and gaps
    if values.dtype.kind in "iuf":
        return Column(
            heading, aligned([figure_text(value, name) for value in values.astype(float)])
        )
    if values.dtype.kind == "M":
        return Column(
            heading, ["" if value != value else f"{value:%Y-%m-%d}" for value in values], "text"
        )
    texts = ["" if text is None or text != text else str(text) for text in values]
    if name == "unit":  # those that repeat the one above in pale
        above = [None, *texts[:-1]]
        texts = [
            tag("i", text) if text == last else text
            for text, last in zip(texts, above, strict=True)
        ]
    return Column(heading, texts, "text")


def _numeric(value: object) -> bool:
    return value is None or (isinstance(value, Number) and not isinstance(value, bool))


def figure_text(value: float, name: str) -> str:
    """A number as its column wants it."""
    whole = value.is_integer() and abs(value) >= 1.0
    form = next((form for end, form in FORMS.items() if name.endswith(end)), None)
    return form(value) if form else f"{value:,.0f}" if whole else number(value)


def aligned(texts: list[str]) -> list[str]:
    """Padded on the right so that the points stand below each other; those with an exponent
    stay.
    """
    after = [len(text.partition(".")[2]) for text in texts]
    most = max((n for n, text in zip(after, texts, strict=True) if "e" not in text), default=0)
    pads = [(POINT_SPACE if most and not n else "") + FIGURE_SPACE * (most - n) for n in after]
    return [text if "e" in text else text + pad for text, pad in zip(texts, pads, strict=True)]


FORMS: dict[str, Callable[[float], str]] = {
    "p_value": p_text,
    "_p": p_text,
    "t_stat": t_text,
    "z_stat": t_text,
}  # by the end of a name
NAMES = {
    "std_error": "std. error",
    "t_stat": "t",
    "p_value": "p",
    "ci_low": "interval from",
    "ci_high": "to",
}
NAMES |= {
    "n_obs": "rows",
    "f_stat": "F",
    "f_p_value": "p of F",
    "r2": "R2",
    "r2_adj": "R2 adj.",
    "aic": "AIC",
}
NAMES |= {
    "bic": "BIC",
    "r2_zero": "R2 (zero)",
    "r2_test_mean": "R2 (test mean)",
    "rmse": "RMSE",
    "mae": "MAE",
}
NAMES |= dict.fromkeys(
    [f"{name}_naive" for name in ("mape", "qlike", "correlation", "ic", "rank_ic")], "naive"
)
NAMES |= {
    "dm_p_value": "p of DM",
    "cw_p_value": "p of CW",
    "rmse_naive": "naive",
    "mae_naive": "naive",
    "hit_rate_naive": "naive",
    "vif": "largest VIF",
}


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
