"""Public names: those of the package, those of the configs, and those that earlier versions had."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import runner
from runner.errors import SpecError
from runner.experiment.spec import build
from runner.names import RENAMED, present

ROOT = Path(__file__).parent.parent
PACKAGES = ("data", "features", "preprocessing", "models", "validation", "analyses", "session")
# What a `_target_` could name before the packages followed the groups of a spec.
EARLIER = {
    "runner.analyses.by_group": "target_by_group risk_by_group",
    "runner.analyses.classification": "classification curves",
    "runner.analyses.confidence_set": "confidence_set",
    "runner.analyses.equality": "equality",
    "runner.analyses.estimation_error": "estimation_error",
    "runner.analyses.fold_stability": "coefficients_by_fold",
    "runner.analyses.forecast_fit": "forecast_fit",
    "runner.analyses.influence": "influence",
    "runner.analyses.information": "information",
    "runner.analyses.monte_carlo": "monte_carlo",
    "runner.analyses.nested": "nested",
    "runner.analyses.performance": "performance style_box",
    "runner.analyses.portfolio": "portfolio portfolio_wealth",
    "runner.analyses.regimes": "regimes",
    "runner.analyses.risk": "risk covariance spectrum",
    "runner.analyses.risk_out_of_sample": "risk_out_of_sample",
    "runner.analyses.robustness": "linearity factor_shape omitted_factor multicollinearity",
    "runner.analyses.sharpe": "sharpe",
    "runner.analyses.sizing": "sizing sizing_wealth",
    "runner.analyses.stability": "stability cusum rolling_loadings",
    "runner.analyses.trading": "trading equity",
    "runner.boosting": "Boosting",
    "runner.cross_asset": "CrossAsset",
    "runner.data.sources.factor_truth": "SimulatedFactors",
    "runner.data.sources.simulated": "Simulated",
    "runner.factors": "long_short portfolio group_mean",
    "runner.features": "shared field market_return change momentum lagged_return volume_surprise volatility realised_volatility beta",
    "runner.fixed": "Fixed",
    "runner.models.cross_asset": "CrossAsset",
    "runner.models.rolling": "Rolling",
    "runner.preprocessing": "rank zscore demean winsorise clip log fill forward_fill universe drop_sparse neutralise",
    "runner.regression": "Regression",
    "runner.rolling": "Rolling",
    "runner.sinks.markup": "Html",
    "runner.sources.arch_data": "ArchData",
    "runner.sources.factor_truth": "SimulatedFactors",
    "runner.sources.file": "File",
    "runner.sources.french": "French",
    "runner.sources.simulated": "Simulated",
    "runner.sources.yahoo": "Yahoo",
    "runner.targets": "same_period_return forward_return forward_volatility up",
    "runner.two_pass": "TwoPass",
    "runner.validation": "NoValidation HoldOut WalkForward KFold Combinatorial",
}
OLD_PATHS = [f"{module}.{name}" for module, names in EARLIER.items() for name in names.split()]


def named(path: str) -> object:
    """What a `_target_` names, through the check of a spec."""
    from runner.experiment.nodes import resolve

    return resolve(path, [])


@pytest.mark.parametrize("path", OLD_PATHS)
def test_every_earlier_path_still_answers(path: str) -> None:
    name = path.rpartition(".")[2]
    assert getattr(named(path), "__name__", "") == name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = import_module(f"runner.{package}")
    assert list(module.__all__) == sorted(module.__all__) == dir(module)
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith("runner.")


def test_names_of_the_configs_are_public() -> None:
    paths = set()
    for file in (ROOT / "conf").rglob("*.yaml"):
        paths |= set(re.findall(r"_target_: (runner[.\w]+)", file.read_text(encoding="utf-8")))
    assert len(paths) > 60
    for path in paths:
        package, _, name = path.rpartition(".")
        if package != "runner.targets":
            assert name in import_module(package).__all__, path


def test_earlier_modules_lead_to_packages_that_are_there() -> None:
    for package in set(RENAMED.values()):
        assert present(package) == package
        assert import_module(package)


def test_the_package_itself_gives_what_a_session_needs() -> None:
    for name in runner.__all__:
        assert callable(getattr(runner, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        runner.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("runner.models.Regresion", "Regression"),
        ("runner.models.regression.Ghost", "in runner.models.regression"),
        ("runner.nowhere.Ghost", "no module"),
        ("os.path.join", "is code outside this package"),
    ],
)
def test_a_wrong_path_is_one_line(path: str, line: str) -> None:
    spec = {"model": {"_target_": path}}
    with pytest.raises(SpecError) as caught:
        build(spec)
    assert any(line in mistake for mistake in caught.value.mistakes)


@pytest.mark.parametrize("path", OLD_PATHS)
def test_scripts_that_import_an_earlier_module_still_run(path: str) -> None:
    module, _, name = path.rpartition(".")
    package, _, last = module.rpartition(".")
    if last in getattr(import_module(package), "__all__", ()):
        # The import would put a module in the place of the function, for all that follows.
        with pytest.raises(ModuleNotFoundError, match=f"{module} is a name of {package} now"):
            import_module(module)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert getattr(import_module(module), name) is named(path)
    assert getattr(named(path), "__name__", "") == name


def test_an_earlier_module_is_imported_as_scripts_do_and_warns(tmp_path: Path) -> None:
    code = (
        "from runner.sources.file import File\n"
        "from runner.study import Finding\n"
        "from runner.analyses.by_group import risk_by_group\n"
        "import runner.data, runner.analyses\n"
        "assert File is runner.data.File and Finding is runner.analyses.Finding\n"
        "assert risk_by_group is runner.analyses.risk_by_group\n"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "runner.sources.file is runner.data now" in done.stderr


@pytest.mark.parametrize("module", ["runner.nowhere", "runner.sourcess", "runner.sinks.nowhere"])
def test_a_module_that_never_was_is_not_found(module: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module(module)
