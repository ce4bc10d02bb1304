"""Specs and flags as they are mistyped: one line each that names the key and what is allowed, exit 2."""

from __future__ import annotations

import pytest
from conftest import call_cli

import runner
from runner.__main__ import VERBS
from runner.cli.composition import Composer
from runner.errors import SpecError
from runner.record.version import code_version

ONE_LINE = [
    (["allow=['.']"], "allow[0]: given '.'; allowed: the dotted name of a module"),
    (["allow=[..]"], "allow[0]: given '..'; allowed: the dotted name of a module"),
    (["allow=['']"], "allow[0]: given ''; allowed: the dotted name of a module"),
    (["model=2"], "model: given 2; allowed: boosting, "),
    (["model=[1,a]"], "model: given [1,a]; allowed: one of boosting, "),
    (["model=[]"], "model: given []; allowed: one of boosting, "),
    (["model=???"], "model: given ???; allowed: boosting, "),
    (["data=null"], "data: given null; allowed: arch, "),
    (["data=true"], "data: given true; allowed: arch, "),
    (["data.sectors=1e23", "data=simulated"], "data.sectors: given 1e+23; allowed: a whole number"),
    (["model.folds=asset"], "model.folds: given with estimator=ols; allowed: "),
    (["~experiment"], "~experiment: a spec has an option of each group; allowed: alpha_signals, "),
    (["~model"], "~model: a spec has an option of each group; allowed: boosting, "),
    (["--info=all", "data=null"], "data: given null; allowed: arch, "),
    (["--info=defaults", "model=2"], "model: given 2; allowed: boosting, "),
    (["--info=all", "x=1"], "x: 'x' is unknown; allowed: allow, "),
    (["--cfg=job", "-p", "nope"], "--package: 'nope' is unknown; allowed: "),
    (["--config-dir", ".", "ui"], "ui: a command, which comes before everything else: "),
    (["--config-dir", ".", "ui", "--port", "1"], "unrecognized arguments: --port 1"),
    (["-sc"], "--shell-completion: given ''; allowed: install=bash, "),
    (["-sc", "query=bash"], "--shell-completion: query=bash is for shells, which set COMP_LINE"),
    (["compare", "--nope"], "unrecognized arguments: --nope (python -m runner compare --help "),
    (["resume", "--json", "--quiet", "x"], "argument --quiet: not allowed with argument --json"),
    (["=1"], "=1: an override is written key=value"),
    (["hydra.mode=x"], "hydra.mode=x: Invalid value 'x', expected one of [RUN, MULTIRUN]"),
    (["hydra.run.dir=???"], "hydra.run.dir=???: Missing mandatory value"),
    (["analyses=[1]"], "analyses=[1]: a list is written [a,b], a mapping {a: 1}; allowed: "),
    (["name=${"], "name='${': no viable alternative at input '${'; an interpolation is written "),
    (["name=null"], "name: given null; allowed: text"),
]


@pytest.mark.parametrize(("words", "line"), ONE_LINE, ids=lambda value: " ".join(value)[:40])
def test_mistyped_is_one_line(cli, words: list[str], line: str) -> None:
    outcome = cli(*words)
    assert outcome.code == 2
    assert len(outcome.errors) == len(outcome.err.splitlines()) == 1
    assert outcome.errors[0].startswith(f"error: {line}")
    assert outcome.out == ""


def test_an_override_of_several_lines_is_refused_in_one() -> None:
    with pytest.raises(SpecError) as caught:
        runner.compose("+ledger='a\nb'")
    [line] = caught.value.mistakes
    assert line.startswith("+ledger='a\\nb': ")


def test_wrong_choices_are_named_beside_other_mistakes(cli) -> None:
    outcome = cli("model=2", "data=3", "x=1")
    starts = [line.split(": ")[1] for line in outcome.errors]
    assert (outcome.code, starts) == (2, ["model", "data", "x"])


def test_a_group_may_be_deleted_where_its_node_is_given(cli) -> None:
    node = "+target={_target_: runner.targets.same_period_return}"
    shown = cli("--cfg=job", "-p", "target", "~target", node)
    assert shown.code == 0
    assert "runner.targets.same_period_return" in shown.out


@pytest.mark.parametrize("module", ["os", "builtins", "sys", "not_there.at_all", "zipimport"])
def test_allowed_modules_without_a_file_have_a_version(module: str) -> None:
    assert code_version((module,)).startswith(code_version())


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_verb_does_nothing_else(tmp_path, monkeypatch, verb: str, flag: str) -> None:
    def called(words: object) -> int:
        raise AssertionError(f"{verb} was called")

    called.__doc__ = VERBS[verb].__doc__
    monkeypatch.setitem(VERBS, verb, called)
    for words in ([flag], ["x=1", flag], [flag, "--port", "1"]):
        outcome = call_cli(tmp_path, verb, *words)
        assert outcome.code == 0
        assert outcome.out.startswith(f"python -m runner {verb}")
    assert list(tmp_path.iterdir()) == []


def test_what_a_sweep_reads_for_itself_may_take_what_its_jobs_share() -> None:
    """It took the defaults of the spec in silence, whatever the jobs had."""
    spec = ("experiment=none", "data=simulated", "features=market", "target=forward_return")
    words = [*spec, "validation=walk_forward", "validation.first=50", "name=mine"]
    named = "tracking.experiment=${name}-${validation.first}"
    plan = Composer().plan([*words, named, "model.cov=HC0,HC3"])
    assert plan.tracking["experiment"] == "mine-50"
    for axis in ("name=a,b", "validation=walk_forward,kfold"):
        with pytest.raises(SpecError, match="which differs between the jobs of the sweep"):
            Composer().plan([*spec, named, axis])
