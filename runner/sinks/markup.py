"""Pieces of a page that needs nothing else.

Texts are escaped, pictures lie inside, and all pages have one style.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from html import escape
from numbers import Number
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import east_asian_width

from runner.record.secrets import without_values
from runner.text import count, number, p_text, t_text

if TYPE_CHECKING:
    import pandas as pd

    from runner.sinks.drawings.hover import Drawn, Place

MOST_ROWS = 150  # of a table shown; the rest is in its CSV file
HOVER_WIDTH = 900  # of a picture, in the unit of the texts over it
LETTER, LINE, MARGIN = 9.0, 16, 8  # of such a text: width of a digit, height, distance to edges
OPEN_ROWS = 40  # longer tables are folded
LONG = 48  # letters of a text that goes on in the next line of its cell
TIGHT = (" %", " = ", " < ", "(t ")  # signs that no line ends at
FIGURE_SPACE = "\u2007"  # as wide as a digit
POINT_SPACE = "\u2008"  # as wide as a point
# letters that would turn the direction of the text around
TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")


class Html(str):
    """Text that is HTML already; everything else is escaped on its way into the page."""


ZOOM = Html('<input type="checkbox" class="zoom" aria-label="Enlarge the picture">')


class Column(NamedTuple):
    """A column of a table: its heading, its cells, and how they are aligned (number or text)."""

    heading: str
    cells: list[str]
    kind: str = "number"


def joined(*parts: str) -> Html:
    """The parts one after the other, each escaped unless it is HTML already."""
    return Html("".join(_safe(part) for part in parts))


def _safe(part: str) -> str:
    """The part as HTML."""
    if isinstance(part, Html):
        return part
    return escape(part).translate(TURNING)


def tag(name: str, *content: str, **attributes: str) -> Html:
    """An element; an attribute such as `class_` or `aria_label` gets its name in HTML."""
    given = ""
    for key, text in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        given += f' {attribute}="{escape(text)}"'
    return Html(f"<{name}{given}>{joined(*content)}</{name}>")


def box(content: Html, label: str) -> Html:
    """Something wide, in a box that scrolls by itself."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def pairs_of(pairs: Iterable[tuple[str, Iterable[str]]], kind: str) -> Html:
    """Names on the left, what belongs to each on the right."""
    rows = [tag("div", tag("dt", name), tag("dd", *content)) for name, content in pairs]
    return tag("dl", *rows, class_=kind)


def tiles_of(tiles: Iterable[tuple[str, str]]) -> Html:
    """Numbers that most readers look for first, each with its label."""
    boxes = [tag("div", tag("b", number), tag("span", label)) for label, number in tiles]
    return tag("div", *boxes, class_="tiles")


def paragraphs(sentences: Iterable[str]) -> list[Html]:
    """A paragraph each."""
    return [tag("p", unbroken(sentence)) for sentence in sentences]


def picture(drawn: Drawn, caption: str = "") -> Html:
    """A PNG file inside the page, under what it says where a pointer rests.

    A click opens it at twice the size, another closes it; that needs no script.
    """
    stem = drawn.path.stem
    alternative = caption or stem.replace("_", " ")
    encoded = b64encode(drawn.path.read_bytes()).decode("ascii")
    image = Html(f'<img src="data:image/png;base64,{encoded}" alt="{escape(alternative)}">')
    layers = tag("label", ZOOM, image, _places(drawn), class_="drawn")
    content = box(layers, stem)
    if not caption:
        return tag("figure", content)
    return tag("figure", content, tag("figcaption", caption))


def _places(drawn: Drawn) -> Html:
    """The places of a picture, each with its text; nothing where it says nothing."""
    if not drawn.places:
        return Html()
    scale = HOVER_WIDTH / drawn.width
    height = scale * drawn.height
    places = [_place(place, scale) for place in drawn.places]
    view = f"0 0 {HOVER_WIDTH} {height:.1f}"
    return Html(f'<svg class="hover" aria-hidden="true" viewBox="{view}">{"".join(places)}</svg>')


