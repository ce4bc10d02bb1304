"""What a picture says where a pointer rests: texts at dates, at points and in cells.

A drawing puts its texts on axes; they become places in the picture when it is saved, and the page
lays them over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.data.suspicions import stamp
from runner.sinks.canvas import DPI, shortened
from runner.sinks.drawings.dates import days_since
from runner.text import number, p_words

if TYPE_CHECKING:
    import pandas as pd

MOST_DATES = 300  # places along an axis of dates; of more dates evenly as many
MOST_PLACES = 600  # points or cells of a picture; the first of more
LONGEST = 108  # letters of a text
REACH = 7.0  # pixels around a point that find it
KEPT = "hover"  # attribute of a figure that holds what is said of it


class Place(NamedTuple):
    """A box in the picture, in pixels from its top left corner, and what it says."""

    left: float
    top: float
    width: float
    height: float
    text: str


class Drawn(NamedTuple):
    """A picture on disk.

    Attributes:
        path: of the PNG file.
        width, height: in pixels.
        places: what it says where.
    """

    path: Path
    width: float = 0.0
    height: float = 0.0
    places: Sequence[Place] = ()


class Corners(NamedTuple):
    """One corner of each box (n, 2), and what turns it into pixels of the figure."""

    points: np.ndarray
    transform: Any


class Texts(NamedTuple):
    """Texts of boxes between two corners, and by how many pixels each box is larger."""

    first: Corners
    second: Corners
    texts: Sequence[str]
    reach: float


def say_along(panels: Sequence[Any], x: Sequence[float] | np.ndarray, texts: Any) -> None:
    """A text at each x (n,), found anywhere above or below it in the panels, which share x."""
    positions = np.asarray(x, dtype=float)
    n = len(positions)
    if not n:
        return
    even = np.linspace(0, n - 1, min(n, MOST_DATES))
    rounded_down = even.astype(int)
    chosen = np.unique(rounded_down)
    at = positions[chosen]
    between = (at[1:] + at[:-1]) / 2.0
    left = np.append(at[0], between)
    right = np.append(between, at[-1])
    said = [texts[k] for k in chosen]
    bottom = np.column_stack([left, np.zeros(len(at))])
    top = np.column_stack([right, np.ones(len(at))])
    last = panels[-1]
    first = panels[0]
    in_last = last.get_xaxis_transform()
    low = Corners(bottom, in_last)
    in_first = first.get_xaxis_transform()
    high = Corners(top, in_first)
    _keep(last.figure, Texts(low, high, said, 0.5))


def say_values(panels: Sequence[Any], x: Any, dates: Any, values: Mapping[str, Any]) -> None:
    """At each x (n,) its date and the values (n,) by name, but for those that are missing."""
    numbers = {name: np.asarray(column, dtype=float) for name, column in values.items()}
    texts = []
    for k, date in enumerate(dates):
        known = {name: column[k] for name, column in numbers.items() if np.isfinite(column[k])}
        parts = [f"{name} {_figure(value)}" for name, value in known.items()]
        texts.append(f"{stamp(date)}: {', '.join(parts)}")
    say_along(panels, x, texts)


def _figure(value: float) -> str:
    """A number, whole ones without decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else number(value)


def say_wealth(panels: Sequence[Any], table: pd.DataFrame, by: str) -> None:
    """Wealth by date, on axes in days since the first: columns `by`, date and wealth."""
    wealth = table.pivot(index="date", columns=by, values="wealth")
    wealth = wealth[list(table[by].unique())]
    dates = wealth.index
    names = [str(name).replace("_", " ") for name in wealth]
    values = dict(zip(names, wealth.to_numpy(dtype=float).T, strict=True))
    say_values(panels, days_since(dates, dates[0]), dates, values)


def estimate_texts(names: Iterable[object], rows: pd.DataFrame) -> list[str]:
    """Of each row its name and its estimate with interval and p-value, where it has them."""
    texts = []
    names_of_columns = ["estimate", "ci_low", "ci_high", "p_value"]
    texts_or_numbers = rows[names_of_columns]
    columns = texts_or_numbers.astype(float)
    for name, (estimate, low, high, p) in zip(names, columns.to_numpy(), strict=True):
        text = f"{shortened(name, 40)}: {number(estimate)}"
        if np.isfinite(low):
            text += f", interval {number(low)} to {number(high)}"
        if np.isfinite(p):
            p_text = p_words(p)
            text += f", {p_text}"
        texts.append(text)
    return texts


def say_at_points(axes: Any, x: Any, y: Any, texts: Sequence[str]) -> None:
    """A text at each point (n,)."""
    points = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    centre = Corners(points[:MOST_PLACES], axes.transData)
    _keep(axes.figure, Texts(centre, centre, texts, REACH))


def say_in_cells(axes: Any, texts: Sequence[Sequence[str]]) -> None:
    """A text in each cell of a heat map, by rows; none where it is empty."""
    places = []
    said = []
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            if text:
                places.append((j, i))
                said.append(text)
    centres = np.array(places[:MOST_PLACES], dtype=float).reshape(-1, 2)
    low = Corners(centres - 0.5, axes.transData)
    high = Corners(centres + 0.5, axes.transData)
    _keep(axes.figure, Texts(low, high, said, 0.0))


def _keep(figure: Any, texts: Texts) -> None:
    """Put the texts down on the figure."""
    kept = vars(figure).setdefault(KEPT, [])
    kept.append(texts)


def saved(figure: Any, path: Path) -> Drawn:
    """The figure written to the path, with what it says where."""
    write_png(figure, path)
    width, height = figure.get_size_inches() * figure.dpi
    places: list[Place] = []
    for texts in vars(figure).get(KEPT, ()):
        places += _places(texts, height)
    return Drawn(path, width, height, places)


def write_png(figure: Any, path: Path) -> None:
    """The figure in at most 256 colours, a third of the bytes of all of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    coarse = figure.dpi
    figure.dpi = DPI
    canvas.draw()
    pixels = Image.fromarray(np.array(canvas.buffer_rgba()))
    figure.dpi = coarse
    quick = Image.Quantize.FASTOCTREE
    pixels.convert("RGB").quantize(method=quick, dither=Image.Dither.NONE).save(path)


def _places(texts: Texts, height: float) -> list[Place]:
    """The boxes in pixels from the top left corner; none of a point that is not there."""
    first = _pixels(texts.first)
    second = _pixels(texts.second)
    low = np.minimum(first, second) - texts.reach
    high = np.maximum(first, second) + texts.reach
    places = []
    for (left, bottom), (right, top), text in zip(low, high, texts.texts, strict=False):
        box = (left, height - top, right - left, top - bottom)
        if np.isfinite(box).all():
            places.append(Place(*box, shortened(text, LONGEST)))
    return places


def _pixels(corners: Corners) -> np.ndarray:
    """The corners (n, 2) in pixels from the bottom left of the figure."""
    return np.asarray(corners.transform.transform(corners.points))
