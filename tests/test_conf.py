"""Every YAML file: it composes, binds, and each experiment names its own command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from runner.cli.composition import Composer, shipped_conf
from runner.data.sources.borrowing import Borrowing

CONF = shipped_conf()
NEEDED = {  # what an option leaves to the user
    "data/file": ["data.path=x.parquet"],
    "data/minute": ["data.path=x.parquet"],
    "data/yahoo": ["data.assets=[AAPL]"],
    "validation/holdout": ["validation.train_end=2020-12-31"],
}
OPTIONS = sorted(str(path.relative_to(CONF).with_suffix("")) for path in CONF.glob("*/*.yaml"))
SWEEPS = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml") if path.stem != "none")
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize(
    "option", [one for one in OPTIONS if not one.startswith(("experiment", "sweep"))]
)
def test_every_option_binds(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if option == "executor/slurm":  # its programs are looked for; binding runs none of them
        for program in ("sbatch", "srun"):
            (tmp_path / program).touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    group, _, name = option.partition("/")
    job = Composer().job(["experiment=none", f"{group}={name}", *NEEDED.get(option, [])])
    assert job.experiment.source is not None


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_binds_and_says_its_command(experiment: str) -> None:
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    assert f"# python -m runner experiment={experiment}" in text
    name = "custom" if experiment == "none" else experiment
    assert Composer().job([f"experiment={experiment}"]).experiment.name == name


@pytest.mark.parametrize(
    "source", ["data=yahoo", "data=simulated", "data=file data.path=x.parquet"]
)
@pytest.mark.parametrize("experiment", ["capm", "alpha_signals"])
def test_stock_experiments_take_any_source_of_prices(experiment: str, source: str) -> None:
    built = Composer().job([f"experiment={experiment}", *source.split()]).experiment.source
    if isinstance(built, Borrowing):  # of other data than those of the example
        built = built.whole
    assert type(built).__name__.lower() == source.split(maxsplit=1)[0].removeprefix("data=")


@pytest.mark.parametrize("scheme", ["none", "holdout_2000", "holdout_2022"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiments_take_any_validation_and_target(experiment: str, scheme: str) -> None:
    for target in ("same_period_return", "forward_return"):
        assert Composer().job(
            [f"experiment={experiment}", f"validation={scheme}", f"target={target}"]
        )


def test_every_line_of_comment_in_a_config_is_at_its_top_or_beside_a_value() -> None:
    for path in CONF.rglob("*.yaml"):
        assert path.read_text().startswith("#"), f"{path} says in its first line what it is"


def test_config_path_of_checkout_is_the_conf_folder() -> None:
    assert Path(__file__).parent.parent / "conf" == CONF


def test_an_experiment_may_change_any_value(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /target: excess_return]\nname: own\n"
        "preprocess: [{_target_: runner.preprocessing.rank}]\ntracking: {experiment: elsewhere}\n"
    )
    made = Composer(beside=str(tmp_path)).job(["experiment=mine"]).experiment
    assert made.name == "own"
    assert made.spec["tracking"]["experiment"] == "elsewhere"
    assert [step.name for step in made.steps] == ["rank"]


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_is_planned(name: str) -> None:
    assert len(Composer().plan([f"sweep={name}"]).jobs) > 1


def test_what_ships_is_composed_once_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    Composer().job(["model=ridge"])
    monkeypatch.delattr(OmegaConf, "load")
    monkeypatch.delattr(ConfigLoaderImpl, "_load_single_config")
    assert (
        Composer().job(["model=ridge", "model.penalty=7"]).experiment.spec["model"]["penalty"] == 7
    )


def test_specs_that_share_files_are_as_those_that_do_not(tmp_path: Path) -> None:
    shutil.copytree(CONF, tmp_path / "conf")
    for words in (
        ["model=ridge", "model.penalty=7", "+model.rows=common"],
        ["~features.SMB", "model.hypotheses=[]", "hydra.run.dir=elsewhere"],
        ["experiment=capm", "data=simulated", "data.assets=3"],
        ["experiment=capm", "data.assets=[A]", "hydra/job_logging=default"],
    ):
        alone = Composer(conf=str(tmp_path / "conf")).job(words)
        for _ in range(2):
            shared = Composer().job(words)
            assert shared.experiment.spec == alone.experiment.spec
            assert shared.experiment.overrides == alone.experiment.overrides
            assert shared.experiment.chosen == alone.experiment.chosen
