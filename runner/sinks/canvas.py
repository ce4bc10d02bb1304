"""What every picture is drawn on: no pyplot, no window, no state left behind."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Okabe and Ito (2008): told apart by all kinds of colour vision, and in grey.
BLUE, ORANGE, INK, GREY, PALE = "#0072B2", "#D55E00", "#222222", "#767676", "#D9D9D9"
DPI, WIDTH = 110, 9.0  # inches
STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "text.parse_math": False,  # names may hold dollar signs
    **{f"{axis}tick.{part}": colour for axis in "xy" for part, colour in (("color", GREY), ("labelcolor", INK))},
}
FALLBACKS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Sans", "Arial Unicode MS", "SimHei")


@contextmanager
def style() -> Iterator[None]:
    """The look of every picture; glyphs that no font here has are drawn as boxes without a warning."""
    from matplotlib import font_manager, rc_context

    known = {font.name for font in font_manager.fontManager.ttflist}
    settings: Any = {**STYLE, "font.family": ["DejaVu Sans", *(name for name in FALLBACKS if name in known)]}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure_of(height: float, title: str, note: str = "") -> Any:
    """A figure with its title, and a line below that says how to read it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = FigureCanvasAgg(Figure(figsize=(WIDTH, height), facecolor="white")).figure
    figure.text(0.1 / WIDTH, 1 - 0.12 / height, title, va="top", size=11.5, weight="bold", color=INK)
    figure.text(0.1 / WIDTH, 1 - 0.36 / height, shortened(note, 132), va="top", size=9.0, color="#5B646D")
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


def zero_line(line: Callable[..., Any], limits: tuple[float, float]) -> None:
    """A line at zero where zero is in the picture anyway."""
    if limits[0] <= 0.0 <= limits[1]:
        line(0.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
