"""The jobs of a sweep beside each other: the numbers are the jobs' own, whatever they are called and however many."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from test_page import NASTY, checked

from runner import text
from runner.__main__ import main
from runner.compute.cache import Bench
from runner.errors import SpecError
from runner.record.rundir import RunDirectory
from runner.schema.regression_table import TableSettings
from runner.sweeps.comparison.by_unit import by_unit
from runner.sweeps.comparison.choices import choices, short_names, shown
from runner.sweeps.comparison.comparison import COEFFICIENTS, compared
from runner.sweeps.comparison.ranked import Outcome
from runner.sweeps.comparison.texts import value_texts
from runner.sweeps.plan import Failure, Job, Plan, find, read
from runner.sweeps.settings import Sweep
from runner.sweeps.telling.answer import best_of
from runner.sweeps.telling.compare import compare
from runner.sweeps.telling.page import Verdict
from runner.sweeps.telling.standings import standings

MOST_BYTES = 5_000_000
KEYS = {
    "model": {"cov": "HC1", "lags": 3},
    "validation": {"lags": 3},
    "data": {"assets": ["A", "B"]},
}


def spec_of(**dotted: Any) -> dict[str, Any]:
    """A small spec with these settings, `__` for a dot."""
    spec = json.loads(json.dumps(KEYS))
    for key, value in dotted.items():
        node, *rest = key.split("__")
        if rest:
            spec[node][rest[0]] = value
        else:
            spec[node] = value
    return spec


def coefficient(term: str, estimate: float, error: float = 0.5, **more: Any) -> dict[str, Any]:
    t = estimate / error
    interval = {"ci_low": estimate - 2 * error, "ci_high": estimate + 2 * error}
    row = {
        "scope": "asset",
        "unit": "A",
        "term": term,
        "estimate": estimate,
        "std_error": error,
        "t_stat": t,
    }
    return {
        **row,
        "p_value": 0.001 if abs(t) > 3 else 0.03 if abs(t) > 2 else 0.6,
        **interval,
        **more,
    }


class Made:
    """A sweep written by hand: plan, run directories, failures."""

    def __init__(self, folder: Path, name: str = "made") -> None:
        self.place, self.jobs, self.settings = (
            folder / "outputs" / "sweeps" / name,
            list[Job](),
            dict[str, Any](),
        )

    def job(
        self,
        spec: Mapping[str, Any],
        metrics: Mapping[str, float] | None,
        rows: Sequence[Mapping[str, Any]] = (),
        differs: Sequence[str] = (),
        **about: Any,
    ) -> None:
        """A job, finished where it has metrics."""
        number = len(self.jobs)
        key = f"key{number}"
        self.jobs.append(
            Job(number, tuple(differs), tuple(differs), spec, "f", key, about.pop("family", "one"))
        )
        if metrics is not None:
            path = self.place / str(number)
            path.mkdir(parents=True)
            told = {
                "name": "x",
                "source": "s",
                "fingerprint": "f",
                "code": "c",
                "kind": "predictive",
                "leaks": [],
            }
            told |= {"job": key, "errors": "HC1, t(n-k)", **about}
            (path / "run.json").write_text(json.dumps(told))
            (path / "metrics.json").write_text(json.dumps(metrics))
            table = pd.DataFrame(rows, columns=["scope", "unit", "term", *COEFFICIENTS])
            table.to_csv(path / "coefficients.csv", index=False, float_format="%.17g")

    def plan(self) -> Plan:
        words = ("a=1,2",)
        where: Any = {
            "tracking": {"uri": None},
            "ledger": str(self.place.parent / "ledger.db"),
            "code": "code",
        }
        plan = Plan(
            self.place,
            Sweep(**self.settings),
            (None, None, None),
            words,
            (),
            (),
            tuple(self.jobs),
            **where,
        )
        plan.write()
        return plan


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.chdir(tmp_path)
    return Made(tmp_path)


def grid(made: Made) -> Plan:
    """cov x lags, four jobs; the last one failed and one more was not run."""
    for at, (cov, lags) in enumerate([("HC0", 2), ("HC0", 10), ("HAC", 2), ("HAC", 10)]):
        metrics = {
            "oos/r2": [0.1, 0.4, 0.3, 0.2][at],
            "oos/rmse": 1.0 + at,
            "fit/r2": 0.5,
            "fit/n_obs": 90.0 + at,
        }
        rows = [coefficient("const", 0.1), coefficient("x", [1.2, -0.2, 2.0, 0.9][at])]
        said = [f"model.cov={cov}", f"model.lags={lags}"]
        made.job(spec_of(model__cov=cov, model__lags=lags), metrics if at < 3 else None, rows, said)
    made.job(spec_of(model__cov="HC3", model__lags=2), None, (), ["model.cov=HC3", "model.lags=2"])
    plan = made.plan()
    plan.fail(plan.jobs[3], Failure(("too few rows", "and more"), final=True))
    return plan


def test_leaderboard_has_the_numbers_of_the_jobs_best_first(made: Made) -> None:
    board = compared(grid(made)).leaderboard
    assert list(board.columns) == [
        "rank",
        "job",
        "oos/r2",
        "cov",
        "lags",
        "oos/rmse",
        "fit/r2",
        "fit/n_obs",
    ]
    assert board["job"].tolist() == [1, 2, 0] and board["rank"].tolist() == [1, 2, 3]
    assert board["oos/r2"].tolist() == [0.4, 0.3, 0.1] and board["fit/n_obs"].tolist() == [
        91.0,
        92.0,
        90.0,
    ]
    assert board["lags"].tolist() == [10, 2, 2]


def test_a_score_where_less_is_better_ranks_the_other_way(made: Made) -> None:
    plan = grid(made)
    assert compared(plan, "oos/rmse").leaderboard["job"].tolist() == [0, 1, 2]
    made.settings = {"score": "fit/n_obs", "lower_is_better": True}
    assert compared(made.plan()).leaderboard["job"].tolist() == [0, 1, 2]


def test_equal_scores_share_a_rank_rounding_aside(made: Made) -> None:
    for at, value in enumerate([0.3, 0.1 + 0.2, 0.2]):
        made.job(spec_of(model__lags=at), {"oos/r2": value})
    found = compared(made.plan())
    assert found.leaderboard["rank"].tolist() == [1, 1, 3] and found.leaderboard[
        "job"
    ].tolist() == [0, 1, 2]
    said = (
        "Jobs 0, 1 have the largest oos/r2, 0.3000; 0.1000 more than the next, job 2; "
        "the median of all 3 is 0.3000, the last is 0.2000."
    )
    assert said in found.words
    assert any("best of 2 different scores" in line for line in found.words)


@pytest.mark.parametrize(
    ("of_all", "said"),
    [
        ([0.01, 0.005], "the R2 of job 0 is 0.01000 (oos/r2_all_assets)."),
        (
            [-0.01, -0.02],
            "the R2 of job 0 is -0.01000 (oos/r2_all_assets); no job beats that mean.",
        ),
        ([-0.01, 0.005], "the R2 of job 0 is -0.01000 (oos/r2_all_assets)."),
        ([0.31, 0.005], ""),
    ],
)
def test_the_best_r2_stands_beside_that_against_the_mean_of_all_assets(
    made: Made, of_all: list[float], said: str
) -> None:
    for at, value in enumerate([0.3, 0.2]):
        metrics = {"oos/r2": value, "oos/r2_all_assets": of_all[at]}
        made.job(spec_of(model__lags=at), metrics)
    words = compared(made.plan()).words
    better = "Against the training mean of all assets together, the better benchmark, "
    lines = [line.removeprefix(better) for line in words if line.startswith(better)]
    assert lines == ([said] if said else [])


def test_r2_of_zero_but_for_rounding_share_a_rank_and_beat_nothing(made: Made) -> None:
    for at, value in enumerate([1.1e-16, 0.0, -2.2e-16, -0.1]):
        made.job(spec_of(model__lags=at), {"oos/r2": value})
    found = compared(made.plan())
    assert found.leaderboard["rank"].tolist() == [1, 1, 1, 4]
    assert "No job beats the training mean: no oos/r2 is above zero." in found.words


def test_a_score_that_no_job_has_is_replaced_and_that_is_said(made: Made) -> None:
    made.settings = {"score": "oos/rank_ic"}
    for at in range(2):
        made.job(spec_of(model__lags=at), {"coef/x": 1.0, "fit/r2": 0.1 * at, "fit/n_obs": 5.0})
    found = compared(made.plan())
    assert found.score == "fit/r2" and found.leaderboard["job"].tolist() == [1, 0]
    assert (
        "No job has the score oos/rank_ic: ranked by fit/r2 instead; there are fit/r2, fit/n_obs."
        in found.words
    )


def test_jobs_without_the_score_stand_last_without_a_rank(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, metrics in enumerate(
        [{"fit/r2": 0.9}, {"oos/r2": -0.5, "fit/r2": 0.1}, {"fit/r2": 0.8}]
    ):
        made.job(spec_of(model__lags=at), metrics, [coefficient("x", 1.0)])
    found = compare(made.plan())
    assert found.leaderboard["job"].tolist() == [1, 0, 2]
    assert found.leaderboard["rank"].isna().tolist() == [False, True, True]
    assert "2 jobs without oos/r2: last, without a rank." in found.words
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[6:8]] == [
        ["–", "0"],
        ["–", "2"],
    ]


def test_without_any_metric_nothing_is_ranked(made: Made) -> None:
    for at in range(2):
        made.job(spec_of(model__lags=at), {}, [coefficient("x", 1.0)])
    found = compare(made.plan())
    assert found.score == "" and found.leaderboard["rank"].isna().all()
    assert list(found.leaderboard.columns) == ["rank", "job", "lags"]


def test_failures_and_jobs_not_run_are_told(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(grid(made))
    told = found.failures
    assert told["job"].tolist() == [3, 4] and told["outcome"].tolist() == ["failed", "not run"]
    assert told["reason"][0] == "too few rows; and more" and told["cov"].tolist() == ["HAC", "HC3"]
    assert (
        "3 of 5 jobs that differ in cov, lags finished (1 failed, 1 not run)."
        in capsys.readouterr().out
    )
    assert found.metrics == {
        "sweep/jobs": 5.0,
        "sweep/finished": 3.0,
        "sweep/failed": 1.0,
        "sweep/refused": 0.0,
        "best/oos/r2": 0.4,
    }


def test_side_by_side_is_the_table_of_a_paper(made: Made) -> None:
    table = compared(grid(made)).regression_table()
    assert table is not None
    frame = table.frame()
    assert list(frame.columns) == ["", "(1)", "(2)", "(3)"]
    cells = frame["(1)"].tolist()
    assert frame[""].tolist()[:4] == ["x", "", "Constant", ""]
    assert cells[:4] == ["1.20", "(0.50)", "0.10", "(0.50)"]
    assert frame["(2)"].tolist()[0] == "-0.20" and frame["(3)"].tolist()[0] == "2.00***"
    foot = dict(zip(frame[""][4:], cells[4:], strict=True))
    assert foot == {
        "Standard errors": "HC0", "lags": "2", "Out-of-sample R², pooled": "0.1000", "Observations": "90",
        "R²": "0.500",
    }  # fmt: skip
    assert table.source == "sweep made: 3 jobs; the columns are jobs 0, 1, 2"
    assert table.notes == (
        "Standard errors are in parentheses: HC1, t(n-k).",
        "*, ** and *** denote significance at the 10 %, 5 % and 1 % levels, by p-values adjusted by Holm (1979) for 6 tests.",
    )


def test_side_by_side_takes_the_best_jobs_only_and_says_so(made: Made) -> None:
    for at in range(12):
        made.job(spec_of(model__lags=at), {"oos/r2": at / 100}, [coefficient(f"x{at}", 1.0)])
    found = compare(made.plan())
    table = found.side_by_side()
    assert list(table.columns[1:]) == [f"({at}) {at + 3}" for at in range(1, 9)]
    assert "x3" not in table[""].tolist() and "x4" in table[""].tolist()
    page = (made.place / "report" / "report.html").read_text()
    assert "the first 8 of 12 jobs by oos/r2; the columns are jobs 4, 5, 6, 7, 8, 9, 10, 11" in page


def test_stars_pay_for_the_tests_of_jobs_without_a_column(made: Made) -> None:
    for at in range(12):
        row = coefficient("x", 1.0) | {"p_value": 0.004}
        made.job(spec_of(model__lags=at), {"oos/r2": at / 100}, [row])
    found = compared(made.plan())
    table = found.regression_table(TableSettings(terms=["x"]))
    assert table is not None and table.frame().iloc[0, 1] == "1.00**"  # 12 x .004 is below .05
    assert "Holm (1979) for 12 tests" in table.notes[-1]


def test_specification_curve_is_sorted_with_the_choices(made: Made) -> None:
    found = compared(grid(made))
    curve = found.specification_curve("x")
    assert curve["job"].tolist() == [1, 0, 2] and curve["estimate"].tolist() == [-0.2, 1.2, 2.0]
    assert curve["ci_low"].tolist() == [-1.2, 0.19999999999999996, 1.0]
    assert curve["lags"].tolist() == [10, 2, 2] and curve["cov"].tolist() == ["HC0", "HC0", "HAC"]
    with pytest.raises(
        SpecError, match="term: 'X' is unknown; allowed: x, const; did you mean 'x'"
    ):
        found.specification_curve("X")


def test_curves_are_of_the_tested_terms(made: Made) -> None:
    plan = grid(made)
    assert compared(plan).curve_terms() == ["x"]
    made.settings = {"tests": ["const", "y"]}
    found = compared(made.plan())
    assert found.curve_terms() == ["const"]
    assert "No finished job has the term y of sweep.tests." in found.words


def test_heat_map_has_the_score_in_each_cell(made: Made) -> None:
    cells = compared(grid(made)).heat_map("lags", "model.cov")
    assert cells.index.tolist() == [2, 10] and cells.columns.tolist() == ["HC0", "HAC", "HC3"]
    np.testing.assert_array_equal(cells.to_numpy(), [[0.1, 0.3, np.nan], [0.4, np.nan, np.nan]])
    assert (
        compared(grid(Made(made.place, "again"))).heat_map("lags", "cov", "oos/rmse").iloc[0, 0]
        == 1.0
    )


def test_a_cell_of_a_heat_map_is_the_mean_over_other_keys(made: Made) -> None:
    for at in range(4):
        spec = spec_of(model__lags=at % 2, model__cov=["a", "b"][at // 2], data__assets=[str(at)])
        made.job(spec, {"oos/r2": [0.1, 0.2, 0.4, 0.8][at]})
    cells = compared(made.plan()).heat_map("lags", "cov")
    np.testing.assert_array_equal(cells.to_numpy(), [[0.1, 0.4], [0.2, 0.8]])
    made.job(spec_of(model__lags=0, model__cov="a", data__assets=["Z"]), {"oos/r2": 0.5})
    assert compared(made.plan()).heat_map("lags", "cov").loc[0, "a"] == pytest.approx(
        0.3, rel=1e-12
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"term": "xx"}, "term: 'xx' is unknown"),
        (
            {"score": "oos/R3"},
            "score: 'oos/R3' is unknown; allowed: oos/r2, oos/rmse.*did you mean 'oos/r2'",
        ),
        (
            {"heat": ("cov", "lag")},
            "heat: key 'lag' is unknown; allowed: cov, lags; did you mean 'lags'",
        ),
        ({"heat": ("cov", "model.cov")}, "heat: given 'cov' twice"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_written(
    made: Made, given: Any, expected: str
) -> None:
    plan = grid(made)
    with pytest.raises(SpecError, match=expected):
        compare(plan, **given)
    assert not (made.place / "report").exists()


def test_names_are_short_and_told_apart() -> None:
    assert short_names(["model.cov", "data.start", "test.start"]) == {
        "cov": "model.cov", "data.start": "data.start", "test.start": "test.start",
    }  # fmt: skip
    assert short_names(["cov", "model.cov"]) == {"spec.cov": "cov", "model.cov": "model.cov"}
    assert short_names(["model.rank", "model._target_"], ["rank"]) == {
        "model.rank": "model.rank", "model._target_": "model._target_",
    }  # fmt: skip


def test_a_group_is_one_key_and_what_follows_from_it_none() -> None:
    specs = [
        spec_of(model={"_target_": "a", "cov": "x", "lags": 3}),
        spec_of(model={"_target_": "b", "penalty": 2}),
        spec_of(model={"_target_": "b", "penalty": 2}, validation__lags=4),
    ]
    said = [["model=ols"], ["model=ridge"], ["model=ridge", "validation.lags=4"]]
    jobs = [
        Job(at, tuple(words), (), spec)
        for at, (spec, words) in enumerate(zip(specs, said, strict=True))
    ]
    names, table = choices(jobs)
    assert names == {"model": "model", "lags": "validation.lags"}
    assert table["model"].tolist() == ["ols", "ridge", "ridge"] and table["lags"].tolist() == [
        3,
        3,
        4,
    ]


def test_settings_that_differ_without_being_swept_are_keys() -> None:
    specs = [spec_of(), spec_of(model__lags=None), spec_of(model__lags=True, data__assets=[])]
    names, table = choices([Job(at, (), (), spec) for at, spec in enumerate(specs)])
    assert names == {"lags": "model.lags"} and table["lags"].tolist() == [3, "null", "true"]


def test_one_job(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.job(spec_of(), {"oos/r2": 0.1}, [coefficient("x", 1.0)])
    found = compare(made.plan())
    assert found.leaderboard.columns.tolist() == ["rank", "job", "oos/r2"] and found.names == {}
    assert "1 of 1 job finished." in capsys.readouterr().out
    assert not any("chosen among" in line for line in found.words)
    checked(made.place / "report" / "report.html")


def test_no_job_finished(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.job(spec_of(), None)
    made.job(spec_of(model__lags=1), None)
    found = compare(made.plan())
    assert found.leaderboard.empty and found.coefficients.empty and len(found.failures) == 2
    assert "0 of 2 jobs that differ in lags finished (2 not run)." in capsys.readouterr().out
    checked(made.place / "report" / "report.html")


def test_many_units_are_compared_by_their_mean(made: Made) -> None:
    for at in range(2):
        rows = [coefficient("x", float(unit), unit=f"U{unit}") for unit in range(20)]
        rows.append(coefficient("x", 9.5 + at, scope="mean", unit="all"))
        made.job(spec_of(model__lags=at), {"oos/r2": 0.1}, rows)
    found = compared(made.plan())
    assert found.coefficients["estimate"].tolist() == [9.5, 10.5]
    assert found.specification_curve("x")["estimate"].tolist() == [9.5, 10.5]
    said = "Of 2 jobs with several assets, dates or groups the means over these are compared; the rest is in each job's coefficients.csv."
    assert said in found.words


def test_few_units_are_all_in_the_table_and_their_mean_is_compared(made: Made) -> None:
    rows = [coefficient("x", 1.0, unit="0700"), coefficient("x", 3.0, unit="NA")]
    rows.append(coefficient("x", 2.0, scope="mean", unit="all"))
    made.job(spec_of(), {"oos/r2": 0.1}, rows)
    made.job(
        spec_of(model__lags=1), {"oos/r2": 0.0}, rows[:2]
    )  # no mean: no one number of this job
    found = compared(made.plan())
    assert found.coefficients["estimate"].tolist() == [1.0, 3.0, 2.0, 1.0, 3.0]
    assert found.coefficients["unit"].tolist() == ["0700", "NA", "all", "0700", "NA"]
    assert found.central["estimate"].tolist() == [2.0]
    assert (
        "Of 1 job with several assets, dates or groups the means over these are compared."
        in found.words
    )
    assert (
        "1 job with several regressions and no mean over them: in no table of coefficients."
        in found.words
    )


def test_terms_and_errors_that_are_missing_leave_cells_empty(made: Made) -> None:
    bare = coefficient("x", 1.0) | dict.fromkeys(
        ["std_error", "t_stat", "p_value", "ci_low", "ci_high"], np.nan
    )
    made.job(spec_of(), {"oos/r2": 0.1}, [bare])
    made.job(
        spec_of(model__lags=1), {"oos/r2": 0.0}, [coefficient("NA", 5.0), coefficient("y", np.nan)]
    )
    made.job(spec_of(model__lags=2), {"oos/r2": -1.0})
    found = compare(made.plan())
    table = found.side_by_side()
    assert table[""].tolist()[:5] == ["x", "NA", "", "y", "Out-of-sample R², pooled"]
    assert table["(1) 3"].tolist()[:4] == ["1.000", "", "", ""]
    assert found.specification_curve("y").empty
    checked(made.place / "report" / "report.html")


def test_what_makes_scores_hard_to_compare_is_said(made: Made) -> None:
    made.job(
        spec_of(), {"oos/r2": 0.1, "oos/n_obs": 10.0}, leaks=["x looks ahead"], kind="explanatory"
    )
    made.job(spec_of(model__lags=1), {"oos/r2": 0.2, "oos/n_obs": 20.0})
    found = compared(made.plan())
    said = " ".join(found.words)
    assert "The scores are of 10 to 20 rows" in said and "LEAKING: 1 job (0)" in said
    assert "Some jobs are explanatory, some predictive" in said
    assert found.leaderboard["leaking"].tolist() == ["", "yes"]
    made.job(spec_of(model__lags=2), {"oos/r2": 0.2}, family="two")
    assert any("2 different data sets or targets" in line for line in compared(made.plan()).words)


AWKWARD = [*NASTY, "50% & more_#{x}~^\\", "a|b", "[x]", "*"]


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The report of a sweep with names that mean something to HTML, LaTeX or the terminal, and what was printed."""
    made = Made(tmp_path_factory.mktemp("awkward"))
    for at in range(2):
        rows = [coefficient(term, 1.0 + at) for term in AWKWARD]
        spec = spec_of(data__assets=AWKWARD[: 3 + at], model__cov=NASTY[at])
        made.job(spec, {"oos/r2": 0.1 * at}, rows, source=NASTY[0], errors=NASTY[1])
    made.job(spec_of(data__assets=["z"], model__cov=NASTY[2]), None)
    plan = made.plan()
    plan.fail(plan.jobs[2], Failure((f"why {NASTY[0]}",), final=True))
    verdict = Verdict([f"Said {NASTY[0]}"], tables={"a/b <c>": pd.DataFrame({"x": NASTY})})
    with redirect_stdout(StringIO()) as printed:
        compare(plan, verdict=verdict, form="full")
    return made.place / "report", printed.getvalue()


