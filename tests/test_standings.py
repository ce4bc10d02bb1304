"""How the jobs of a sweep stand in MLflow: ranks, names, texts, views and notes, of run directories made by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from test_compare import Made, coefficient, grid, made, spec_of  # noqa: F401 (a fixture)
from test_page import NASTY

from runner.sinks import view
from runner.sweeps.comparison.comparison import compared
from runner.sweeps.telling import views as sweep_views
from runner.sweeps.telling.standings import (
    BEST,
    FAILED,
    REST,
    estimate_text,
    shown_terms,
    standings,
)

TAGS = {"sweep": "made", "sweep.id": "0a" * 10}


def test_jobs_are_named_by_rank_and_what_differs_and_failed_ones_stand_last(made: Made) -> None:  # noqa: F811
    places = standings(compared(grid(made)))
    assert [one.name for one in places] == [
        "1 cov=HC0 lags=10",
        "2 cov=HAC lags=2",
        "3 cov=HC0 lags=2",
        "failed: cov=HAC lags=10",
    ]
    assert [one.metrics.get("rank") for one in places] == [1.0, 2.0, 3.0, None]
    assert [one.colour for one in places] == [*BEST[:3], FAILED]
    assert places[0].tags["R2 OOS"] == "0.4000" and places[0].tags["R2 in sample"] == "0.5000"
    assert places[-1].tags == {} and places[-1].table is None


def test_names_leave_out_what_is_the_same_in_every_finished_job(made: Made) -> None:  # noqa: F811
    for lags, cov, metrics in [
        (1, "HC0", {"oos/r2": 0.1}),
        (2, "HC0", {"oos/r2": 0.2}),
        (1, "HC9", None),
    ]:
        said = [f"model.cov={cov}", f"model.lags={lags}"]
        made.job(spec_of(model__cov=cov, model__lags=lags), metrics, (), said)
    found = compared(made.plan())
    assert [one.name for one in standings(found)] == ["1 lags=2", "2 lags=1"]


@pytest.mark.parametrize("lower", [False, True])
def test_jobs_that_train_on_later_rows_are_ranked_after_the_forecasts_and_named_so(
    made: Made,  # noqa: F811
    lower: bool,
) -> None:
    made.settings = {"score": "oos/rmse" if lower else "oos/r2", "lower_is_better": lower}
    for at, (value, later) in enumerate([(0.5, False), (0.9, True), (0.7, False), (0.1, True)]):
        metrics = {made.settings["score"]: value}
        made.job(
            spec_of(model__lags=at), metrics, (), [f"model.lags={at}"], trains_on_later_rows=later
        )
    found = compared(made.plan())
    order = [0, 2, 3, 1] if lower else [2, 0, 1, 3]
    assert found.leaderboard["job"].tolist() == order and found.leaderboard["rank"].tolist() == [
        1,
        2,
        3,
        4,
    ]
    names = [
        f"{rank} {'cv ' if job in (1, 3) else ''}lags={job}"
        for rank, job in enumerate(order, start=1)
    ]
    assert [one.name for one in standings(found)] == names
    assert found.leaderboard["trained on"].tolist() == ["earlier rows"] * 2 + ["later rows too"] * 2
    words = " ".join(found.words)
    assert "ranked after the forecasts" in words
    assert f"Job {order[0]} has the {'smallest' if lower else 'largest'}" in words
    assert found.metrics[f"best/{made.settings['score']}"] == (0.5 if lower else 0.7)


def test_a_score_in_sample_knows_no_later_rows(made: Made) -> None:  # noqa: F811
    made.settings = {"score": "fit/r2"}
    for at, later in enumerate([False, True]):
        made.job(
            spec_of(model__lags=at),
            {"fit/r2": 0.1 + at},
            (),
            [f"model.lags={at}"],
            trains_on_later_rows=later,
        )
    found = compared(made.plan())
    assert [one.name for one in standings(found)] == ["1 lags=1", "2 lags=0"]
    assert "trained on" not in found.leaderboard


@pytest.mark.parametrize(
    ("estimate", "error", "p", "text"),
    [
        (1.03097, 0.07226, 0.03, "1.0310** (0.0723)"),
        (0.4996, 0.5847, 0.5, "0.500 (0.585)"),
        (-0.00005203, 0.0014, 0.9, "-0.00005 (0.00140)"),
        (123456.7, 2345.6, 0.001, "123,457*** (2,346)"),
        (1e-12, 1e-11, 0.5, "1.000e-12 (1.00e-11)"),
        (2.5, math.nan, math.nan, "2.500"),
        (2.5, 0.0, 0.0, "2.500***"),
    ],
)
def test_an_estimate_ends_where_its_error_ends(
    estimate: float, error: float, p: float, text: str
) -> None:
    assert estimate_text(estimate, error, p) == text


def test_at_most_eight_terms_have_a_column_and_the_commonest_come_first(made: Made) -> None:  # noqa: F811
    names = [f"x{at}" for at in range(12)]
    made.job(spec_of(), {"oos/r2": 0.2}, [coefficient(name, 1.0) for name in ["const", *names]])
    made.job(spec_of(model__lags=9), {"oos/r2": 0.1}, [coefficient("x11", 1.0)])
    found = compared(made.plan())
    assert shown_terms(found) == ["x11", *names[:7]]
    assert sum(name.startswith("b ") for name in standings(found)[0].tags) == 8
    assert (
        len(json.loads(standings(found)[0].side_by_side)["data"]) == 3
    )  # coefficients, scores, standard errors


def test_only_the_best_have_colours_of_their_own(made: Made) -> None:  # noqa: F811
    for at in range(12):
        made.job(spec_of(model__lags=at), {"oos/r2": 0.5 - at / 100}, (), [f"model.lags={at}"])
    assert [one.colour for one in standings(compared(made.plan()))] == [*BEST, *[REST] * 4]


def test_a_view_has_what_differs_the_scores_and_the_terms_best_first(made: Made) -> None:  # noqa: F811
    found = compared(grid(made))
    metrics = ["oos/r2", "fit/r2", "coef/x", "coef/const", "tstat/x", "rank", "by year/R2"]
    views = sweep_views.views(found, standings(found), TAGS, "2026-01-02", metrics)
    assert [one.name for one in views.values()] == [
        f"2026-01-02 made: {what}"
        for what in ("leaderboard", "regression table", "charts", "by model.cov")
    ]
    state = views["leaderboard"].state
    assert state["selectedColumns"][:3] == [
        "params.`model.cov`",
        "params.`model.lags`",
        "tags.`R2 OOS`",
    ]
    assert state["selectedColumns"][-2:] == ["tags.`b x`", "tags.`b const`"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`rank`", True)
    assert views["groups"].state["groupBy"]["groupByKeys"] == [
        {"mode": "param", "groupByData": "model.cov"}
    ]
    cards = views["charts"].state["compareRunCharts"]
    assert {card["metricKey"] for card in cards if "metricKey" in card} == set(
        metrics
    )  # none is made by itself
    assert {card["metricKey"] for card in cards if card["deleted"]} == {
        "fit/r2",
        "coef/const",
        "tstat/x",
        "rank",
    }
    names = [section["name"] for section in views["charts"].state["compareRunSections"]]
    assert names == ["Answer", "Coefficients", "Over years and folds"]
    assert len({card["uuid"] for card in cards}) == len(cards)


def test_jobs_that_all_failed_are_not_ordered_by_a_rank_that_none_has(made: Made) -> None:  # noqa: F811
    for at in range(2):
        made.job(spec_of(model__lags=at), None, (), [f"model.lags={at}"])
    assert sweep_views.facets(compared(made.plan()), TAGS)["orderByKey"] == "attributes.start_time"


def test_a_view_comes_back_from_its_tag_and_is_small() -> None:
    removed = [f"tstat/x{at}" for at in range(200)]
    one = view.View(
        "n", [view.tag("b <x>")], "tags.`a` = 'é%'", (view.metric("rank"), True), "", (), removed
    )
    charts = view.View(
        "n", [], sections=[view.Section("Answer", 3, [view.bar("oos/r2")])], removed=removed
    )
    for own in (one, charts):
        tag = view.encoded(own, 5)
        assert view.decoded(tag) == own.state and len(tag) < 20_000
        assert view.same(tag, own) and not view.same(tag, view.View("other", []))
        envelope = json.loads(
            tag
        )  # MLflow reads the envelope as it is, and lists no view that it cannot read
        assert (
            envelope["name"] == "n"
            and envelope["createdAt"] == 5
            and envelope["state"].startswith("deflate;")
        )


@pytest.mark.parametrize(
    "tag", ["deflate;AAAA", "{}", '{"name": "n", "state": "deflate;AAAA"}', "[]", '{"state": 1}']
)
def test_what_is_no_view_is_not_read_as_one(tag: str) -> None:
    with pytest.raises(ValueError, match=r"no view|Expecting value"):
        view.decoded(tag)
    assert not view.same(tag, view.View("n", []))


def test_the_note_answers_first_and_links_second_and_has_no_live_markup(made: Made) -> None:  # noqa: F811
    made.job(
        spec_of(model__cov=NASTY), {"oos/r2": 0.4, "oos/n_obs": 90.0}, (), [f"model.cov={NASTY}"]
    )
    made.job(spec_of(model__cov="HC1"), {"oos/r2": 0.1, "oos/n_obs": 90.0}, (), ["model.cov=HC1"])
    found = compared(made.plan())
    names = {one.job: one.name for one in standings(found)}
    links = sweep_views.links("1", "r", TAGS["sweep.id"], {"leaderboard": view.View("x", [])})
    answer = sweep_views.headline(found, names, links["Leaderboard"])
    text = sweep_views.note(answer, links, found, ["plots/a b.png"], "r", found.words)
    first, second, *_ = text.split("\n\n")
    assert first.startswith("**Best: [1 cov=") and first.endswith(
        "R2 0.4000** out of sample on 90 rows, 0.30 ahead of the next. The jobs differ in cov."
    )
    assert second.startswith("[Leaderboard](#/experiments/1/runs?")
    assert "<" not in text and "](javascript:" not in text
    assert "get-artifact?path=plots/a%20b.png&run_uuid=r" in text


def test_an_older_sweep_gets_links_that_need_no_view_and_the_rest_of_its_note_stays() -> None:
    key = TAGS["sweep.id"]
    full = sweep_views.links("1", "r", key, {"leaderboard": view.View("x", [])})
    plain = sweep_views.plain_links("1", "r", view.facets_of(key))
    best = f"**Best: [\\1 a]({full['Leaderboard']})**"
    note = f"{best}\n\n{sweep_views.linked(full)}\n\nmy own [Leaderboard](#/elsewhere)"
    older = sweep_views.relinked(note, plain, sweep_views.again("a <b>"))
    assert older.startswith(f"**Best: [\\1 a]({plain['Leaderboard']})**")
    assert "viewStateShareKey" not in older and f"sweep.id%60%20%3D%20%27{key}%27" in older
    assert (
        "orderByKey=metrics.%60rank%60&orderByAsc=true" in older
        and "artifacts/report.html" in older
    )
    assert "ui --sweep 'a &lt;b&gt;'" in older and older.endswith(
        "my own [Leaderboard](#/elsewhere)"
    )
    assert sweep_views.relinked(older, full) == note
    assert sweep_views.relinked("what a person wrote", full) == "what a person wrote"


def test_a_long_verdict_is_cut_at_a_pause_so_that_the_links_stay_in_sight() -> None:
    assert sweep_views.shortened("None survives.") == "None survives."
    long = (
        "Of 14 tests, all 14 have p below 0.05; 13 survive Holm and Romano-Wolf at 5 %: "
        + "x in job 1, " * 20
    )
    assert sweep_views.shortened(long) == (
        "Of 14 tests, all 14 have p below 0.05; 13 survive Holm and Romano-Wolf at 5 % (listed below)."
    )
    clause = "Of 28 tests, 10 have p below 0.05 unadjusted (chance alone would give about 1.4); "
    none = "none survives Holm and Romano-Wolf at 5 % (Holm alone 0, Romano-Wolf alone 10)"
    assert sweep_views.shortened(f"{clause}{none}; none survives Benjamini-Hochberg.") == (
        f"{clause}{none} (continued below)."
    )


def test_what_differs_is_named_up_to_four_keys(made: Made) -> None:  # noqa: F811
    keys = ["cov", "lags", "penalty", "weights", "ridge"]
    for at in range(2):
        settings = {f"model__{key}": at for key in keys}
        made.job(
            spec_of(**settings), {"oos/r2": 0.1 * at}, (), [f"model.{key}={at}" for key in keys]
        )
    found = compared(made.plan())
    line = sweep_views.headline(found, {one.job: one.name for one in standings(found)}, "#/")
    assert line.endswith(" The jobs differ in cov, lags, penalty, weights and 1 more key.")


def test_what_a_person_wrote_of_the_experiment_stays_below_the_newest_sweep() -> None:
    first = sweep_views.with_newest("my words\nand more", "[a](x)")
    assert first == "Newest sweep: [a](x)\n\nmy words\nand more"
    assert sweep_views.with_newest(first, "[b](y)") == "Newest sweep: [b](y)\n\nmy words\nand more"
    assert sweep_views.with_newest("", "[a](x)") == "Newest sweep: [a](x)"


def test_a_key_that_changes_no_number_is_named(made: Made) -> None:  # noqa: F811
    def job(cov: str, lags: int, value: float) -> None:
        metrics: dict[str, Any] = {"oos/r2": value, "coef/x": 2.0 * value}
        made.job(
            spec_of(model__cov=cov, model__lags=lags),
            metrics,
            (),
            [f"model.cov={cov}", f"model.lags={lags}"],
        )

    for cov in ("HC0", "HC1"):
        for lags in (1, 2):
            job(cov, lags, 0.1 * lags * (1.0 + 1e-12 * (cov == "HC1")))
    said = (
        "model.cov changes no headline number (coefficients and t, fit, scores): "
        "jobs that differ in it alone agree to 1e-9."
    )
    found = compared(made.plan())
    assert said in found.words and not any("model.lags changes" in line for line in found.words)
    job("HC3", 1, 0.1 * (1.0 + 1e-7))
    assert said not in compared(made.plan()).words
