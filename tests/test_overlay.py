"""The quick way to the spec of a job gives what the composer gives, mistakes included."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from runner.cli import composition
from runner.cli.composition import Composer, shipped_conf
from runner.cli.overlay import composed
from runner.errors import SpecError
from runner.sweeps.plan import Plan
from runner.sweeps.settings import Sweep

EXPERIMENTS = sorted(path.stem for path in (shipped_conf() / "experiment").glob("*.yaml"))
VALUES = [
    "1",
    "0.5",
    "-3",
    "null",
    "true",
    "abc",
    "'1'",
    "'a b'",
    "[1,2]",
    "[]",
    "[x0,[y]]",
    "1e-3",
    "nan",
    "???",
]
VALUES += [
    "{a:1}",
    "[{a:1}]",
    "${target.frequency}",
    "'${name}s'",
    "[${name}]",
    "",
    "' '",
    "a\\,b",
    "'a\\b'",
]
WORDS = [
    "model=ridge",
    "model=ols",
    "target=forward_return",
    "validation=none",
    "+data@spare=simulated",
    "model=nil",
]
WORDS += [
    "name=a b",
    "+name=x",
    "++name=x",
    "~preprocess",
    "~model.cov",
    "+model.cov=HC0",
    "++model.cov=HC0",
]
WORDS += [
    "model.missing=1",
    "model.missing.too=1",
    "features.market_vol.of=5",
    "analyses.trading.cost=0.1",
    "+x.y=1",
]
WORDS += [
    "target.frequency=week",
    "analyses.classification.threshold=0.4",
    "model@there=ols",
    "sweep.retries=1",
]
WORDS += [
    "features={}",
    "hydra.run.dir=here",
    "preprocess.0.on=[target]",
    "model.penalty=0.3",
    "=1",
    "model.cov=[",
    "a",
]


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer()


def plan_of(*fixed: str) -> Plan:
    none = (None, None, None)
    return Plan(Path(), Sweep(), none, (), fixed, (), (), {}, "")


def outcome(make: Any) -> Any:
    """The spec as text, types and order included, or its mistakes."""
    try:
        return repr(make())
    except SpecError as error:
        return error.mistakes


def by_both(composer: Composer, fixed: list[str], differs: list[str]) -> tuple[Any, Any]:
    quick = outcome(lambda: composer.planned(plan_of(*fixed), 0, differs).spec)
    common = "++model.rows=common"  # of every job of a sweep, unless it says otherwise
    return quick, outcome(lambda: composer.job([*fixed, common, *differs]).experiment.spec)


def leaves(node: Any, key: str = "") -> list[str]:
    """Dotted keys, those of mappings too."""
    inside = node.items() if isinstance(node, dict) else ()
    return [
        *([key] if key else []),
        *(one for k, v in inside for one in leaves(v, f"{key}.{k}" if key else k)),
    ]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_jobs_are_those_of_the_composer(composer: Composer, experiment: str) -> None:
    chance = random.Random(experiment)
    whole = [f"experiment={experiment}"]
    keys = [
        one
        for one in leaves(dict(composer.job(whole).experiment.spec))
        if not one.startswith(("tracking", "executor"))
    ]
    for _ in range(3):
        drawn = [
            f"{chance.choice(keys)}={chance.choice(VALUES)}"
            for _ in range(chance.choice([1, 1, 2]))
        ]
        some = [*drawn, *chance.sample(WORDS, chance.choice([0, 0, 1]))]
        at = chance.randrange(len(some))
        quick, slow = by_both(composer, whole + some[:at], some[at:])
        assert quick == slow, (whole, some[:at], some[at:])


@pytest.mark.parametrize("word", WORDS)
def test_every_kind_of_override_is_as_the_composer_has_it(composer: Composer, word: str) -> None:
    for fixed, differs in (
        (["experiment=direction"], ["model.cov=HC0", word]),
        (["experiment=direction", word], []),
    ):
        quick, slow = by_both(composer, fixed, differs)
        assert quick == slow, (fixed, differs)


def test_jobs_leave_each_other_alone(composer: Composer) -> None:
    plan = plan_of("experiment=none", "model=ridge")
    first = composer.planned(plan, 0, ["model.penalty=0.5"]).spec
    told = repr(first)
    second = composer.planned(plan, 1, ["model.penalty=0.7", "model.standardise=false"]).spec
    assert repr(first) == told
    assert second["model"] == first["model"] | {"penalty": 0.7, "standardise": False}


def test_what_follows_from_elsewhere_is_left_to_the_composer() -> None:
    spec = {"a": {"b": 1, "c": 1, "d": [2]}, "e": {"f": 1}, "g": 5, "name": "x"}
    raw = {
        "a": {"b": 1, "c": "${a.b}", "d": [2]},
        "e": "${a}",
        "g": 5,
        "name": "${hydra:runtime.choices.model}",
    }
    known, before = composed(spec, raw), repr(spec)
    assert known.given([("g", 7)]) == spec | {"g": 7}
    assert composed(spec, spec).given([("a.d", [1, "x"]), ("a.b", None)]) == spec | {
        "a": {"b": None, "c": 1, "d": [1, "x"]}
    }
    for key in ("a", "a.b", "a.c", "e.f", "h", "g.h", "a.d.0"):
        assert known.given([(key, 1)]) is None, key
    for value in ("${g}", "???", {}, [{}], ["${g}"], object()):
        assert known.given([("g", value)]) is None, value
    for text in ("${.b}", "${now:%Y}", "${a.b}s", "${hydra:job.num}", "${a.${name}}", "${a[b]}"):
        assert composed(spec, raw | {"g": text}).given([("g", 1)]) is None, text
    assert composed(spec, spec).given([("a", 1)]) is None
    assert repr(spec) == before


NEW = ["experiment=none", "data=simulated", "features=none", "features={size:close}"]
LATER = [
    ["model=ridge", "model.penalty=0.5"],
    ["features={size:close,move:ret}", "model=ols", "model.cov=HC0"],
    ["features.later=lag(ret)", "hydra.run.dir=runs/${hydra.job.override_dirname}"],
    ["hydra.run.dir=runs/${hydra:runtime.choices.model}", "model=ridge"],
    ["name='of ${target.frequency}'", "target.frequency=month"],
    ["+features.size=ret"],
    ["~features.size"],
    ["~preprocess", "model=ridge"],
    ["model=ridge,ols"],
    ["model=nil"],
    ["model=[ridge]"],
    ["model.penalti=1"],
    ["+model.cov=HC0"],
    ["model={name:ridge}", "model.penalty=2"],
    ["features=market", "features.size=null"],
    ["data.columns.own=x", "data.seed=3"],
    ["model.cov=${absent}"],
]


@pytest.mark.parametrize("later", LATER, ids=" ".join)
def test_a_spec_with_new_keys_is_that_composed_at_once(
    later: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*NEW, *later]

    def job() -> tuple[Any, str]:
        composed_job = Composer().job(words)
        return composed_job.experiment.spec, re.sub(r"\d\d-\d+$", "", str(composed_job.directory))

    further = outcome(job)
    monkeypatch.setattr(composition, "further", lambda *given: None)
    assert further == outcome(job)


def test_a_spec_with_new_keys_is_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compositions = []
    compose = Composer._compose

    def counted(self: Composer, *args: Any) -> Any:
        compositions.append(args)
        return compose(self, *args)

    monkeypatch.setattr(Composer, "_compose", counted)
    job = Composer().job([*NEW, "model=ridge", "model.penalty=2"])
    assert job.experiment.spec["features"] == {"size": "close"}
    assert len(compositions) == 1


def test_a_directory_is_named_by_the_choices_of_its_own_run() -> None:
    name = "hydra.run.dir=runs/${hydra:runtime.choices.model}"
    several = [name.replace("run.dir", "sweep.dir"), "target.partial=drop,keep"]
    for model in ("ridge", "ols"):
        words = ["experiment=none", f"model={model}"]
        plan = Composer().plan([*words, *several])  # before the job, whose choices would do
        assert plan.directory == Path("runs", model)
        assert Composer().job([*words, name]).directory == Path("runs", model)
