"""What every picture is drawn on: no pyplot, no window, no state left behind."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runner.text import shown

# Okabe and Ito (2008): told apart by all kinds of colour vision, and in grey.
BLUE = "#0072B2"
ORANGE = "#D55E00"
INK = "#222222"
GREY = "#767676"
PALE = "#D9D9D9"
SOFT = "#5B646D"  # of notes
DPI = 220  # sharp on the page at twice the size
WIDTH = 9.0  # inches
RIGHT = 0.25  # inches right of axes that go all across
LETTER = 0.078  # inches of a letter of a label
DASHED = (0, (4, 3))
NORMAL_95 = 1.96  # quantile of a normal, of two-sided 95 % intervals
AXIS_LINE: Any = {"color": INK, "linewidth": 0.8}
BASE_LINE: Any = {"color": GREY, "linewidth": 0.6}  # at a level to compare with
MOST_NOTE = 132  # characters of the line below a title
FEW_POINTS = 1_500  # points drawn large
MOST_POINTS = 4_000  # points drawn one by one; more are drawn as a density
STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "text.parse_math": False,  # names may hold dollar signs
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
}
FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Noto Sans",
    "Arial Unicode MS",
    "SimHei",
)


@contextmanager
def style() -> Iterator[None]:
    """The look of every picture; glyphs that no font here has are boxes, without a warning."""
    from matplotlib import font_manager, rc_context

    known = {font.name for font in font_manager.fontManager.ttflist}
    fallbacks = [name for name in FALLBACKS if name in known]
    settings: Any = {**STYLE, "font.family": ["DejaVu Sans", *fallbacks]}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure_of(height: float, title: str, note: str = "") -> Any:
    """A figure with its title, and a line below that says how to read it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = FigureCanvasAgg(Figure(figsize=(WIDTH, height), facecolor="white"))
    figure = canvas.figure
    left = 0.1 / WIDTH
    below = 1 - 0.36 / height
    figure.text(left, 1 - 0.12 / height, title, va="top", size=11.5, weight="bold", color=INK)
    shown_note = shortened(note, MOST_NOTE)
    figure.text(left, below, shown_note, va="top", size=9.0, color=SOFT)
    return figure