def test_the_page_says_what_was_asked_and_how_to_go_on(made: Made) -> None:
    compare(grid(made))
    texts = checked(made.place / "report" / "report.html").texts
    assert (
        "python -m runner -m a=1,2" in texts
        and "Differs" in texts
        and "model.cov" in texts
        and "HC3" in texts
    )
    assert f"python -m runner resume {made.place}" in texts and "too few rows; and more" in texts
    headings = [
        "Leaderboard",
        "Reading",
        "Coefficients",
        "Specification curves",
        "Jobs without results",
    ]
    shown = [text for text in texts if text in headings]
    assert shown == [*headings, *headings]  # the contents, then the sections


def test_names_are_text_on_the_page(awkward: tuple[Path, str]) -> None:
    page = checked(awkward[0] / "report.html")
    assert "script" not in page.seen
    text = "".join(page.texts)
    assert f"Said {NASTY[0]}" in text and f"why {NASTY[0]}" in text
    for term in AWKWARD:
        assert term.replace("\u202e", "\ufffd") in text
    assert (awkward[0] / "a_b_c_.csv").exists()


def test_names_are_text_in_latex(awkward: tuple[Path, str]) -> None:
    lines = (awkward[0] / "tables" / "regression.tex").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("%")]
    inside = lines[lines.index(r"\begin{tabular}{lcc}") + 1 : lines.index(r"\end{tabular}")]
    for line in inside:
        bare = re.sub(r"\\[\\&%$#_{}]", "", line)  # what is escaped
        assert bare.count("{") == bare.count("}")
        assert bare.count("&") == (2 if line.endswith(r"\\") else 0), line
        assert not re.search(r"[%#_~<>\"]|\^(?!\{\*|2)|^[\[*]", bare), line
        assert bare.count("$") % 2 == 0
    assert sum(line.endswith(r"\\") for line in inside) > 2 * len(AWKWARD)


