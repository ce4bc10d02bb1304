"""Every report in a real browser, light and dark, wide and narrow: what is seen is whole, legible and harmless."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_compare import Made, grid
from test_conf import EXPERIMENTS
from test_page import NASTY, renamed
from test_ui_browser import CHROMIUM, FLAGS
from test_words import NINE, french

from runner.cli.composition import Composer
from runner.compute.cache import Bench
from runner.experiment.report import Report
from runner.sinks import canvas, plots
from runner.sinks import page as report_page
from runner.sinks.drawings import hover
from runner.sinks.job import compute
from runner.sinks.markup import STYLE
from runner.sweeps.telling.compare import compare

LEAST = 11.0  # pixels of the smallest text
MOST_BYTES = 5_000_000
WIDTHS = (1200, 400)
PAPER, PAPER_TURNED = 688, 1047  # pixels of A4 between its margins
CUT_ON_PAPER = """([wide, turned]) => [...document.querySelectorAll("table")].map((table) => {
  const room = getComputedStyle(table.parentElement).page === "wide" ? turned : wide;
  return [table.caption?.textContent, Math.round(table.getBoundingClientRect().width), room];
}).filter(([, width, room]) => width > room)"""
STOCKS = "data=simulated data.assets=12 data.rows=700"
RISK = "analyses.stability.draws=99 analyses.omitted_factor.permutations=19 analyses.risk_out_of_sample.portfolios=20"
RUNS = {  # what makes an experiment small, on data that ships
    "alpha_signals": "data=simulated data.assets=6 data.start=2019-01-01",
    "capm": "data=simulated data.assets=6 data.start=2019-01-01",
    "direction": "",
    "factor_model": f"{RISK} data.start=1980-01-01 data.assets=[S1V1,S1V5,S3V1,S3V5,S5V1,S5V5,Enrgy]",
    "factor_model_cross_section": f"{STOCKS} data.start=2015-01-01 analyses.risk_out_of_sample.portfolios=20",
    "factor_model_simulated": f"{RISK} analyses.estimation_error.draws=5",
    "factor_model_stocks": f"{RISK} {STOCKS}",
    "ff3": "",
    "ff3_vs_capm": "",
    "lasso_1se": "",
    "minute_fit": "data.assets=8 data.rows=150",
    "none": "target=excess_return validation=walk_forward validation.first=30y validation.test=9y",
    "premia": "data.start=1980-01-01",
    "quantiles": "data.assets=20",
    "sharpe": "analyses.sharpe.draws=200",
    "sparse_signals": "data.assets=4 data.rows=90",
    "vol_panel": "data.assets=16 data.rows=800",
    "vol_sizing": "data.assets=16 data.rows=800",
    "weekly_premia": "data=simulated data.assets=20 data.start=2019-01-01",
}
PICTURES = {  # beside those of every run
    "direction": {"curves", "equity", "tear_sheet_trading", "months_trading"},
    "factor_model": {"risk", "spectrum", "linearity", "rolling_loadings", "risk_out_of_sample"},
    "ff3_vs_capm": {"nested", "style_box", "performance"},
    "lasso_1se": {"path"},
    "minute_fit": {"forecast_fit"},
    "premia": {"pricing"},
    "quantiles": {
        "information",
        "regimes",
        "portfolio",
        "portfolio_wealth",
        "tear_sheet_portfolio",
        "months_portfolio",
        "by_fold",
    },
    "sharpe": {"sharpe"},
    "vol_panel": {"regimes", "target_by_group", "risk_by_group", "by_fold"},
    "vol_sizing": {"sizing_wealth", "tear_sheet_sizing", "months_sizing"},
}
SLOW = {
    "factor_model_simulated",
    "factor_model_stocks",
    "factor_model_cross_section",
    "vol_sizing",
    "sparse_signals",
}
SEEN = """() => {
  const small = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  while (texts.nextNode()) {
    const around = texts.currentNode.parentElement, size = parseFloat(getComputedStyle(around).fontSize);
    if (texts.currentNode.data.trim() && around.checkVisibility() && size < LEAST)
      small.push(`${size} px: ${texts.currentNode.data.trim().slice(0, 40)}`);
  }
  const images = [...document.images];
  const outside = [];
  for (const text of document.querySelectorAll(".hover text")) {
    const place = text.getBBox(), view = text.ownerSVGElement.viewBox.baseVal;
    if (place.x < 0 || place.y < 0 || place.x + place.width > view.width) outside.push(text.textContent);
  }
  return {
    small,
    outside: outside.slice(0, 3),
    over: document.documentElement.scrollWidth - innerWidth,
    missing: images.filter((image) => !(image.complete && image.naturalWidth)).length,
    widths: images.map((image) => image.getBoundingClientRect().width),
    dark: getComputedStyle(document.body).backgroundColor === "rgb(20, 24, 28)",
    ran: window.ran === undefined ? "" : window.ran,
  };
}""".replace("LEAST", str(LEAST))

# the least ratio of luminances of a text and its ground, by the formula of WCAG 2
PALE = r"""() => {
  const numbers = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const over = (top, below) => [0, 1, 2].map((k) => top[3] * top[k] + (1 - top[3]) * below[k]);
  const colour = (text) => { const [r, g, b, a = 1] = numbers(text); return [r, g, b, a]; };
  const linear = (value) => (value <= 10.3 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => { const [r, g, b] = rgb.map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    return over(colour(getComputedStyle(node).backgroundColor), ground(node.parentElement));
  };
  const opacity = (node) => (node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1);
  const pale = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const around = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !around.checkVisibility() || around.closest("svg")) continue;
    const ink = colour(getComputedStyle(around).color), below = ground(around);
    ink[3] *= opacity(around);
    const [dark, bright] = [light(over(ink, below)), light(below)].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < 4.5) pale.push(`${ratio.toFixed(2)}: ${texts.currentNode.data.trim().slice(0, 40)}`);
  }
  return pale.slice(0, 3);
}"""


@dataclass
class Viewer:
    """One browser for all pages."""

    browser: Any
    shots: str | None

    def check(self, path: Path, letters: dict[str, float], name: str) -> None:
        """The page at every width in both schemes; `letters` as the fixture has them."""
        wrong: list[str] = []
        page = self.browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text))
        page.on("dialog", lambda asked: (wrong.append(asked.message), asked.dismiss()))
        page.on(
            "request",
            lambda asked: wrong.extend(
                [] if asked.url.startswith(("file:", "data:")) else [asked.url]
            ),
        )
        page.goto(path.resolve().as_uri())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found, where = page.evaluate(SEEN), f"{name}, {width} px, {scheme}"
                if self.shots:
                    page.screenshot(
                        path=Path(self.shots) / f"{name}_{width}_{scheme}.png", full_page=True
                    )
                assert not wrong and not found["ran"], (where, wrong, found["ran"])
                assert not found["small"] and not found["missing"], (where, found)
                assert not found["outside"], (where, found["outside"])
                assert found["over"] <= 0, (where, found["over"])
                assert found["dark"] == (scheme == "dark"), where
                pale = page.evaluate(PALE)
                assert not pale, (where, pale)
                if width == WIDTHS[0]:
                    assert len(found["widths"]) == len(letters), where
                    assert not {
                        one
                        for one, share in letters.items()
                        if share * min(found["widths"]) < LEAST
                    }, where
        self.enlarge(page)
        self.point(page)
        self.print(page, name)
        page.close()

    def print(self, page: Any, name: str) -> None:
        """Every table is whole on paper: A4 without its margins, turned for the widest."""
        page.set_viewport_size({"width": PAPER, "height": 1000})
        page.emulate_media(media="print", color_scheme="light")
        cut = page.evaluate(CUT_ON_PAPER, [PAPER, PAPER_TURNED])
        assert not cut, (name, cut)

    def enlarge(self, page: Any) -> None:
        """A click on the first picture shows it over the whole window, a second ends that."""
        drawn = page.locator(".drawn")
        if not drawn.count():
            return
        before = drawn.first.bounding_box()["width"]
        drawn.first.click(position={"x": 9, "y": 9})
        around = page.locator("figure .scroll").first.bounding_box()
        assert (around["x"], around["y"], around["height"]) == (0, 0, 900)
        assert drawn.first.bounding_box()["width"] > max(before, 1900)
        page.keyboard.press("Space")  # the picture has the focus
        assert drawn.first.bounding_box()["width"] == before

    def point(self, page: Any) -> None:
        """The last place of the last picture that says something, with and without the pointer."""
        places = page.locator(".hover g")
        if not places.count():
            return
        visible = "text => getComputedStyle(text).visibility"
        last = places.last  # the others lie below their neighbours
        text = last.locator("text")
        assert text.evaluate(visible) == "hidden"
        last.locator("rect").hover()
        assert text.evaluate(visible) == "visible"


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    if not CHROMIUM:
        pytest.skip("no chromium on the path")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with (
        api.sync_playwright() as play,
        play.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        yield Viewer(browser, os.environ.get("RUNNER_SCREENSHOTS"))


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The smallest text of each picture as it is saved, its height as a share of the width of the picture."""
    from matplotlib.text import Text

    found: dict[str, float] = {}
    save = hover.write_png

    def watched(figure: Any, path: Path) -> None:
        save(figure, path)
        texts = [
            one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()
        ]
        found[path.stem] = min(one.get_fontsize() for one in texts) / 72.0 / figure.get_figwidth()

    monkeypatch.setattr(hover, "write_png", watched)
    return found


