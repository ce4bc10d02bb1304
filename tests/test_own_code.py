"""Code of a user's own in every place of a spec, from --config-dir and `allow`, by public names alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

CODE = '''
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from runner.analyses import Finding
from runner.data import Market
from runner.models import Regression
from runner.preprocessing import declares
from runner.targets import Target, Unit


class Mean:
    """A model of fit and predict, and nothing else."""

    def __init__(self, shrink: float = 0.5):
        self.shrink = shrink

    def fit(self, panel, rows):
        return Regression(regressors=[]).fit(panel, rows)

    def predict(self, fit, panel):
        return np.tile(self.shrink * fit.params[:, 0], (len(panel.dates), 1))


class Halves:
    """A splitter that gives pairs of positions, as scikit-learn's do."""

    def split(self, dates, horizon):
        half = len(dates) // 2
        yield np.arange(half), np.arange(half, len(dates))


class Walk:
    """A source: random walks."""

    def __init__(self, rows: int = 200):
        self.rows = rows

    def load(self):
        rng = np.random.default_rng(3)
        dates = pd.bdate_range("2020-01-01", periods=self.rows, name="date")
        returns = 0.01 * rng.standard_normal((self.rows, 3))
        close = pd.DataFrame(np.cumprod(1.0 + returns, axis=0), dates, ["A", "B", "C"])
        return Market("random walks", {"close": close}, pd.DataFrame(index=dates))


def half(cross):
    """A step: every feature halved."""
    return 0.5 * cross.X


@declares(back="exp")
def level(cross):
    """A step of the target too: its logarithm."""
    return np.log(cross.X)


@declares(writes=False)
def careless(cross):
    """A step that writes to what it was given, and says that it does not."""
    cross.X[:] = 0.0
    return cross.X


def peeks(cross):
    """A step that writes to the other features."""
    cross.others["reversal"][:] = 0.0
    return cross.X


def flat(cross):
    """A step that loses an axis."""
    return cross.X[:, :, 0]


def reversal(market, *, window: int = 5):
    """A feature."""
    return -market.returns(window)


def gap(market):
    """A target that says nothing of its unit."""
    return Target(market.returns(2).shift(-2), 2)


def doubled(market):
    """A target with its unit."""
    return Target(2.0 * market.returns().shift(-1), 1, Unit("return twice", "decimals", "return"))


def unlike(market):
    """A target with a unit that is none."""
    return Target(market.returns().shift(-1), 1, "decimals")


def spread(study, *, scale: float = 1.0):
    """An analysis with a picture of its own."""
    table = pd.DataFrame({"x": [0.0, scale], "y": [1.0, 2.0]})
    return Finding(table, {"scale": scale}, ["The spread is as given."], drawn)


def ghost(study):
    """An analysis whose picture fails."""
    return Finding(pd.DataFrame({"x": [1.0]}), picture=lambda table: table["nothing"])


def unknown(study):
    """An analysis whose picture has a name that there is not."""
    return Finding(pd.DataFrame({"x": [1.0]}), picture="pathh")


def drawn(table):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(table["x"], table["y"])
    return figure


class NoPredict:
    def fit(self, panel, rows):
        pass


class Threads(ThreadPoolExecutor):
    """An executor, as `concurrent.futures` has them."""


class Deaf:
    """An executor that can only be shut down."""

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass


class Broken(Deaf):
    """An executor that gives no future."""

    def submit(self, function, *arguments):
        return None


class Down:
    """A search that goes on to the next value while scores get better."""

    def propose(self, axes, sweep, history, most):
        [axis] = axes
        scores = [tried.score for tried in history]
        if len(scores) > 1 and scores[-1] <= scores[-2]:
            return []
        return [(value,) for value in axis.values[len(scores) : len(scores) + 1]]


class Odd:
    """A search that proposes what is no combination."""

    def propose(self, axes, sweep, history, most):
        return [("model.shrink",)]


class BadSplit:
    def split(self, dates, horizon):
        return [1, 2, 3]
