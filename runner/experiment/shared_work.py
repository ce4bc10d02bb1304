"""The parts of a run that other runs of the process share: data, panel, rows, audit and moments.

Each part is made once for everything that it depends on, and kept on the bench under those
settings. The settings of each part stand in its method, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.compute.cache import Bench
from runner.data.accounts.account import in_short
from runner.data.market import Market
from runner.errors import DataError, unknown
from runner.experiment.auditing.audit import Audit, audit
from runner.experiment.nodes import ASKED, kinds_of
from runner.experiment.settings import executor_of
from runner.features.alone import function_behind
from runner.features.asked import KEYS, by_settings, together
from runner.models.study import EVERY_CELL
from runner.panels.blocks.building import build_in_blocks
from runner.panels.blocks.recipe import Recipe, panel_rows, periods_of
from runner.panels.building import build_panel
from runner.panels.memory import refuse_arrays, refuse_model
from runner.panels.numbers.some_assets import of_each_asset
from runner.panels.panel import Panel
from runner.panels.rows import Rows, rows_of
from runner.panels.segments import Shared
from runner.record.identity import digest, family_key, job_key
from runner.record.ledger import Ledger
from runner.record.secrets import without_passwords
from runner.record.version import code_version
from runner.validation.folds import shared_by

if TYPE_CHECKING:
    from runner.experiment.spec import Experiment
    from runner.validation.splitters import Fold

PANELS = "panels"  # folder of those of a market on disk
PANEL_SETTINGS = ("data", "features", "target", "preprocess", "allow")  # of a spec


class Families(NamedTuple):
    """The trials that a run is one of.

    Attributes:
        now: the key of those on its rows and target.
        earlier: the keys under which earlier versions counted trials on the same data, with all
            that was read, or without what only parts beside `data` name -> the key now.
    """

    now: str
    earlier: Mapping[str, str]


class SharedWork:
    """Makes the parts of a run, or takes those that another run has left on the bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def market(self, experiment: Experiment) -> Market:
        """The data of the experiment.

        Raises:
            DataError: the data is missing or bad.
        """
        spec = experiment.spec
        settings = [spec.get("data"), spec.get("allow")]
        return self.bench.get("market", settings, experiment.market)

    def sample(self, experiment: Experiment, market: Market) -> str:
        """The digest of what the rows and the target are made of."""

        def digest() -> str:
            return market.fingerprint_of_rows(experiment.of_target)

        settings = [market.fingerprint, sorted(experiment.of_target)]
        return self.bench.get("sample", settings, digest)

    def key(self, experiment: Experiment, market: Market) -> str:
        """What makes the run the same run, whatever other jobs of its sweep read of the data."""
        names = together(experiment.own_data.get(ASKED, {}))
        own = {name for some in names.values() for name in some}

        def digest() -> str:
            return market.asking_only(own).fingerprint

        fingerprint = self.bench.get("own data", [market.fingerprint, names], digest)
        spec = without_passwords({**experiment.spec, "data": experiment.own_data})
        return job_key(spec, fingerprint, code_version(tuple(experiment.settings.allow)))

    def families(self, experiment: Experiment, market: Market) -> Families:
        """The trials that a run of the experiment belongs to, and those that it did before."""
        target = {"target": experiment.spec.get("target")}
        fingerprints = []
        ledger = Ledger(Path(experiment.settings.ledger))
        for whole in (market, market.asking_only(())):
            fingerprints.append(whole.fingerprint)
            if ledger.of_earlier_version():
                fingerprints.append(whole.fingerprint_of_earlier_versions)
        earlier = [family_key(target, fingerprint) for fingerprint in fingerprints]
        family = family_key(target, self.sample(experiment, market))
        return Families(family, dict.fromkeys(earlier, family))

    def account(self, experiment: Experiment, market: Market) -> tuple[str, ...]:
        """What the data of the experiment hold, in a few sentences."""

        def tell() -> tuple[str, ...]:
            return in_short(market)

        spec = experiment.spec
        return self.bench.get("account", [spec.get("data"), spec.get("allow")], tell)

    def panel(self, experiment: Experiment, market: Market) -> Panel:
        """The panel (T, N) of all features, before the model chooses its rows.

        Raises:
            DataError: a feature, a step or the target that the data cannot give.
        """

        def build() -> Panel:
            check_labels(experiment, market)
            _refuse_analyses(experiment, market)
            return full_panel(experiment, market)

        return self.bench.get("panel", _panel_settings(experiment, market), build)

    def rows(self, experiment: Experiment, market: Market, panel: Panel) -> tuple[Panel, Rows]:
        """The panel with the rows of the model, and which rows these are."""
        features = experiment.model.uses(panel.names)

        def choose() -> tuple[Panel, Rows]:
            chosen = rows_of(panel, features, experiment.rows, experiment.model.weight_field)
            panel.rest()
            return chosen

        # The panel may have been built again since, with other arrays of the same values.
        arrays = id(panel.cells)
        settings = [_panel_settings(experiment, market), features, experiment.rows, arrays]
        return self.bench.get("rows", settings, choose)

    def audit(self, experiment: Experiment, market: Market, panel: Panel) -> Audit:
        """The leak audit of the columns of the panel, without that of any model.

        Raises:
            DataError: a column that the data cannot give.
        """

        def audit_columns() -> Audit:
            return audit(experiment, market, panel=panel)

        seed = experiment.settings.audit_seed
        settings = [_panel_settings(experiment, market), seed]
        return self.bench.get("audit", settings, audit_columns)

    def moments(
        self, experiment: Experiment, market: Market, panel: Panel, folds: Sequence[Fold]
    ) -> Shared:
        """Moments of the segments of rows that the training parts of the folds are made of."""

        def segments() -> Shared:
            return shared_by(folds, panel)

        # Moments are of these very arrays.
        arrays = id(panel.cells)
        validation = experiment.spec.get("validation")
        settings = [_panel_settings(experiment, market), validation, arrays]
        return self.bench.get("moments", settings, segments)