def luminance(rgb: tuple[int, ...]) -> float:
    """Relative luminance by the formula of WCAG 2."""
    shares = [value / 255 for value in rgb]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_inks_of_pictures_are_legible_by_day_and_at_night(viewer: Viewer, scheme: str) -> None:
    pytest.importorskip("PIL")
    from PIL import Image, ImageColor

    def seen(colour: str) -> float:
        """The luminance on the screen of a picture of one colour."""
        data = BytesIO()
        Image.new("RGB", (20, 20), ImageColor.getrgb(colour)).save(data, "PNG")
        source = b64encode(data.getvalue()).decode()
        page.set_content(f'<style>{STYLE}</style><img src="data:image/png;base64,{source}">')
        pixels = Image.open(BytesIO(page.locator("img").screenshot())).convert("RGB")
        return luminance(pixels.getpixel((10, 10)))

    page = viewer.browser.new_page(color_scheme=scheme)
    ground = seen("white")
    least = {canvas.INK: 4.5, canvas.SOFT: 4.5, canvas.GREY: 4.5, canvas.BLUE: 3, canvas.ORANGE: 3}
    for ink, ratio in least.items():
        dark, bright = sorted([seen(ink), ground])
        assert (bright + 0.05) / (dark + 0.05) >= ratio, (scheme, ink)
    page.close()