def _place(place: Place, scale: float) -> str:
    """A box, and above it its text, which begins and ends within the picture."""
    left, top, width, height = (scale * side for side in place[:4])
    middle = left + width / 2.0
    room = LETTER * _letters(place.text) / 2.0 + MARGIN
    x, anchor = middle, "middle"
    if middle < room:
        x, anchor = MARGIN, "start"
    elif middle > HOVER_WIDTH - room:
        x, anchor = HOVER_WIDTH - MARGIN, "end"
    y = max(LINE, top - MARGIN)
    area = f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    at = f'x="{x:.0f}" y="{y:.0f}" class="{anchor}"'
    return f"<g>{area}<text {at}>{joined(place.text)}</text></g>"


def _letters(text: str) -> int:
    """Letters of the text, those of East Asian scripts as two."""
    wide = [letter for letter in text if east_asian_width(letter) in "WF"]
    return len(text) + len(wide)


def page_of(title: str, head: Html, sections: Iterable[tuple[str, Html]]) -> str:
    """The whole page: its contents as links, its head, and its sections, which fold.

    Args:
        sections: heading and content of each; one without content is left out.
    """
    links = []
    parts: list[Html] = []
    for heading, content in sections:
        if not content:
            continue
        anchor = f"s{len(parts) + 1}"
        links.append(tag("li", tag("a", heading, href=f"#{anchor}")))
        summary = tag("summary", tag("h2", heading))
        folding = Html(f"<details open>{joined(summary, content)}</details>")
        parts.append(tag("section", folding, id=anchor))
    contents = tag("nav", tag("ol", *links), aria_label="Contents")
    body = joined(contents, tag("main", head, *parts))
    whole = f"{title}: factor regression"
    return without_values(PAGE.format(title=escape(whole), style=STYLE, body=body))


def unbroken(sentence: str) -> str:
    """A number stays on the line of its name, sign or unit, as in p = 0.433 or 5 %."""
    for sign in TIGHT:
        sentence = sentence.replace(sign, sign.replace(" ", "\u00a0"))
    return sentence


def framed(frame: pd.DataFrame, caption: str, file: str) -> Html:
    """A frame as it is, with the columns that hold something; long ones folded, and cut."""
    if frame.empty:
        return Html()
    names = [name for name in frame if name == "" or holds_something(frame[name])]
    columns = [column_of(frame[name].iloc[:MOST_ROWS], str(name)) for name in names]
    return tabled(columns, len(frame), caption, file)


def holds_something(values: pd.Series) -> bool:
    """Whether some value is neither missing nor empty."""
    return bool((values.notna() & (values.astype(str) != "")).any())


def table_of(columns: list[Column], caption: str) -> Html:
    """The columns beside each other, in a box of their own."""
    headings = []
    cells = []
    for column in columns:
        headings.append(tag("th", column.heading, scope="col", class_=column.kind))
        kind = column.kind
        if max((len(text) for text in column.cells), default=0) > LONG and kind == "text":
            kind = "text long"
        cells.append([tag("td", text, class_=kind) for text in column.cells])
    head = tag("thead", tag("tr", *headings))
    body = tag("tbody", *(tag("tr", *row) for row in zip(*cells, strict=True)))
    table = tag("table", tag("caption", caption), head, body)
    return box(table, caption)


def tabled(columns: list[Column], size: int, caption: str, file: str) -> Html:
    """The first rows of a table of this size, which the file has whole; a long one is folded."""
    content = table_of(columns, caption)
    if size > MOST_ROWS:
        rest = tag("p", f"{size - MOST_ROWS:,} more rows are in {file}.", class_="note")
        content = joined(content, rest)
    if size <= OPEN_ROWS:
        return content
    return tag("details", tag("summary", f"{caption}: {count(size, 'row')}"), content)