def test_names_are_text_in_the_terminal(awkward: tuple[Path, str]) -> None:
    shown_names = set(
        map(text.shown, AWKWARD)
    )  # letters that turn the text around by their escapes
    assert shown_names <= {line.split("  ")[0] for line in awkward[1].splitlines()}


def test_choices_are_cut_where_they_differ() -> None:
    short, log = (
        "[drop_sparse(most: 0.75), clip(low: 0.025, high: 2)]",
        "[drop_sparse(most: 0.75), log(), clip(high: 2)]",
    )
    assert value_texts([0.25, "null", short], 60) == ["0.2500", "null", short]
    assert value_texts([short, "x" * 30], 18) == ["[drop_sp … gh: 2)]", "xxxxxxxx … xxxxxxx"]
    assert value_texts([short, log, short, "HC1"], 18) == [
        "… .75), clip(low: ",
        "… .75), log(), cli",
        "… .75), clip(low: ",
        "HC1",
    ]
    assert value_texts(["a" * 40, "a" * 41], 18) == ["… " + "a" * 6, "… " + "a" * 7]


def test_what_is_built_is_shown_by_its_name() -> None:
    steps = [
        {"_target_": "runner.preprocessing.clip", "low": 0.5, "on": ["a", "target"]},
        {"_target_": "own.log"},
    ]
    assert shown(steps) == "[clip(low: 0.5, on: [a, target]), log()]"
    assert shown({"a": None, "b": True}) == "{a: null, b: true}"


