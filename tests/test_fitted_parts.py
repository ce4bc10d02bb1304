"""Pictures of a panel that is too large to be looked at as it is: by parts they show the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_over_time import drawn, lines
from test_runs_on_disk import ran, write_firms

from runner.errors import DataError
from runner.experiment.report import Report
from runner.models import study
from runner.sinks import plots
from runner.sinks.drawings import fitted

MODELS = {
    "pooled": ("model=pooled",),
    "by date": ("model=fama_macbeth",),
    "by asset": ("model=ols",),
    "ridge": ("model=ridge_pooled",),
}
CLOSE = 1e-12


@pytest.fixture(scope="module")
def firms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("firms")
    write_firms(folder)
    return folder


def report_of(folder: Path, *words: str) -> Report:
    """What a run that draws pictures draws them of."""
    seen: list[Report] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "draw", lambda report, _: seen.append(report) or [])
        ran(folder, "target=forward_return", "validation=none", *words)
    return seen[0]


def lines_of(report: Report) -> list[dict[str, np.ndarray]]:
    """Heights of the lines over time, by panel; a regression per date has none."""
    figure = drawn(report)
    return [] if figure is None else [lines(axes) for axes in figure.axes]


@pytest.mark.parametrize("on_disk", ["true", "false"])
@pytest.mark.parametrize("name", MODELS)
def test_parts_show_what_the_whole_shows(
    firms: Path, name: str, on_disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(firms)
    report = report_of(firms, *MODELS[name], f"data.on_disk={on_disk}")
    whole = np.where(report.panel.valid, report.fitted, np.nan)
    one = fitted._standardised(report)
    in_one = lines_of(report)
    monkeypatch.setattr(study, "WHOLE", 0)
    monkeypatch.setattr(study, "NUMBERS", 500)
    monkeypatch.setattr(study, "FEWEST_DATES", 7)
    together = np.full_like(whole, np.nan)
    parts = list(report.study.fitted_parts())
    assert len(parts) > 5
    for part in parts:
        values = np.where(part.panel.valid, part.values, np.nan)
        together[np.ix_(part.rows, part.assets)] = values
    np.testing.assert_array_equal(together, whole)
    assets = np.array([3, 17, 40])
    of_three = report.study.fitted_of(assets)
    three = np.where(of_three.panel.valid, of_three.values, np.nan)
    np.testing.assert_array_equal(three, whole[:, assets])
    some = fitted._standardised(report)
    assert (some.rows, some.pooled) == (one.rows, one.pooled)
    np.testing.assert_allclose(some.drawn, one.drawn, atol=CLOSE)
    np.testing.assert_allclose(some.fitted, one.fitted, atol=CLOSE)
    np.testing.assert_allclose(some.series, one.series, atol=CLOSE)
    in_parts = lines_of(report)
    assert len(in_parts) == len(in_one)
    for own, other in zip(in_parts, in_one, strict=True):
        assert own.keys() == other.keys()
        for label in own:
            np.testing.assert_allclose(own[label], other[label], atol=CLOSE)


def test_a_picture_without_room_costs_the_picture_and_not_the_run(
    firms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(_: Report) -> None:
        raise DataError("it needs every cell in memory")

    monkeypatch.setitem(plots.PICTURES, "residuals", too_large)
    done = ran(firms, "model=pooled", "target=forward_return", "validation=none")
    assert "plots.residuals: not drawn: it needs every cell in memory" in done.err
    drawn_here = {path.stem for path in (done.directory / "plots").iterdir()}
    assert "actual_fitted" in drawn_here and "residuals" not in drawn_here