def check_labels(experiment: Experiment, market: Market) -> None:
    """Whether labels that the model names are columns of the table that may be meant.

    Raises:
        DataError: one is no label of the data, whose table has further columns.
    """
    if not market.unread:
        return
    mistakes = []
    for setting, name in _labels_of_model(experiment):
        if name not in market.grouping:
            known = [*market.grouping.names, *market.unread]
            also = [] if setting == "dummies" else [*KEYS]
            mistakes.append(f"model.{setting}: {unknown(name, [*also, *known])}")
    if mistakes:
        raise DataError(mistakes)


def _labels_of_model(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """The settings of the model that name labels, and those labels."""
    kinds = kinds_of(type(experiment.model))
    for setting, value in experiment.spec.get("model", {}).items():
        for named in by_settings({setting: value}, kinds, text_is_a_name=False):
            if named.taken_for == "label":
                yield setting, named.name


def full_panel(experiment: Experiment, market: Market) -> Panel:
    """The panel (T, N) of all features of the experiment, on every row of the target.

    Raises:
        DataError: a feature, a step or the target that the data cannot give.
    """
    recipe = Recipe(
        experiment.features,
        experiment.target,
        experiment.steps,
        experiment.model.weight_field,
        experiment.allow_loss,
    )
    market_on_disk = market.fields.folder
    if market_on_disk is None:
        panel = build_panel(
            market, recipe.features, recipe.target, recipe.steps, recipe.weights, recipe.allow_loss
        )
        market.fields.rest()
        return panel
    _refuse_too_large(experiment, market, recipe)
    # files of an earlier run are those of the same code, a feature of a user's own included
    code = code_version(tuple(experiment.settings.allow))
    home = market_on_disk / PANELS / digest([*_panel_settings(experiment, market), code])
    settings = experiment.settings
    with executor_of(settings.executor, settings.allow) as executor:
        return build_in_blocks(market, recipe, home, executor)


def _refuse_analyses(experiment: Experiment, market: Market) -> None:
    """Whether the arrays that analyses take of a market of few listed cells fit into memory.

    Raises:
        DataError: those of some do not, one line each.
    """
    of_own_rows = experiment.spec.get("target", {}).get("frequency") is not None
    if market.fields.listed is None or (of_own_rows and not of_each_asset(experiment.target)):
        return
    dates = len(market.last_rows(*periods_of(experiment.target)))
    mistakes = []
    for name, analysis in experiment.analyses.items():
        if function_behind(analysis) not in EVERY_CELL:
            continue
        try:
            refuse_arrays(dates, len(market.assets))
        except DataError as error:
            mistakes += [f"analyses.{name}: {line}" for line in error.mistakes]
    if mistakes:
        raise DataError(mistakes)


def _refuse_too_large(experiment: Experiment, market: Market, recipe: Recipe) -> None:
    """Whether what the model needs of a panel on disk at once fits into memory.

    Raises:
        DataError: it does not.
    """
    model = experiment.model
    if model.reads == "parts":
        return
    used = len(model.uses(list(recipe.features)))
    dates = len(panel_rows(market, recipe))
    shape = (dates, len(market.assets))
    listed = (market.fields.listed or 0) * dates // len(market.dates)  # about
    refuse_model(listed, recipe.layout.row_bytes, shape, used, model.reads == "cells")


def _panel_settings(experiment: Experiment, market: Market) -> list[Any]:
    """All that the numbers of a panel depend on."""
    settings = {name: experiment.spec.get(name) for name in PANEL_SETTINGS}
    return [settings, experiment.model.weight_field, market.fingerprint]
