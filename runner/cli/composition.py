"""Hydra, and only here: from overrides to composed specs, with every mistake on its own line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from runner.cli.completion import SCRIPTS, completion
from runner.cli.example import Examples
from runner.cli.faults import (
    COMPOSING,
    NO_OPTION,
    OF_HYDRA,
    check_choices,
    check_package,
    culprit_of,
    explained,
    names_at,
    of_jobs,
)
from runner.cli.overlay import Composed, composed, further, with_on
from runner.cli.overrides import (
    axes_of,
    emptied,
    key_of,
    may_be_new,
    only_changes,
    opened,
    readable,
    refuse_varied,
    touches_open,
)
from runner.cli.resolved import allowed_modules, executor_of_sweep, resolved, sweep_of, unresolved
from runner.cli.usage import HELP, flags
from runner.errors import RunnerError, SpecError
from runner.experiment.spec import Experiment, build, chosen_options, mistakes
from runner.record.identity import job_key
from runner.schema.settings import COMMON
from runner.sweeps.axes import over
from runner.sweeps.plan import Job as PlannedJob
from runner.sweeps.plan import Plan
from runner.sweeps.search import combinations
from runner.sweeps.settings import Sweep
from runner.text import shown

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

# what a sweep reads of its own overrides
OF_SWEEPS = ("sweep", "executor", "hydra", "tracking", "ledger", "experiment", "allow")
ALIKE = 3  # first jobs whose mistakes are those of all jobs, where they are the same


@dataclass(frozen=True)
class Job:
    """A spec ready to run, and the directory that its results go to."""

    experiment: Experiment
    directory: Path


def shipped_conf() -> Path:
    """The `conf` directory of the checkout or, installed, of the package: the first that exists."""
    package = Path(__file__).parents[1]
    places = (package.parent / "conf", package / "conf")
    return next(path for path in places if (path / "config.yaml").is_file())


class Composer:
    """Composes specs from the configs in `conf`, after those of another directory if one is named.

    Args:
        conf: the directory of all configs; None: the shipped one.
        beside: a directory whose configs come before those.
        name: of the first config; None: config.

    Raises:
        SpecError: a directory that is not there.
    """

    def __init__(
        self, conf: str | None = None, beside: str | None = None, name: str | None = None
    ) -> None:
        self.name = name or "config"
        places = {"--config-path": conf, "--config-dir": beside}
        missing = {flag: path for flag, path in places.items() if path and not Path(path).is_dir()}
        if missing:
            raise SpecError([f"{key}: no such directory {path!r}" for key, path in missing.items()])
        main = str(Path(conf).resolve()) if conf else str(shipped_conf())
        search = create_automatic_config_search_path(None, None, main)
        if beside:
            search.prepend(provider="command-line", path=f"file://{Path(beside).resolve()}")
        self.configs = (conf, beside, name)
        self.bases: dict[tuple[str, ...], tuple[DictConfig, Composed]] = {}
        self.read: dict[str, Override] = {}
        self.mappings: dict[tuple[str, ...], DictConfig] = {}
        self.added: list[str] = []  # new keys of open mappings
        self.earlier = ""  # a sentence on earlier names
        GlobalHydra.instance().clear()
        self.hydra = Hydra.create_main_hydra2(task_name="runner", config_search_path=search)
        self.examples = Examples(self.hydra.config_loader)

    def job(self, overrides: Sequence[str]) -> Job:
        """The spec of one run, checked.

        Raises:
            SpecError: every mistake of the overrides and of the spec, one line each.
        """
        words = self.typed(overrides)
        try:
            config = self._of_run(words)
            directory = Path(config.hydra.run.dir)
            sweep_of(config)
            chosen = chosen_options(config.hydra.runtime.choices)
            spec = self.examples.suited(_plain(config), chosen, words)
            return Job(build(spec, words, chosen), directory)
        except COMPOSING as error:
            raise self._refusal(words, error) from None

    def plan(self, overrides: Sequence[str]) -> Plan:
        """The plan of a sweep, a job per combination, all checked before any runs.

        Raises:
            SpecError: the mistakes, each with the job it is in.
        """
        overrides = own = self.typed(overrides)
        try:
            fixed, axes = axes_of(self._parsed(overrides))
            own = [word for word in fixed if _of_sweep(word)]
            refuse_varied(own, axes)
            uses_others = any("${" in word for word in own)
            if uses_others and self._fault(fixed) is None:  # others may need a job's own
                own = fixed
            config = self._compose(own, RunMode.MULTIRUN)
            HydraConfig.instance().set_config(config)  # lets ${hydra:...} in the directory resolve
            directory = Path(config.hydra.sweep.dir)
            settings = sweep_of(config)
            executor, self.earlier = executor_of_sweep(config)
            rows = [self.typed(row, fixed) for row in settings.jobs]
            settings = replace(settings, jobs=rows)
            varied = [over(key, values) for key, values in settings.over.items()]
            axes += axes_of(self._parsed(self.typed(varied, fixed)))[1]
            places = _plain(config)
        except COMPOSING as error:
            raise self._refusal(own, error) from None
        empty = Plan(
            directory=directory,
            settings=settings,
            configs=self.configs,
            words=tuple(overrides),
            fixed=tuple(fixed),
            axes=tuple(axes),
            jobs=(),
            tracking=places["tracking"],
            ledger=places["ledger"],
            allow=allowed_modules(config),
            executor=executor,
        )
        every = combinations(axes, settings, empty.search)
        jobs = self._checked(empty, every)
        whole = empty.having(jobs)
        # those were one of each value, to be checked; the scores lead to others
        if empty.search.led:
            return replace(whole, jobs=())
        return replace(whole, same=len(every) - len(jobs))

    def _checked(self, plan: Plan, every: Sequence[Sequence[str]]) -> tuple[PlannedJob, ...]:
        """A job per different spec.

        Raises:
            SpecError: the mistakes, each with the job it is in; once where the first jobs have the
                same.
        """
        jobs: dict[str, PlannedJob] = {}
        having: dict[str, list[int]] = {}  # mistake -> the jobs that have it
        refusals: list[tuple[str, ...]] = []  # the mistakes of each job that has some
        first = min(ALIKE, len(every))
        for number, differs in enumerate(every):
            try:
                job = self.planned(plan, len(jobs), differs)
                jobs.setdefault(job_key(job.spec, "", ""), job)
            except RunnerError as error:
                refusals.append(error.mistakes)
                for line in error.mistakes:
                    having.setdefault(line, []).append(number)
                all_of_the_first = len(refusals) == first and number + 1 == first
                if all_of_the_first and len(set(refusals)) == 1:
                    raise SpecError(error.mistakes) from None
        if having:
            raise SpecError([f"{of_jobs(of, every)}: {line}" for line, of in having.items()])
        return tuple(jobs.values())

    def planned(self, plan: Plan, number: int, differs: Sequence[str]) -> PlannedJob:
        """A job of the plan, checked.

        Raises:
            SpecError: every mistake of its spec, one line each.
        """
        overrides = (*plan.fixed, *differs)
        try:
            spec, chosen = self._spec(plan.fixed, differs)
        except COMPOSING as error:
            raise self._refusal(overrides, error) from None
        spec = self.examples.suited(spec, chosen, overrides)
        model = spec.get("model")
        # jobs compare in sample on common rows
        if isinstance(model, dict) and model.get("rows") is None:
            spec = {**spec, "model": {**model, "rows": COMMON}}
            overrides = (*overrides, f"++model.rows={COMMON}")
        spec.pop("executor", None)  # who runs the jobs runs nothing in them
        job = PlannedJob(number, tuple(differs), overrides, build(spec).spec, chosen=chosen)
        return job.asking(plan.asked)

    def places(self, overrides: Sequence[str]) -> tuple[dict[str, Any], Path]:
        """The composed spec, not checked, and the directory of a run: where things are."""
        overrides = self.typed(overrides)
        try:
            config = self._of_run(overrides)
            directory = Path(config.hydra.run.dir)
            chosen = chosen_options(config.hydra.runtime.choices)
            return self.examples.suited(_plain(config), chosen, overrides), directory
        except COMPOSING as error:
            raise self._refusal(overrides, error) from None

    def sweep(self, overrides: Sequence[str]) -> Sweep:
        """The node `sweep` of the composed spec."""
        overrides = self.typed(overrides)
        try:
            return sweep_of(self._compose(overrides, RunMode.RUN))
        except COMPOSING as error:
            raise self._refusal(overrides, error) from None

    def show(self, args: argparse.Namespace) -> None:
        """What needs no run: --help, --hydra-help, --cfg, --info, --shell-completion."""
        if not args.shell_completion:
            args.overrides = self.typed(args.overrides)
        try:
            if args.help:
                print(self._help(args.overrides))
            elif args.hydra_help:
                self.hydra.hydra_help(config_name=self.name, args_parser=flags(), args=args)
            elif args.cfg:
                config = self._compose(args.overrides, RunMode.RUN)  # else mistakes are a traceback
                check_package(args.package, config)
                self.hydra.show_cfg(self.name, args.overrides, args.cfg, args.package, args.resolve)
            elif args.info:
                self._compose(args.overrides, RunMode.RUN)
                self.hydra.show_info(args.info, config_name=self.name, overrides=args.overrides)
            else:
                self._complete(args.overrides)
        except COMPOSING as error:
            raise self._refusal(args.overrides, error) from None

    def _complete(self, words: Sequence[str]) -> None:
        """Print what a shell asks for to complete words with the tab key."""
        request = completion(words)
        if request in SCRIPTS:
            print(SCRIPTS[request])
        else:
            self.hydra.shell_completion(config_name=self.name, overrides=[request])

    def typed(self, overrides: Sequence[str], beside: Sequence[str] = ()) -> list[str]:
        """The overrides as Hydra reads them: quoted where needed, + before new keys of a person's.

        Args:
            beside: further overrides of the same spec.

        Raises:
            SpecError: a new key that is nearly a known one, one line each.
        """
        words = list(map(readable, overrides))
        if not any(map(may_be_new, words)):
            return words
        try:
            known = self._before([word for word in (*beside, *words) if not may_be_new(word)])
            words, added = opened(words, known)
        except COMPOSING:
            return words  # what is wrong is said when they are composed
        self.added += added
        return words

    def _before(self, overrides: Sequence[str]) -> DictConfig:
        """The spec that new keys come into, composed once for all jobs with the same mappings."""
        fixed = axes_of(self._parsed(overrides))[0]
        pairs = zip(fixed, self._parsed(fixed), strict=True)
        words = tuple(word for word, read in pairs if self._chooses(read) or touches_open(word))
        if words not in self.mappings:
            self.mappings[words] = self._compose(words, RunMode.RUN)
        return self.mappings[words]

    def _of_run(self, overrides: Sequence[str]) -> DictConfig:
        """The composed spec of a run, made of that which new keys were looked for in, if any."""
        every = self._parsed(overrides)
        choices = [override for override in every if self._chooses(override)]
        options = [choice for choice in choices if not isinstance(choice.value(), dict)]
        before = self.mappings.pop(tuple(str(option.input_line) for option in options), None)
        config = further(before, every, options) or self._compose(overrides, RunMode.RUN)
        HydraConfig.instance().set_config(config)  # lets ${hydra:...} in the directory resolve
        return config

    def _help(self, overrides: Sequence[str]) -> str:
        """The command line, the groups with their options, and the spec that the overrides make."""
        loader = self.hydra.config_loader
        groups = [group for group in loader.list_groups("") if group != "hydra"]
        options = [f"{group}: {', '.join(loader.get_group_options(group))}" for group in groups]
        config = self._compose(overrides, RunMode.RUN)
        with open_dict(config):
            del config["hydra"]
        spec = OmegaConf.to_yaml(config).rstrip()
        return HELP.format(groups="\n".join(options), spec=spec).rstrip()

    def _spec(
        self, fixed: Sequence[str], differs: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The spec of a job of a sweep and its chosen options.

        What all jobs share is composed once: most differ in values.
        """
        shared = self._parsed(fixed)
        own = self._parsed(differs)
        every = [*shared, *own]
        if any(override.is_delete() for override in every):
            config = self._compose([*fixed, *differs], RunMode.RUN)
            chosen = chosen_options(config.hydra.runtime.choices)
            return _plain(config), chosen
        groups = [override for override in every if self._chooses(override)]
        config, base = self._base(fixed, shared, groups)
        chosen = chosen_options(config.hydra.runtime.choices)
        values = [override for override in own if override not in groups]
        if all(only_changes(override) for override in values):
            quick = base.given([(override.key_or_group, override.value()) for override in values])
            if quick is not None:
                return quick, chosen
        config = deepcopy(config)
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return _plain(config), chosen

    def _base(
        self, fixed: Sequence[str], shared: Sequence[Override], groups: Sequence[Override]
    ) -> tuple[DictConfig, Composed]:
        """What all jobs with these groups share, composed once."""
        options = tuple(str(override.input_line) for override in groups)
        key = (*options, "", *fixed)
        if key not in self.bases:
            config = self._compose(options, RunMode.RUN)
            values = [override for override in shared if override not in groups]
            ConfigLoaderImpl._apply_overrides_to_config(values, config)
            self.bases[key] = config, composed(_plain(deepcopy(config)), unresolved(config))
        return self.bases[key]

    @cached_property
    def _groups(self) -> set[str]:
        return {"", "hydra", *self.hydra.config_loader.list_groups("")}

    def _chooses(self, override: Override) -> bool:
        """Whether the override chooses an option of a group."""
        group = override.key_or_group.partition("/")[0]
        return group in self._groups and "." not in override.key_or_group

    def _parsed(self, overrides: Sequence[str]) -> list[Override]:
        parser = OverridesParser.create()
        for word in overrides:
            if word not in self.read:
                [self.read[word]] = parser.parse_overrides([word])
        return [self.read[word] for word in overrides]

    def _compose(self, overrides: Sequence[str], mode: RunMode) -> DictConfig:
        choices = [override for override in self._parsed(overrides) if self._chooses(override)]
        check_choices(choices, overrides, self.hydra.config_loader.get_group_options)
        try:
            return self.hydra.compose_config(self.name, list(overrides), mode)
        except OF_HYDRA as error:
            raise HydraException(str(error)) from error

    def _refusal(self, overrides: Sequence[str], error: Exception) -> SpecError:
        """A line for each override that does not compose, then those of the spec of the others.

        Of a spec without an option of a group nothing else is said: it would be of another option.
        """
        rest = list(overrides)
        faults = []
        config = OmegaConf.create({})
        spec = None
        slips: Sequence[str] = ()
        while spec is None:
            # new keys have their plus only where all else composes
            settled = [word for word in rest if not may_be_new(word)]
            if len(settled) < len(rest):
                error = self._fault(settled) or error
            culprit = culprit_of(error, rest)
            faults.append((culprit or self.name, error))
            if culprit is None:
                break
            rest.remove(culprit)
            try:
                rest = self.typed(rest)
                config = self._compose(rest, RunMode.RUN)
                spec = _plain(config)
            except SpecError as slip:
                slips = slip.mistakes
                break
            except COMPOSING as another:
                error = another
        groups = self.hydra.config_loader.list_groups("")
        names = partial(names_at, config=config, groups=groups)
        lines = [*(shown(explained(*fault, names)) for fault in faults), *slips]
        without_option = any(isinstance(fault, NO_OPTION) for _, fault in faults)
        if spec is not None and not without_option:
            lines += mistakes(spec)
        return SpecError(lines)

    def _fault(self, overrides: Sequence[str]) -> Exception | None:
        """Why the overrides do not compose; None where they do."""
        try:
            self._compose(overrides, RunMode.RUN)
        except COMPOSING as error:
            return error
        return None


def _plain(config: DictConfig) -> dict[str, Any]:
    """The spec as plain mappings, every interpolation resolved, without Hydra's own node."""
    HydraConfig.instance().set_config(config)  # lets ${hydra:...} in the spec resolve
    with open_dict(config):
        del config["hydra"]
        config.pop("sweep", None)  # how many are run says nothing of each
    return dict(with_on(emptied(resolved(config))))


def _of_sweep(override: str) -> bool:
    """Whether a sweep reads the override for itself."""
    return re.split(r"[./@]", key_of(override))[0] in OF_SWEEPS
