"""The reference: pages made from the code of the installed version."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import runner
from runner import analyses, errors, features, preprocessing
from runner.cli.catalogue import by_default
from runner.cli.composition import Composer
from runner.cli.site import groups
from runner.cli.site.content import Page
from runner.cli.site.described import Part, of_names, page_of, paragraphs_of, settings_list, table
from runner.cli.usage import VERBS, command
from runner.estimators.standard_errors import ERRORS
from runner.experiment.settings import NESTED, Settings
from runner.features.operators import FUNCTIONS
from runner.panels.finding import Finding
from runner.sinks.markup import joined, tag

ANY_ERROR = errors.RunnerError


def pages(composer: Composer) -> list[Page]:
    """Every page of the reference, in the order of the navigation."""
    return [
        _verbs(),
        _spec(),
        *groups.pages(composer),
        _functions(),
        _operators(),
        _steps(),
        _standard_errors(),
        _analyses(),
        _python(),
        _mistakes(),
    ]


def _verbs() -> Page:
    about = "What follows `python -m runner`; each has `--help`."
    rows = [(command(verb), meaning) for verb, (_, meaning) in VERBS.items()]
    return _tabled("commands", "Commands", about, ["command", "what it does"], rows)


def _spec() -> Page:
    about = "The settings of a spec beside its groups, as they stand in `conf/config.yaml`."
    beside = [setting for setting in by_default(Settings) if setting.name not in NESTED]
    nested = [(name, settings_list(by_default(kind))) for name, kind in NESTED.items()]
    return page_of("spec", "Spec", about, nested, lead=settings_list(beside))


def _functions() -> Page:
    about = "What a feature may be, by `_target_`; row t of each uses data up to t."
    functions = _public(features)
    parts = of_names("runner.features", functions)
    return page_of("functions", "Functions of features", about, parts)


def _operators() -> Page:
    about = (
        "What an expression may call. Windows are in rows, row t included; a value is missing "
        "where an input is missing or the window is not full."
    )
    rows = []
    for name, function in FUNCTIONS.items():
        taken = [f"{word}: {parameter.words}" for word, parameter in function.takes.items()]
        rows.append((function.usage(name), function.about, "; ".join(taken)))
    headings = ["written", "what it is", "what it takes"]
    return _tabled("operators", "Operators of expressions", about, headings, rows)


def _steps() -> Page:
    about = "What `preprocess` may list by `_target_`: steps before the fit."
    parts = of_names("runner.preprocessing", _public(preprocessing, preprocessing.STEPS))
    return page_of("steps", "Steps of preprocessing", about, parts)


def _standard_errors() -> Page:
    about = (
        "What `model.cov` may be; which of them suit which rows, and their sources, stand under "
        "Concepts."
    )
    rows = []
    for name, covariance in ERRORS.items():
        words = covariance.words(name, "cov_lags", ["clusters"], logit=False)
        logit = "none"
        if covariance.of_logit is not None:
            logit = covariance.words(name, "cov_lags", ["clusters"], logit=True)
        rows.append((name, covariance.allows, ", ".join(covariance.by), words, logit))
    headings = ["model.cov", "the errors", "regressions by", "conventions", "of a logit"]
    return _tabled("standard-errors", "Standard errors", about, headings, rows)


def _analyses() -> Page:
    about = (
        "What `analyses` may hold by `_target_`: what is computed after the fit. The page on "
        "metrics defines their numbers."
    )
    named = _public(analyses)
    functions = {name: value for name, value in named.items() if inspect.isfunction(value)}
    parts = of_names("runner.analyses", functions)
    parts.append(("What an analysis gives", joined(*paragraphs_of(Finding))))
    return page_of("analyses", "Analyses", about, parts)


def _python() -> Page:
    about = "The public names of `import runner`; a DataFrame of your own is given as `data`."
    parts: list[Part] = []
    for name, value in _public(runner).items():
        if inspect.isfunction(value):
            parameters = inspect.signature(value)
            text = str(parameters)
            signature = text.replace("'", "")
            call = f"runner.{name}{signature}"
            code_of_call = tag("code", call)
            called = tag("p", code_of_call)
            parts.append((f"runner.{name}", joined(called, *paragraphs_of(value))))
    return page_of("python-names", "Python", about, parts)


def _mistakes() -> Page:
    about = "What is raised in Python; on the command line one line per mistake, and an exit code."
    rows = []
    for value in vars(errors).values():
        if inspect.isclass(value) and issubclass(value, ANY_ERROR):
            docstring = inspect.getdoc(value) or ""
            summary = docstring.partition("\n\n")[0]
            rows.append((value.__name__, str(value.exit_code), summary))
    headings = ["error", "exit code", "when"]
    return _tabled("errors", "Errors", about, headings, rows)


def _tabled(
    name: str, title: str, about: str, headings: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> Page:
    """A page that is one table, below a paragraph on it."""
    shown = table(headings, rows, title)
    return page_of(name, title, about, lead=shown)


def _public(package: Any, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The public names of a package, or these of them, by name."""
    listed = package.__all__ if names is None else names
    return {name: getattr(package, name) for name in listed}
