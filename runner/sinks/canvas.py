"""What every picture is drawn on: no pyplot, no window, no state left behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Okabe and Ito (2008): told apart by all kinds of colour vision, and in grey.
BLUE, ORANGE, INK, GREY, PALE = "#0072B2", "#D55E00", "#222222", "#767676", "#D9D9D9"
DPI, WIDTH = 110, 9.0  # inches
MOST_POINTS = 4_000  # points drawn one by one; more are drawn as a density
STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "text.parse_math": False,  # names may hold dollar signs
    **{
        f"{axis}tick.{part}": colour
        for axis in "xy"
        for part, colour in (("color", GREY), ("labelcolor", INK))
    },
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
    """The look of every picture; glyphs that no font here has are drawn as boxes without a
    warning.
    """
    from matplotlib import font_manager, rc_context

    known = {font.name for font in font_manager.fontManager.ttflist}
    settings: Any = {
        **STYLE,
        "font.family": ["DejaVu Sans", *(name for name in FALLBACKS if name in known)],
    }
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure_of(height: float, title: str, note: str = "") -> Any:
    """A figure with its title, and a line below that says how to read it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = FigureCanvasAgg(Figure(figsize=(WIDTH, height), facecolor="white")).figure
    figure.text(
        0.1 / WIDTH, 1 - 0.12 / height, title, va="top", size=11.5, weight="bold", color=INK
    )
    figure.text(
        0.1 / WIDTH, 1 - 0.36 / height, shortened(note, 132), va="top", size=9.0, color="#5B646D"
    )
    return figure


def axes_at(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Axes at a place in inches from the top left corner."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    W, H = figure.get_size_inches()
    axes = figure.add_axes((left / W, 1 - (top + height) / H, width / W, height / H))
    for axis, size in ((axes.xaxis, width), (axes.yaxis, height)):
        axis.set_major_locator(MaxNLocator(nbins=max(2, min(7, int(size / 0.55))), min_n_ticks=2))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "−")))
    return axes


def shortened(name: object, most: int = 18) -> str:
    return str(name) if len(str(name)) <= most else str(name)[: most - 1] + "…"


def unit_name(name: object) -> str:
    """Of the one unit of a picture, as its title says it."""
    return "the regression" if name == "all" else shortened(name)


def zero_line(line: Callable[..., Any], limits: tuple[float, float]) -> None:
    """A line at zero where zero is in the picture anyway."""
    if limits[0] <= 0.0 <= limits[1]:
        line(0.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)


def heat_map(axes: Any, cells: Any, limit: float, note: str) -> None:
    """Cells (rows, columns) from orange below zero over white to purple above, with the scale at
    the right.
    """
    from matplotlib import colormaps

    shades = colormaps["PuOr"].with_extremes(bad=PALE)
    image = axes.imshow(
        cells, cmap=shades, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    W, H = axes.figure.get_size_inches()
    box = axes.get_position()
    left, top, tall = box.x1 * W + 0.2, (1 - box.y1) * H, min(box.height * H, 2.5)
    bar = axes.figure.colorbar(
        image, cax=axes_at(axes.figure, left, top, 0.14, tall), ticks=[-limit, 0.0, limit]
    )
    bar.outline.set_visible(False)
    bar.set_label(note)


def cloud(axes: Any, x: Any, y: Any) -> None:
    """Points, or their density where they are many (logarithmic shades)."""
    if len(x) <= MOST_POINTS:
        size, alpha = (9, 0.45) if len(x) <= 1_500 else (6, 0.3)
        axes.scatter(x, y, s=size, color=BLUE, alpha=alpha, linewidths=0)
        return
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("blues", ["#BAD6EB", "#4A97C9", "#084A92"])
    box = axes.get_window_extent()
    across = int(box.width / 5.5)
    regular = across, int(across * box.height / box.width / 3.0**0.5)
    axes.hexbin(x, y, gridsize=regular, bins="log", cmap=shades, mincnt=1, linewidths=0.1)