def test_many_terms_do_not_fill_the_terminal(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in range(2):
        rows = [coefficient(f"x{i}", float(i)) for i in range(30)]
        made.job(spec_of(model__lags=at), {"oos/r2": 0.1 + at}, rows, [f"model.lags={at}"])
    compare(made.plan(), form="full")
    out = capsys.readouterr().out
    assert "20 more rows of coefficients in " in out and "report/coefficients.csv" in out
    assert [f"x{i}" in out.split() for i in (0, 19, 20, 29)] == [True, True, False, False]


def test_two_hundred_jobs(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    chance = np.random.default_rng(0)
    for at in range(200):
        spec = spec_of(
            model__lags=float(chance.uniform(0.01, 100)),
            data__assets=[f"A{i}" for i in range(at % 30)],
        )
        rows = [coefficient(f"x{i}", float(chance.normal())) for i in range(6)]
        said = [f"model.lags={at}", f"data.assets={at}"]
        made.job(spec, {"oos/r2": float(chance.normal()), "fit/n_obs": 100.0}, rows, said)
    compare(made.plan(), heat=("lags", "assets"))
    report, out = made.place / "report" / "report.html", capsys.readouterr().out
    assert report.stat().st_size < MOST_BYTES
    assert "190 more jobs in" in out and len(out.splitlines()) < 25
    text = "".join(checked(report).texts)
    assert "50 more rows are in leaderboard.csv" in text and "The first 15 of 200 jobs" in text
    assert len(pd.read_csv(made.place / "report" / "leaderboard.csv")) == 200
    assert len(list((made.place / "report" / "plots").glob("specification_curve_*.png"))) == 4


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("jobs", [1, 4, 24])
def test_in_short_the_answer_is_first_and_all_takes_25_lines(
    made: Made,
    jobs: int,
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for at in range(jobs):
        rows = [coefficient(f"signal_{term}", 0.1 * at) for term in range(4)]
        metrics = {
            f"{where}/{name}": 0.1 + at for where in ("oos", "fit") for name in ("r2", "rmse")
        }
        spec = spec_of(model__lags=at, model__cov=f"covariance_{at}", data__assets=["A"] * at)
        made.job(spec, metrics, rows, family=f"of {at % 2}")
    survives = "Of 6 tests, none has p below 0.05 unadjusted. " * 3
    compare(made.plan(), verdict=Verdict([survives, "Two."], ["Three."]))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24  # and one for the link to MLflow
    assert all(len(line) <= columns for line in lines if str(made.place) not in line)
    assert lines[0].startswith(f"Job {jobs - 1} has the largest oos/r2, ")
    if jobs > 1:
        told = " ".join(lines)
        assert f"; 1.000 more than the next, job {jobs - 2}" in told
        assert "Jobs have 2 different data sets" in told
        assert "job 0" in told or jobs > 4
    assert re.fullmatch(r"Shortened \(\d+ more sentences\): .* compare .*made --full .*", lines[-2])


def test_the_page_says_the_answer_before_the_leaderboard_and_notes_on_tests_beside_these(
    made: Made,
) -> None:
    tests = pd.DataFrame({"term": ["x"], "p_holm": [0.2]})
    compare(grid(made), verdict=Verdict(["None survives."], ["By 99 draws."], {"tests": tests}))
    page = (made.place / "report" / "report.html").read_text()
    order = ["Job 1 has the largest oos/r2", "None survives.", "All jobs", "By 99 draws.", "p holm"]
    assert sorted(order, key=page.index) == order


def test_forecasts_that_the_best_does_not_beat_are_named(made: Made) -> None:
    for at in range(3):
        made.job(spec_of(model__lags=at), {"oos/r2": 0.1 * at})
    strategies = pd.DataFrame({"job": ["0", "1", "2"], "in_mcs": [False, True, True]})
    found = compared(made.plan())
    best, rivals = best_of(found, {"strategies": strategies})
    assert best.startswith(
        "Job 2 has the largest oos/r2, 0.2000; 0.1000 more than the next, job 1;"
    )
    assert rivals == "By squared errors the model confidence set (10 %) keeps jobs 1, 2 of 3 jobs."
    strategies["in_mcs"] = None  # not compared
    assert best_of(found, {"strategies": strategies}) == best_of(found, {}) == [best]


def test_pictures_are_those_of_the_question(made: Made) -> None:
    compare(grid(made))
    plots = made.place / "report" / "plots"
    assert {path.name for path in plots.iterdir()} == {"heat_map.png", "specification_curve_x.png"}
    compare(find("made"), term="const")
    assert {path.name for path in plots.iterdir()} == {
        "heat_map.png",
        "specification_curve_const.png",
    }
    one = Made(made.place, "one")
    for at in range(3):
        one.job(spec_of(model__lags=10**at), {"oos/rmse": 1.0 + at, "oos/rmse_naive": 2.0})
    one.settings = {"score": "oos/rmse", "lower_is_better": True}
    compare(one.plan())
    assert [path.name for path in (one.place / "report" / "plots").iterdir()] == ["scores.png"]


def test_the_latest_sweep_is_found_and_a_wrong_name_gets_the_nearest(made: Made) -> None:
    with pytest.raises(SpecError, match="sweep: none in 'outputs/sweeps'"):
        find()
    grid(made)
    assert find().name == find("made").name == find("outputs/sweeps/made").name == "made"
    with pytest.raises(
        SpecError,
        match=r"no plan.json in 'outputs/sweeps/maid': 'maid' is unknown.*did you mean 'made'",
    ):
        find("maid")


def alphas(made: Made) -> Plan:
    """Three funds under two models that explain, the second without the last fund."""
    for at, label in enumerate(("capm", "ff3")):
        funds = [("0700", 0.002, 5e-4), ("B", -0.001, 1e-3), ("C<i>", 0.01, 1e-2)][: 3 - at]
        rows = []
        for unit, estimate, error in funds:
            p = float(2.0 * stats.norm.sf(estimate / error if estimate > 0 else -estimate / error))
            row = coefficient("const", estimate + at * 1e-4, error, unit=unit)
            rows += [row | {"p_value": p}, coefficient("MktRF", 1.0, unit=unit)]
        rows.append(coefficient("const", 0.003, scope="mean", unit="all"))
        made.job(
            spec_of(features=label),
            {"fit/r2_adj": 0.4 + at},
            rows,
            [f"features={label}"],
            horizon=0,
            calendar="monthly, 12 rows a year",
        )
    return made.plan()


def test_alphas_by_unit_and_job_in_one_table(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare(alphas(made), form="full")
    out = " ".join(capsys.readouterr().out.split())
    report = made.place / "report"
    written = pd.read_csv(report / "by_unit.csv", dtype={"unit": str})
    units = found.by_unit()
    assert units is not None
    pd.testing.assert_frame_equal(written, units.table, check_exact=True, check_dtype=False)
    table = written.set_index("unit")
    assert table.index.tolist() == ["0700", "B", "C<i>"]
    assert table["job 0: capm const"].tolist() == [0.002, -0.001, 0.01]
    assert table["job 1: ff3 const"].tolist()[:2] == [0.0021, -0.0009]
    assert table.loc["C<i>"].filter(like="job 1").isna().all()
    raw = table[["job 0: capm p", "job 1: ff3 p"]].to_numpy().ravel("F")
    adjusted = table[["job 0: capm p Holm", "job 1: ff3 p Holm"]].to_numpy().ravel("F")
    known = np.isfinite(raw)
    np.testing.assert_allclose(adjusted[known], multipletests(raw[known], method="holm")[1])
    assert "const by asset or group (t in brackets; stars by p-values adjusted by Holm)" in out
    assert "0700 0.002000*** (4.00) 0.002100*** (4.20)" in out
    assert "per row (monthly, 12 rows a year); it is an alpha where" in out
    assert "of 5 tests (regressions x jobs) 2 have p below 0.05 unadjusted; 2 survive Holm" in out
    page = (report / "report.html").read_text()
    assert "0.002100*** (4.20)" in page and "C&lt;i&gt;" in page and "C<i>" not in page


def test_another_term_by_unit_and_none_without_units(made: Made) -> None:
    plan = alphas(made)
    compare(plan)
    assert (made.place / "report" / "by_unit.csv").exists()
    slopes = compared(plan).by_unit("MktRF")
    assert slopes is not None
    assert slopes.table["job 0: capm MktRF"].tolist() == [1.0] * 3
    assert not any("alpha" in sentence for sentence in slopes.words)
    ahead = Made(made.place.parents[2], "ahead")
    rows = [coefficient(term, 1.0, unit=unit) for unit in "AB" for term in ("const", "x")]
    ahead.job(spec_of(), {"oos/r2": 0.1}, rows, horizon=21)
    forecast = compared(ahead.plan()).by_unit()
    assert forecast is not None and forecast.term == "x"
    single = Made(made.place.parents[2], "single")
    single.job(spec_of(), {"oos/r2": 0.1}, [coefficient("const", 1.0)], horizon=0)
    plan = single.plan()
    (single.place / "report").mkdir()
    (single.place / "report" / "by_unit.csv").write_text("of jobs before")
    compare(plan)
    assert not (single.place / "report" / "by_unit.csv").exists()


def test_the_verb_prints_and_writes(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    from runner.__main__ import main

    grid(made)
    assert main(["compare", "--csv"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[1].startswith("1,1,0.4,HC0,10,")
    assert main(["compare", "made", "--latex"]) == 0
    assert (
        capsys.readouterr().out == (made.place / "report" / "tables" / "regression.tex").read_text()
    )
    assert main(["compare", "made", "--table"]) == 0
    assert (
        capsys.readouterr().out == (made.place / "report" / "tables" / "regression.md").read_text()
    )
    files = {
        "leaderboard.csv",
        "coefficients.csv",
        "failures.csv",
        "tests.csv",
        "report.html",
        "plots",
        "tables",
    }
    assert {path.name for path in (made.place / "report").iterdir()} == files
    for words in (
        ["./outputs/sweeps/made/0"],  # a run
        ["maid"],
        ["--term", "z"],
        ["--score", "z"],
        ["--heat", "cov"],
        ["--heat", "cov,z"],
    ):
        assert main(["compare", *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_real_sweep_says_what_its_jobs_say(made: Made) -> None:
    from runner.cli.composition import Composer
    from runner.sweeps.conduct import _known
    from runner.sweeps.work import work

    words = [
        "model.cov=nonrobust,HC1",
        "model.regressors=[MktRF],[MktRF,SMB]",
        "data.assets=[S1V5]",
    ]
    words += ["model.hypotheses=[]", "data.start=1990-01-01", "hydra.sweep.dir=outputs/sweeps/real"]
    bench = Bench()
    plan = _known(Composer().plan(words), bench)
    plan.write()
    for job in plan.jobs:
        work(plan, job, bench)
    found = compare(find())
    assert found.names == {"cov": "model.cov", "regressors": "model.regressors"}
    board, table = found.leaderboard.set_index("job"), found.coefficients.set_index("job")
    for job in plan.jobs:
        own = RunDirectory(plan.place(job))
        for name in ("oos/r2", "oos/rmse", "fit/r2", "fit/n_obs"):
            assert board.loc[job.number, name] == own.metrics[name]
        theirs = own.table("coefficients")
        mine = table.loc[[job.number]].reset_index()[theirs.columns]
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    written = pd.read_csv(plan.directory / "report" / "coefficients.csv")
    np.testing.assert_array_equal(written["estimate"], found.coefficients["estimate"])
    assert board["oos/r2"].is_monotonic_decreasing and found.params == [
        "model.cov",
        "model.regressors",
    ]


def forecasts(
    made: Made, job: int, cells: Sequence[tuple[int, str]], error: float, fold: str = "1"
) -> pd.DataFrame:
    """Write forecasts of these cells (row, asset), and give them back."""
    dates = pd.bdate_range("2020-01-01", periods=40)
    rng = np.random.default_rng(0)
    y = pd.DataFrame(rng.standard_normal((40, 3)), dates, ["A", "B", "C"])
    rows = [
        {"date": dates[t], "asset": name, "fold": fold, "y": y.loc[dates[t], name]}
        for t, name in cells
    ]
    table = pd.DataFrame(rows).assign(path=1, benchmark=0.1)
    table["prediction"] = table["y"] + error * np.random.default_rng(job).standard_normal(
        len(table)
    )
    table.to_parquet(made.place / str(job) / "predictions.parquet")
    return table


def ragged(made: Made) -> tuple[Plan, list[pd.DataFrame]]:
    """Three jobs: the second cannot forecast asset C, the third not the first rows; the first is worst on C alone."""
    every = [(t, name) for t in range(40) for name in "ABC"]
    parts = [every, [one for one in every if one[1] != "C"], [one for one in every if one[0] > 9]]
    for at, cells in enumerate(parts):
        made.job(
            spec_of(model__lags=at),
            {"oos/rmse": [3.0, 1.0, 2.0][at], "oos/n_obs": float(len(cells))},
            horizon=1,
        )
    made.job(spec_of(model__lags=9), {"fit/r2": 0.5}, horizon=1)
    made.settings = {"score": "oos/rmse", "lower_is_better": True}
    return made.plan(), [
        forecasts(made, at, cells, [0.1, 0.3, 0.2][at]) for at, cells in enumerate(parts)
    ]


def test_jobs_that_forecast_different_rows_are_ranked_on_those_of_all(made: Made) -> None:
    plan, tables = ragged(made)
    found = compared(plan)
    board = found.leaderboard.set_index("job")
    assert found.score == "common/rmse" and found.leaderboard["job"].tolist() == [0, 2, 1, 3]
    for job, table in enumerate(tables):
        own = table[(table["asset"] != "C") & table["date"].isin(tables[2]["date"])]
        error = own["y"] - own["prediction"]
        assert board.loc[job, "common/n_obs"] == len(own) == 60
        np.testing.assert_allclose(
            board.loc[job, "common/rmse"], np.sqrt((error**2).mean()), rtol=1e-12
        )
        r2 = 1.0 - (error**2).sum() / ((own["y"] - 0.1) ** 2).sum()
        np.testing.assert_allclose(board.loc[job, "common/r2"], r2, rtol=1e-12)
    assert board.loc[0, "oos/rmse"] == 3.0 and np.isnan(board.loc[3, "common/rmse"])
    said = "The scores oos/... are of 80 to 120 rows: ranks and scores common/... are of the 60 rows that all of them"
    assert f"{said} forecast." in found.words


def test_order_and_kind_of_names_do_not_matter_to_common_rows(made: Made) -> None:
    plan, tables = ragged(made)
    before = compared(plan).leaderboard
    mixed = (
        tables[0].sample(frac=1.0, random_state=1).astype({"asset": "category", "fold": "category"})
    )
    mixed.to_parquet(made.place / "0" / "predictions.parquet")
    pd.testing.assert_frame_equal(compared(plan).leaderboard, before, rtol=1e-12)


@pytest.mark.parametrize("why", ["twice", "apart", "lost", "same"])
def test_without_common_rows_scores_stay_as_they_are(
    made: Made, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, tables = ragged(made)
    path = made.place / "1" / "predictions.parquet"
    if why == "twice":
        pd.concat([tables[1], tables[1]]).to_parquet(path)
    elif why == "apart":
        tables[1].assign(date=tables[1]["date"] + pd.Timedelta(days=400)).to_parquet(path)
    elif why == "lost":
        path.unlink()
    else:  # nothing is read where all forecast as many
        for at in range(3):
            place = made.place / str(at) / "metrics.json"
            place.write_text(json.dumps({"oos/rmse": [3.0, 1.0, 2.0][at], "oos/n_obs": 80.0}))
        monkeypatch.setattr(
            "runner.sweeps.comparison.common._read", lambda *_: pytest.fail("was read")
        )
    found = compared(plan)
    assert found.score == "oos/rmse" and not any(
        name.startswith("common/") for name in found.leaderboard
    )
    assert found.leaderboard["job"].tolist() == [1, 2, 0, 3]
    assert any("not compared on the same rows" in line for line in found.words) == (why != "same")


@pytest.mark.parametrize(
    ("model", "horizon", "scope", "trusted"),
    [
        ({"cov": "nonrobust"}, 0, "asset", True),
        ({"cov": "HC3"}, 5, "asset", False),
        ({"cov": "HAC"}, 5, "asset", True),
        ({"cov": "HAC", "cov_lags": 2}, 5, "asset", False),
        ({"cov": "HC0"}, 1, "group", False),
        ({"cov": "cluster", "clusters": ["date"]}, 1, "group", True),
        ({"cov": "driscoll_kraay"}, 5, "group", True),
        ({"cov": "cluster", "clusters": ["date"], "few": "12 dates"}, 1, "group", False),
    ],
)
def test_units_are_starred_where_errors_allow_for_the_rows(
    model: dict, horizon: int, scope: str, trusted: bool
) -> None:
    job = SimpleNamespace(number=0, spec={"model": model}, choices={})
    names = ["A", "B"]
    coefficients = pd.DataFrame(
        {"scope": scope, "unit": names, "term": "x", "estimate": 1.0, "t_stat": 9.0}
    ).assign(p_value=1e-9, judged=np.nan if "few" in model else 1e-9)
    about = {"horizon": horizon}
    outcome = SimpleNamespace(job=job, about=about, coefficients=coefficients)
    made = by_unit(SimpleNamespace(outcomes=[outcome], names=[], choices={}), term="x")
    assert made is not None
    assert made.estimates["p_holm"].notna().all() == trusted
    assert any("no stars in jobs 0" in words for words in made.words) == (not trusted)


def test_estimates_on_few_clusters_bear_no_stars_in_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data.assets=[S1V1,S1V5,S5V5]", "data.start=2010-01-01", "model=pooled", "audit=off"]
    words += ["report=tables", "validation=none", "model.cov=cluster"]
    assert main(["-m", *words, "model.clusters=[asset],[date]", "--quiet"]) == 0
    [place] = Path("outputs/sweeps").iterdir()
    comparison = compared(read(place))
    curve = comparison.specification_curve("MktRF").set_index("job")
    assert (curve["p_value"] < 0.05).all()
    assert curve["judged"].isna().to_dict() == {0: True, 1: False}
    texts = {place.job: place.tags["b MktRF"] for place in standings(comparison)}
    assert "*" not in texts[0] and "***" in texts[1]


@pytest.mark.parametrize(
    ("scopes", "doubts", "judged"),
    [
        (["pooled"], {}, True),
        (["pooled"], {"x": "targets overlap"}, False),
        (["pooled"], {"other": "targets overlap"}, True),
        (["asset", "asset", "mean"], {}, False),
        (["group", "group", "mean"], {}, False),
        (["date", "date", "mean"], {}, True),
        (["date", "date", "mean"], {"x": "few dates"}, False),
    ],
)
def test_what_a_job_is_known_by_bears_a_star_where_its_p_value_deserves_one(
    scopes: list[str], doubts: dict[str, str], judged: bool
) -> None:
    units = [f"unit {i}" if scope != "mean" else "mean" for i, scope in enumerate(scopes)]
    coefficients = pd.DataFrame(
        {"scope": scopes, "unit": units, "term": "x", "p_value": 1e-9, "judged": 1e-9}
    )
    central = Outcome(None, {"doubts": doubts}, {}, coefficients).central
    assert central["scope"].tolist() == scopes[-1:]
    assert central["judged"].notna().tolist() == [judged]
    assert central["p_value"].notna().all()


def test_the_leaderboard_leads_to_the_pages_of_jobs(made: Made) -> None:
    plan = grid(made)
    (made.place / "0").mkdir(exist_ok=True)
    (made.place / "0" / "report.html").write_text("page")
    compare(plan)
    text = (made.place / "report" / "report.html").read_text()
    assert text.count('<a href="../') == text.count('<a href="../0/report.html">0</a>') == 1
