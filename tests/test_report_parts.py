"""What the parts of a report say and draw: held against statsmodels, closed forms and counts by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import acf
from test_words import NINE, french

from runner.cli.composition import Composer
from runner.experiment.reading import reading
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.models.regression import Regression
from runner.record.ledger import Count, Ledger
from runner.sinks import page
from runner.sinks.drawings.analyses.classification import drawdown
from runner.sinks.drawings.fitted import autocorrelations, not_far_out
from runner.sinks.drawings.terms import correlations, t_stats
from runner.sinks.markup import column_of, figure_text

CLOSE = 1e-10  # sums of a few hundred products in another order


@pytest.fixture(scope="module")
def nine() -> Report:
    return french(NINE)


def test_four_usual_names_head_the_correlations_whole() -> None:
    names = ["mom_1m", "volume_surprise", "volatility", "beta"]
    cells = np.random.default_rng(0).normal(size=(99, 4))
    columns = SimpleNamespace(usable_rows=lambda ranks: (cells[ranks], None))
    panel = SimpleNamespace(names=names, cells=columns, usable_cells=99)
    figure = correlations(SimpleNamespace(panel=panel))  # type: ignore[arg-type]
    heads = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert heads == names


def test_autocorrelations_are_those_of_statsmodels() -> None:
    u = np.random.default_rng(0).normal(size=(200, 3)).cumsum(axis=0) * [1e-9, 1.0, 1e9]
    found = autocorrelations(u, 12)
    for i in range(3):
        assert found[:, i] == pytest.approx(acf(u[:, i], nlags=12, fft=False)[1:], rel=CLOSE)


def test_autocorrelations_with_holes_take_pairs_that_exist() -> None:
    u = np.array([[1.0], [np.nan], [-1.0], [2.0], [-2.0]])
    squares = 1.0 + 1.0 + 4.0 + 4.0
    assert autocorrelations(u, 2)[:, 0] == pytest.approx(
        [(-2.0 - 4.0) / squares, (-1.0 + 2.0) / squares], rel=CLOSE
    )


def test_drawdown_is_percent_below_the_highest_so_far() -> None:
    assert drawdown(pd.Series([1.0, 1.2, 0.9, 1.5])) == pytest.approx([0.0, 0.0, -25.0, 0.0])


def test_critical_line_is_the_quantile_of_the_interval() -> None:
    from scipy.stats import t

    figure = t_stats(french(["S1V1"]))
    rows = int(french(["S1V1"]).fit.quality["df_resid"].iloc[0])
    lines = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert sorted(lines) == pytest.approx([t.ppf(0.025, rows), t.ppf(0.975, rows)], rel=1e-8)


def test_a_run_under_way_counts_as_a_trial_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    assert ledger.count("family", begun="mine") == Count(1, 0, 0)
    ledger.begin({("mine", str(tmp_path)): "family", ("other", str(tmp_path)): "family"})
    ledger.end("other", str(tmp_path), "failed", 1.0)
    assert ledger.count("family", begun="mine") == Count(1, 1, 0)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (
            Count(1, 0, 0),
            "This is the first specification recorded for these data and this target.",
        ),
        (
            Count(3, 1, 0),
            "4 specifications are recorded for these data and this target (1 failed), this one included: the best",
        ),
        (
            Count(300, 0, 20),
            "320 specifications are recorded for these data and this target (20 abandoned)",
        ),
        (Count(300, 0, 20), "chance alone would make about 16 of them significant at 5 %"),
    ],
)
def test_the_number_of_trials_is_told(nine: Report, trials: Count, said: str) -> None:
    assert said in " ".join(reading(replace(nine, trials=trials)))
    assert "recorded for" not in " ".join(reading(nine))


def test_terms_at_zero_share_one_sentence(nine: Report) -> None:
    table = nine.fit.coefficients.assign(p_value=np.nan)
    table.loc[table["term"].isin(["SMB", "HML"]), "estimate"] = 0.0
    said = reading(replace(nine, fit=replace(nine.fit, coefficients=table)))
    assert "Set to zero: SMB, HML (2 of 4 terms)." in said
    assert not [line for line in said if line.startswith(("SMB", "HML"))]


def test_a_score_without_a_value_is_not_called_worse(nine: Report) -> None:
    said = " ".join(reading(replace(nine, scores=nine.scores.assign(r2=np.nan))))
    assert "R2 is undefined" in said and "nan" not in said


def test_numbers_among_gaps_are_written_as_numbers() -> None:
    column = column_of(pd.Series([2.4737603013116947, None, 3], dtype=object), "f_stat")
    assert column.kind == "number" and [cell.strip("\u2007\u2008") for cell in column.cells] == [
        "2.474",
        "–",
        "3",
    ]
    assert column_of(pd.Series(["a", 1.0], dtype=object), "x").kind == "text"
    dates = pd.Series([pd.Timestamp("2020-01-31"), None], dtype=object)
    assert column_of(dates, "first_date").cells == ["2020-01-31", ""]
    assert column_of(pd.Series([True, None], dtype=object), "own_row").cells == ["True", ""]
    assert (
        figure_text(3e-180, "size_p_value") == "<0.001" and figure_text(0.25, "chow_p") == "0.250"
    )


def test_the_command_leaves_out_the_directory_that_is_taken(nine: Report, tmp_path: Path) -> None:
    page.write(replace(nine, overrides=("model.cov=HC3", "hydra.run.dir=here")), tmp_path, [])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "python -m runner model.cov=HC3</pre>" in text and "hydra.run.dir" not in text


def test_a_run_predicts_nothing_that_nobody_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["data.assets=[S1V5,S5V5]", "validation=none", "report=tables"]
    with monkeypatch.context() as patch:
        patch.setattr(Regression, "predict", lambda *_: pytest.fail("nobody asked for predictions"))
        report = run(Composer().job(words).experiment)
    u = np.where(report.panel.valid, report.panel.y - report.fitted, np.nan)
    y = np.where(report.panel.valid, report.panel.y, np.nan)
    r2 = 1.0 - np.nanvar(u, axis=0) / np.nanvar(y, axis=0)
    assert r2 == pytest.approx(report.fit.quality["r2"].to_numpy(), rel=CLOSE)


def test_of_many_values_a_few_that_lie_far_out_leave_the_axes() -> None:
    values = np.random.default_rng(0).normal(size=5_000)
    assert not_far_out(values).all()
    values[[3, 70]] = 100.0, -250.0
    shown = not_far_out(values)
    assert not shown[[3, 70]].any()
    assert 1 - shown.mean() <= 0.001
    assert not_far_out(values[:1_000]).all()  # each of few points is drawn
    assert not_far_out(np.zeros(5_000)).all()