def axes_at(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Axes at a place in inches from the top left corner."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    W, H = figure.get_size_inches()
    axes = figure.add_axes((left / W, 1 - (top + height) / H, width / W, height / H))
    for axis, size in ((axes.xaxis, width), (axes.yaxis, height)):
        fitting = int(size / 0.55)
        most = min(7, fitting)
        bins = max(2, most)
        locator = MaxNLocator(nbins=bins, min_n_ticks=2)
        axis.set_major_locator(locator)
        axis.set_major_formatter(FuncFormatter(_tick_text))
    return axes


def axes_across(figure: Any, top: float, height: float, left: float = 0.75) -> Any:
    """Axes up to the right margin, at a place in inches from the top left corner."""
    return axes_at(figure, left, top, WIDTH - left - RIGHT, height)


def _tick_text(value: float, _: int) -> str:
    """A number at a tick, with a minus as long as a plus."""
    written = f"{value:.6g}"
    return written.replace("-", "−")


def shortened(name: object, most: int = 18) -> str:
    """The name, cut at its end where it is longer than that."""
    text = shown(name)
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    return kept + "…"


def labels_of(names: Iterable[object], most: int = 18) -> list[str]:
    """The names, each cut at its end where it is longer than that."""
    return [shortened(name, most) for name in names]


def longest(labels: Iterable[str]) -> int:
    """Letters of the longest label; 0 without labels."""
    return max((len(label) for label in labels), default=0)


def unit_name(name: object) -> str:
    """Of the one unit of a picture, as its title says it."""
    return "the regression" if name == "all" else shortened(name)


def zero_line(axes: Any, axis: str) -> None:
    """A line at zero of this axis ("x" or "y") where zero is in the picture anyway."""
    if axis == "x":
        low, high = axes.get_xlim()
        draw = axes.axvline
    else:
        low, high = axes.get_ylim()
        draw = axes.axhline
    if low <= 0.0 <= high:
        draw(0.0, linestyle=DASHED, zorder=1, **AXIS_LINE)


def hide_left_axis(axes: Any) -> None:
    """Neither line nor ticks at the left, where rows have their names."""
    axes.tick_params(axis="y", length=0)
    line = axes.spines["left"]
    line.set_visible(False)


def legend_above(axes: Any, columns: int, side: str = "left", **more: Any) -> None:
    """A legend in so many columns right above the axes, at their left or right end."""
    end = 0.0 if side == "left" else 1.0
    axes.legend(
        frameon=False, loc=f"lower {side}", bbox_to_anchor=(end, 0.99), ncols=columns, **more
    )


def label_room(labels: Iterable[str], margin: float) -> float:
    """Inches that labels need at the left of the axes, with a margin in inches."""
    letters = longest(labels)
    return margin + LETTER * letters


def shaded(axes: Any, cells: Any, limit: float) -> Any:
    """Cells (rows, columns) from orange at -`limit` over white to purple at `limit`."""
    from matplotlib import colormaps

    shades = colormaps["PuOr"].with_extremes(bad=PALE)
    image = axes.imshow(
        cells, cmap=shades, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return image


def heat_map(axes: Any, cells: Any, limit: float, note: str) -> None:
    """Shaded cells (rows, columns) with their scale at the right."""
    image = shaded(axes, cells, limit)
    W, H = axes.figure.get_size_inches()
    box = axes.get_position()
    right_of_box = box.x1 * W
    left = right_of_box + 0.2
    above_box = 1 - box.y1
    top = above_box * H
    tall_of_box = box.height * H
    tall = min(tall_of_box, 2.5)
    scale = axes_at(axes.figure, left, top, 0.14, tall)
    bar = axes.figure.colorbar(image, cax=scale, ticks=[-limit, 0.0, limit])
    bar.outline.set_visible(False)
    bar.set_label(note)


def log_y(axes: Any, *values: Any) -> None:
    """A logarithmic axis of these series with ticks at 1, 2 and 5 times the powers of ten."""
    import numpy as np

    low = min(series.min() for series in values)
    high = max(series.max() for series in values)
    power = np.log10(low)
    below = np.floor(power)
    first = below - 1
    power_of_high = np.log10(high)
    above = np.ceil(power_of_high)
    last = above + 1
    powers = 10.0 ** np.arange(first, last)
    ticks = np.concatenate([powers, 2.0 * powers, 5.0 * powers])
    ticks = np.sort(ticks)
    axes.set_yscale("log")
    bottom = low / 1.15
    top = high * 1.15
    axes.set_ylim(bottom, top)
    inside = (ticks >= bottom) & (ticks <= top)
    ticks = ticks[inside]
    names = [f"{tick:g}" for tick in ticks]
    axes.set_yticks(ticks, names)
    axes.minorticks_off()


def cloud(axes: Any, x: Any, y: Any) -> None:
    """Points, or their density where they are many (logarithmic shades)."""
    if len(x) <= FEW_POINTS:
        axes.scatter(x, y, s=9, color=BLUE, alpha=0.45, linewidths=0)
        return
    if len(x) <= MOST_POINTS:
        axes.scatter(x, y, s=6, color=BLUE, alpha=0.3, linewidths=0)
        return
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("blues", ["#BAD6EB", "#4A97C9", "#084A92"])
    box = axes.get_window_extent()
    hexagons = box.width / 5.5
    across = int(hexagons)
    down = int(across * box.height / box.width / 3.0**0.5)  # hexagons with equal sides
    grid = (across, down)
    axes.hexbin(x, y, gridsize=grid, bins="log", cmap=shades, mincnt=1, linewidths=0.1)