def column_of(values: pd.Series, name: str) -> Column:
    """Cells of a column by what it holds: numbers aligned at the point, dates, or text."""
    heading = NAMES.get(name, name.replace("_", " "))
    values = values.infer_objects()
    if values.dtype == object and values.map(_numeric).all():
        values = values.astype(float)  # whole numbers and gaps
    if values.dtype.kind in "iuf":
        figures = [figure_text(value, name) for value in values.astype(float)]
        return Column(heading, aligned(figures))
    if values.dtype.kind == "M":
        dates = ["" if _missing(date) else f"{date:%Y-%m-%d}" for date in values]
        return Column(heading, dates, "text")
    texts = ["" if _missing(text) else str(text) for text in values]
    if name == "unit":
        texts = _repeats_in_pale(texts)
    return Column(heading, texts, "text")


def _missing(value: Any) -> bool:
    """Whether the value is None or not a number (or time), which differs from itself."""
    return value is None or value != value


def _repeats_in_pale(texts: Sequence[str]) -> list[str]:
    """The texts, those that repeat the one above marked as such."""
    marked = []
    above = None
    for text in texts:
        marked.append(tag("i", text) if text == above else text)
        above = text
    return marked


def _numeric(value: object) -> bool:
    """Whether the value is a number or a gap."""
    if value is None:
        return True
    return isinstance(value, Number) and not isinstance(value, bool)


def figure_text(value: float, name: str) -> str:
    """A number as its column wants it."""
    for ending, form in FORMS.items():
        if name.endswith(ending):
            return form(value)
    if value.is_integer() and abs(value) >= 1.0:
        return f"{value:,.0f}"
    return number(value)


def aligned(texts: list[str]) -> list[str]:
    """Padded on the right so that points stand below each other; texts with an exponent stay."""
    plain = [text for text in texts if "e" not in text]
    most = max((_decimals(text) for text in plain), default=0)
    return [text if "e" in text else text + _padding(_decimals(text), most) for text in texts]


def _decimals(text: str) -> int:
    """Digits after the point."""
    return len(text.partition(".")[2])


def _padding(decimals: int, most: int) -> str:
    """As wide as the digits, and the point, that a number with fewer decimals lacks."""
    point = POINT_SPACE if most and not decimals else ""
    return point + FIGURE_SPACE * (most - decimals)


# by the end of a name
FORMS: dict[str, Callable[[float], str]] = {
    "p_value": p_text,
    "_p": p_text,
    "t_stat": t_text,
    "z_stat": t_text,
}
NAMES = {
    "std_error": "std. error",
    "t_stat": "t",
    "p_value": "p",
    "ci_low": "interval from",
    "ci_high": "to",
    "n_obs": "rows",
    "f_stat": "F",
    "f_p_value": "p of F",
    "r2": "R2",
    "r2_adj": "R2 adj.",
    "aic": "AIC",
    "bic": "BIC",
    "r2_zero": "R2 (zero)",
    "r2_test_mean": "R2 (test mean)",
    "rmse": "RMSE",
    "mae": "MAE",
    "mape_naive": "naive",
    "qlike_naive": "naive",
    "correlation_naive": "naive",
    "ic_naive": "naive",
    "rank_ic_naive": "naive",
    "dm_p_value": "p of DM",
    "cw_p_value": "p of CW",
    "rmse_naive": "naive",
    "mae_naive": "naive",
    "hit_rate_naive": "naive",
    "vif": "largest VIF",
    "df_resid": "df",
    "r2_within": "R2 within",
    "residual_std": "residual s.d.",
    "t_stat_nw": "t (Newey-West)",
    "mean_annual": "mean a year",
    "mean_net_annual": "mean a year, net",
    "volatility_annual": "volatility a year",
    "sharpe": "Sharpe",
    "sharpe_net": "Sharpe, net",
    "mape": "MAPE",
    "qlike": "QLIKE",
    "dm_stat": "DM",
    "cw_stat": "CW",
    "ic": "IC",
    "ic_ratio": "IC ratio",
    "ic_t": "t of IC",
    "ic_t_nw": "(Newey-West)",
    "ic_p_value": "p of IC",
    "ic_dates": "dates of IC",
    "rank_ic": "rank IC",
    "rank_ic_ratio": "rank IC ratio",
    "rank_ic_t": "t of rank IC",
    "rank_ic_t_nw": "(Newey-West)",
    "rank_ic_p_value": "p of rank IC",
}


STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5b646d;--line:#dfe3e8;--paper:#fff;
--card:#f5f7f9;--link:#0060a0;--edge:rgba(0,0,0,.22);--bad:#a33b00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a4adb6;--line:#343b43;--paper:#14181c;
--card:#1d2329;--edge:rgba(255,255,255,.28);--link:#6cb8f0;--bad:#ff9a62}}
*{box-sizing:border-box} h1,p,dd,td{unicode-bidi:isolate} pre{background:var(--card);padding:12px;
margin:4px 0}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:28px 20px 60px} .scroll{overflow-x:auto}
nav{font-size:13px;line-height:1.3;padding:10px 20px;border-bottom:1px solid var(--line)}
nav ol{list-style:none;margin:0 auto;padding:0;max-width:1020px;display:flex;flex-wrap:wrap;
gap:4px 16px}
a{color:var(--link)} nav a{text-decoration:none} nav a:hover{text-decoration:underline}
section{scroll-margin-top:8px}
section>details>summary{color:var(--ink);list-style-position:outside;padding:0}
section>details>summary h2{display:inline-block}
section>details>summary{margin:22px 0 8px;padding-top:12px;border-top:1px solid var(--line)}
@media(min-width:1340px){body{display:grid;grid-template-columns:200px minmax(0,1060px);
justify-content:center;gap:0 30px}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow-y:auto;border:0;
padding:36px 0 20px}
nav ol{display:block} nav li{padding:4px 0} main{margin:0;width:100%}}
h1{font-size:26px;line-height:1.25;margin:0 0 16px;overflow-wrap:anywhere}
h2{font-size:18px;margin:0}
.badge{display:inline-block;vertical-align:middle;font-size:13px;padding:1px 10px;
border-radius:99px;border:1px solid currentColor;color:var(--link)}
.badge.predictive{color:var(--bad)}
.badge.leaking{color:#fff;background:#c00000;border-color:#c00000}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px;
margin:0 0 18px}
.tiles div{background:var(--card);border-radius:8px;padding:10px 14px}
.tiles b,.tiles span{display:block}
.tiles b{font-size:22px} .tiles span{color:var(--soft);font-size:12.5px;line-height:1.35}
.answer{font-size:17px;margin:0 0 18px;max-width:75ch}
dl{margin:0} dl>div{display:grid;grid-template-columns:150px minmax(0,1fr);gap:2px 16px;
padding:4px 0}
dt{color:var(--soft)} dd{margin:0;overflow-wrap:anywhere} .reading p{margin:0 0 5px;max-width:75ch}
.reading>div{padding:8px 0} .reading>div+div{border-top:1px solid var(--line)}
.reading dt{font-weight:600}
table{border-collapse:collapse;font-size:13px;line-height:1.35;font-variant-numeric:tabular-nums;
margin:4px 0}
th,td{padding:4px 12px 4px 0;white-space:pre;text-align:right;border-bottom:1px solid var(--line)}
th{color:var(--soft);border-bottom:1.5px solid var(--soft)} .text,caption{text-align:left}
td i{font-style:normal;color:var(--soft)} td b{color:var(--bad)}
td.long{white-space:normal;min-width:28ch;max-width:64ch}
td.text b{color:var(--ink)}
caption,summary{font-weight:600;padding:8px 0 6px} summary{cursor:pointer;color:var(--link)}
.paper{min-width:min(340px,100%);border-top:2px solid var(--ink);border-bottom:2px solid var(--ink)}
.paper caption{white-space:normal}
.paper th,.paper td{border:0;text-align:center;padding:3px 14px;color:var(--ink);font-weight:400}
.paper th[scope=row],.paper th[scope=rowgroup],.paper td:first-child{text-align:left;padding-left:0}
.paper th[scope=row]{position:sticky;left:0;background:var(--paper)}
.paper td:last-child{padding-right:22px}
.paper thead tr:last-child>*{border-bottom:1px solid var(--ink)}
.paper .estimate>*{padding-top:8px;padding-bottom:0} .paper .bracket>*{padding-top:0}
.paper .panel>*{font-style:italic;padding-top:10px;border-bottom:1px solid var(--line)}
.paper :not(.foot)+.foot>*{border-top:1px solid var(--ink);padding-top:6px}
.paper sup{display:inline-block;width:0;line-height:0;font-size:11px}
@media screen{.scroll:has(>table){background:
linear-gradient(to right,var(--paper) 50%,transparent) 0/44px 100% no-repeat local,
linear-gradient(to left,var(--paper) 50%,transparent) 100%/44px 100% no-repeat local,
linear-gradient(to right,var(--edge),transparent) 0/16px 100% no-repeat,
linear-gradient(to left,var(--edge),transparent) 100%/16px 100% no-repeat}}
figure:has(.drawn)::before{content:"click to enlarge";
display:block;text-align:right;font-size:12px;color:var(--soft)}
@media(max-width:680px){figure:has(.drawn)::before{content:"tap to enlarge, swipe →"}}
.note,figcaption{color:var(--soft);font-size:13px;margin:4px 0 14px} figure{margin:10px 0 18px}
figure .scroll{background:#fff;border:1px solid var(--line);border-radius:8px;padding:6px}
img{display:block;width:100%} .drawn{display:block;position:relative;min-width:620px;cursor:zoom-in}
.zoom{position:absolute;z-index:1;opacity:0}
.drawn:has(.zoom:focus-visible){outline:2px solid var(--link)}
@media screen{figure .scroll:has(.zoom:checked){position:fixed;inset:0;z-index:2;border:0;
border-radius:0;overflow:auto;padding:12px}
.drawn:has(.zoom:checked){width:1980px;margin:auto;cursor:zoom-out}
.drawn:has(.zoom:checked)::after{content:"click to close";position:fixed;top:4px;right:20px;
padding:3px 10px;border-radius:8px;background:var(--card);color:var(--ink);font-size:13px}
body:has(.zoom:checked){overflow:hidden}}
.hover{position:absolute;inset:0;width:100%;height:100%;pointer-events:none}
.hover rect{fill:transparent;pointer-events:all} .hover g:hover rect{fill:var(--soft);opacity:.22}
.hover text{visibility:hidden;pointer-events:none;font-size:14px;fill:var(--ink);
stroke:var(--paper);stroke-width:16px;stroke-linejoin:round;paint-order:stroke}
.hover g:hover text{visibility:visible} .middle{text-anchor:middle} .end{text-anchor:end}
@media screen and (prefers-color-scheme:dark){figure .scroll{background:#14181c}
img{filter:invert(.92) hue-rotate(180deg)}}
@media(min-width:900px){.facts{columns:2;column-gap:32px} .facts>div{break-inside:avoid;
grid-template-columns:100px minmax(0,1fr)}}
code,pre{font:13px/1.45 ui-monospace,Consolas,monospace}
@media(max-width:600px){main{padding:18px 14px 40px} dl>div{grid-template-columns:minmax(0,1fr)}
section>details>summary{list-style-position:inside}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;
--card:#f5f7f9;--link:#0060a0}
nav{display:none} body{display:block} main{max-width:none;padding:0}
figure,tr,.tiles{break-inside:avoid} h2{break-after:avoid}
.scroll{overflow:visible}
.drawn{min-width:0} .hover,figure:has(.drawn)::before{display:none} table{font-size:10px}
th,td{padding-right:5px;white-space:normal} pre{white-space:pre-wrap;overflow-wrap:anywhere}}
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style>
</head><body>
{body}
</body></html>
"""