def test_every_experiment_has_its_run() -> None:
    assert sorted(RUNS) == EXPERIMENTS


@pytest.mark.browser
@pytest.mark.parametrize(
    "experiment",
    [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in EXPERIMENTS],
)
def test_report_of_an_experiment(
    experiment: str, viewer: Viewer, letters: dict[str, float], tmp_path: Path
) -> None:
    words = [f"experiment={experiment}", f"ledger={tmp_path}/ledger.db", *RUNS[experiment].split()]
    compute(Composer().job(words).experiment, tmp_path / "run", Bench())
    assert letters.keys() >= PICTURES.get(experiment, set())
    viewer.check(tmp_path / "run" / "report.html", letters, experiment)


@pytest.mark.browser
def test_report_of_a_sweep(
    viewer: Viewer, letters: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Made(tmp_path)
    compare(grid(made))
    assert letters.keys() == {"heat_map", "specification_curve_x"}
    viewer.check(made.place / "report" / "report.html", letters, "sweep")


@pytest.fixture(scope="module")
def nine() -> Report:
    return french(NINE, hypotheses=["const = 0"])


SCRIPTS = [
    *NASTY,
    "<img src=x onerror=\"window.ran='img'\">",
    "\"><svg onload=window.ran='svg'>",
    "javascript:window.ran='url'//../..\\",
]


@pytest.mark.browser
def test_names_run_nothing(
    nine: Report, viewer: Viewer, letters: dict[str, float], tmp_path: Path
) -> None:
    report = renamed(nine, dict(zip(NINE, SCRIPTS, strict=True)))
    report = replace(report, name=f"{SCRIPTS[-3]}</title><script>window.ran='name'</script>")
    report_page.write(report, tmp_path, plots.draw(report, tmp_path))
    viewer.check(tmp_path / "report.html", letters, "names")


@pytest.mark.browser
def test_report_with_holes(
    nine: Report, viewer: Viewer, letters: dict[str, float], tmp_path: Path
) -> None:
    """A unit without estimates, scores that are not numbers, one of the diagnostics without a value."""
    quality, scores, table = nine.fit.quality.copy(), nine.scores.copy(), nine.fit.coefficients
    quality.loc[0, ["r2", "r2_adj", "reason"]] = [np.nan, np.nan, "3 rows for 4 terms"]
    scores[["r2", "rmse", "dm_p_value"]] = np.nan
    fit = replace(nine.fit, quality=quality, coefficients=table[table["unit"] != NINE[0]])
    report = replace(
        nine, fit=fit, scores=scores, diagnostics=nine.diagnostics.assign(p_value=np.nan)
    )
    report_page.write(report, tmp_path, plots.draw(report, tmp_path))
    text = re.sub('src="[^"]*"', "", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "3 rows for 4 terms" in text and not re.search("nan", text, re.IGNORECASE)
    viewer.check(tmp_path / "report.html", letters, "holes")


@pytest.mark.browser
def test_report_of_two_thousand_assets(
    viewer: Viewer, letters: dict[str, float], tmp_path: Path
) -> None:
    words = "experiment=capm data=simulated data.assets=2000 data.start=2025-01-01 validation=none"
    experiment = (
        Composer().job([*words.split(), f"ledger={tmp_path}/ledger.db", "audit=off"]).experiment
    )
    compute(experiment, tmp_path / "run", Bench())
    assert (tmp_path / "run" / "report.html").stat().st_size < MOST_BYTES
    viewer.check(tmp_path / "run" / "report.html", letters, "large")