'''
OPTIONS = {
    "data": {"walk": "_target_: own.parts.Walk\nrows: 300\n"},
    "features": {"own": "reversal: {_target_: own.reversal, window: 3}\n"},
    "model": {
        "mean": "_target_: own.parts.Mean\nshrink: 0.25\n",
        "no_predict": "_target_: own.parts.NoPredict\n",
        "halves": "_target_: own.parts.Halves\n",
    },
    "target": {
        "gap": "_target_: own.parts.gap\n",
        "doubled": "_target_: own.parts.doubled\n",
        "unlike": "_target_: own.parts.unlike\n",
    },
    "validation": {
        "halves": "_target_: own.parts.Halves\n",
        "bad": "_target_: own.parts.BadSplit\n",
        "sklearn": "_target_: sklearn.model_selection.TimeSeriesSplit\nn_splits: 3\n",
    },
}
SPEC = ["--config-dir", "mine", "experiment=none", "data=walk", "features=own"]
SPEC += ["target=forward_return", "allow=[own]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "parts.py").write_text(CODE)
    (tmp_path / "own" / "__init__.py").write_text("from own.parts import reversal\n")
    for group, text in OPTIONS.items():
        (tmp_path / "mine" / group).mkdir(parents=True, exist_ok=True)
        for name, lines in text.items():
            (tmp_path / "mine" / group / f"{name}.yaml").write_text(lines)
    return tmp_path


def test_every_part_of_ones_own_runs_together(folder: Path, cli) -> None:
    done = cli(
        *SPEC,
        "model=mean",
        "validation=halves",
        "preprocess=[{_target_: own.parts.half}]",
        "+analyses.spread={_target_: own.parts.spread, scale: 3.0}",
    )
    assert done.code == 0, done.err
    assert done.metrics["spread/scale"] == 3.0
    assert list(done.table("spread")["x"]) == [0.0, 3.0]
    assert (done.directory / "plots" / "spread.png").read_bytes().startswith(b"\x89PNG")
    [fold] = done.table("folds").to_dict("records")
    assert abs(fold["train_rows"] - fold["test_rows"]) <= 1


def test_a_splitter_of_scikit_learn_runs_as_it_is(folder: Path, cli) -> None:
    done = cli(*SPEC, "allow=[own,sklearn]", "validation=sklearn", "report=tables")
    assert done.code == 0, done.err
    folds = done.table("folds")
    assert list(folds["fold"]) == [1, 2, 3]
    assert (folds["train_end"] < folds["test_start"]).all()


@pytest.mark.parametrize("name", ["trials", "rows", "data"])
def test_an_analysis_keeps_its_sentences_whatever_its_name(name: str, folder: Path, cli) -> None:
    done = cli(*SPEC, f"+analyses.{name}={{_target_: own.parts.spread}}", "report=tables")
    assert done.code == 0, done.err
    assert "The spread is as given." in done.out
    assert f"{name.capitalize()} (analysis)" in done.out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gap", "target (over 2 rows ahead, its own unit)"),
        ("doubled", "return twice (over 1 row ahead, decimals)"),
    ],
)
def test_a_target_is_worded_by_its_unit_whoever_wrote_it(
    name: str, words: str, folder: Path, cli
) -> None:
    """Both are taken for what a position earns: one has no kind, the other is a return."""
    done = cli(
        *SPEC,
        f"target={name}",
        "validation=halves",
        "analyses.sorted={_target_: runner.analyses.portfolio, quantiles: 2}",
    )
    assert done.code == 0, done.err
    assert words in (done.directory / "report.html").read_text()


def test_a_step_of_ones_own_says_how_forecasts_are_taken_back(folder: Path, cli) -> None:
    """Of the logarithm of a volatility: as by the step `log`, which declares the same."""
    words = [*SPEC, "target=forward_volatility", "target.horizon=5", "validation=halves"]
    words += ["report=tables"]
    own = cli(*words, "preprocess=[{_target_: own.parts.level, on: [target]}]")
    ours = cli(*words, "preprocess=[{_target_: runner.preprocessing.log, on: [target]}]")
    assert own.code == ours.code == 0, own.err + ours.err
    predictions = pd.read_parquet(own.directory / "predictions.parquet")
    expected = pd.read_parquet(ours.directory / "predictions.parquet")
    pd.testing.assert_frame_equal(predictions, expected)
    assert (predictions["prediction"] > 0.0).all()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "careless",
            "preprocess[0]._target_: raised ValueError: assignment destination is read-only",
        ),
        ("peeks", "preprocess[0]._target_: raised ValueError: assignment destination is read-only"),
        ("flat", "preprocess[0]._target_: gave an array (300, 3); allowed: one (300, 3, 1)"),
        ("half, on: [target]", "preprocess[0].on: target given with own.parts.half; allowed: with"),
    ],
)
def test_a_step_that_misbehaves_is_refused_in_one_line(
    name: str, line: str, folder: Path, cli
) -> None:
    done = cli(*SPEC, "validation=halves", f"preprocess=[{{_target_: own.parts.{name}}}]")
    assert done.code == 2
    assert line in done.errors[0]
    assert "Traceback" not in done.err


def test_a_unit_that_is_none_is_refused_in_one_line(folder: Path, cli) -> None:
    done = cli(*SPEC, "target=unlike")
    assert done.code == 2
    assert done.errors == [
        "error: target: gave a unit of type str; allowed: runner.targets.Unit",
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ghost", "its picture raised KeyError: 'nothing'"),
        ("unknown", "picture 'pathh' is unknown"),
    ],
)
def test_a_picture_that_fails_costs_the_picture_and_not_the_run(
    name: str, line: str, folder: Path, cli
) -> None:
    done = cli(*SPEC, f"+analyses.mine={{_target_: own.parts.{name}}}")
    assert done.code == 0, done.err
    assert line in done.err
    assert not (done.directory / "plots" / "mine.png").exists()
    assert (done.directory / "mine.csv").exists()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("model=no_predict", "NoPredict has no method predict"),
        ("validation=bad", "pairs of training and test positions"),
        ("model=halves", "Halves has no method fit"),
        ("+features.x={_target_: own.parts.np}", "'np' is unknown"),
        ("+features.x={_target_: own.parts.half}", "half is not a function of market"),
        ("model.cov=parzen", "cov: 'parzen' is unknown"),
        ("+data.row=3", "data.row"),
    ],
)
def test_what_is_missing_is_one_line_before_anything_runs(
    word: str, line: str, folder: Path, cli
) -> None:
    done = cli(*SPEC, word)
    assert done.code == 2
    assert line in done.errors[0]
    assert "Traceback" not in done.err
    assert not list((folder / "outputs").rglob("run.json"))


SHRINK = ("-m", *SPEC, "model=mean", "validation=halves", "model.shrink=0.0,0.1,0.2,0.3")
SWEEP = "hydra.sweep.dir=outputs/sweeps/s"


def metrics_of(folder: Path, name: str = "s") -> dict[str, str]:
    """The metrics file of each job of the sweep, by its number."""
    files = (folder / "outputs" / "sweeps" / name).glob("*/metrics.json")
    return {path.parent.name: path.read_text() for path in files}


def test_an_executor_of_ones_own_runs_a_sweep_with_the_same_bits(folder: Path, cli) -> None:
    assert cli(*SHRINK, SWEEP).code == 0
    inline = metrics_of(folder)
    assert len(inline) == 4
    for target in ("own.parts.Threads", "concurrent.futures.ThreadPoolExecutor"):
        launcher = f"executor={{_target_: {target}, max_workers: 2}}"
        again = [f"hydra.sweep.dir=outputs/sweeps/{target}", f"ledger={target}.db"]
        done = cli(*SHRINK, *again, launcher, "allow=[own,concurrent.futures]")
        assert done.code == 0, done.err
        assert metrics_of(folder, target) == inline


def test_a_search_of_ones_own_is_led_by_scores(folder: Path, cli) -> None:
    own = ["sweep.search={_target_: own.parts.Down}", "sweep.draws=4", "sweep.score=oos/rmse"]
    done = cli(*SHRINK, SWEEP, *own)
    assert done.code == 0, done.err
    assert 2 <= len(metrics_of(folder)) <= 4


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["executor={_target_: own.parts.Deaf}"], "Deaf has no method submit"),
        (["executor={_target_: own.parts.Walk}"], "Walk has no method submit and shutdown"),
        (["executor={workers: 2}"], "executor.workers: 'workers' is unknown"),
        (["executor={_target_: own.parts.Threads, max: 2}"], "executor.max: 'max'"),
        (["executor={_target_: os.Deaf}"], "is code outside this package"),
        (["sweep.search={_target_: own.parts.Walk}"], "Walk has no method propose"),
        (["sweep.search={_target_: own.parts.Down}"], "sweep.draws: given null"),
        (["sweep.search=gird"], "did you mean 'grid'?"),
    ],
)
def test_an_executor_or_search_that_cannot_be_is_one_line_before_anything_runs(
    words: list[str], line: str, folder: Path, cli
) -> None:
    done = cli(*SHRINK, *words)
    assert done.code == 2
    assert line in done.errors[0]
    assert len(done.errors) == 1
    assert "Traceback" not in done.err
    assert not list((folder / "outputs").rglob("run.json"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["executor={_target_: own.parts.Broken}"], "submit gave NoneType"),
        (
            ["executor={_target_: own.parts.Threads}", "sweep.timeout=60"],
            "60 s for a job in a thread, which cannot be interrupted",
        ),
        (["sweep.search={_target_: own.parts.Odd}", "sweep.draws=3"], "Odd proposes"),
    ],
)
def test_an_executor_or_search_that_fails_says_so_without_a_traceback(
    words: list[str], line: str, folder: Path, cli
) -> None:
    done = cli(*SHRINK, SWEEP, *words)
    assert done.code in (1, 2)
    assert line in done.err
    assert "Traceback" not in done.err
