"""Pieces of a page that needs nothing else.

Texts are escaped, pictures lie inside, and all pages have one style.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from html import escape
from numbers import Number
from pathlib import Path
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
    heading, needless = _of_units(frame)
    columns = []
    for name in frame.columns.drop(needless):
        if name == "" or holds_something(frame[name]):
            column = column_of(frame[name].iloc[:MOST_ROWS], str(name))
            columns.append(column._replace(heading=heading) if name == "unit" else column)
    return tabled(columns, len(frame), caption, file)


def _of_units(frame: pd.DataFrame) -> tuple[str, list[str]]:
    """What its units are where all are of one kind, and the columns that then say nothing."""
    if not {"scope", "unit"} <= {*frame.columns}:
        return "", []
    scopes = frame["scope"].unique().tolist()
    if len(scopes) > 1:
        return "", []
    if scopes == ["pooled"]:
        return "", ["scope", "unit"]
    return str(scopes[0]), ["scope"]


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
    "r2_all_assets": "R2 (mean of all assets)",
    "rmse_all_assets": "RMSE of mean of all assets",
    "dm_stat_all_assets": "DM (mean of all assets)",
    "dm_p_value_all_assets": "p of DM (mean of all assets)",
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


STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

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
