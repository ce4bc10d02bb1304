"""How a sweep varies its spec, and what is made of its jobs together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from runner.schema.settings import Positive, Rows


@dataclass(frozen=True)
class Sweep:
    """Settings of a sweep.

    Attributes:
        over: values by key, a list or text as on the command line such as `interval(0.1, 10)`;
            beside key=a,b there.
        jobs: lists of overrides, one job each, combined with what `over` gives.
        search: grid, every combination; zip, the values side by side; random draws; bayes, draws
            led by the scores so far (Optuna); or a class of one's own by `_target_`, see
            `runner.sweeps.search.Search`.
        draws: how many, of random, bayes and searches of one's own.
        seed: of the draws and of the bootstraps of the multiple tests.
        report: what each job writes, see the key `report` of a spec.
        score, lower_is_better: the metric that ranks the jobs.
        tests: terms whose coefficients are tested together; null: all terms of each job but the
            constant.
        fail_fast: stop at the first job that fails.
        timeout: most seconds of a job; null: none.
        cache, cache_gb: directory of the data and panels that processes share, and its most 1e9
            bytes.
        retries: how often a job is tried again that was killed, ran out of time, or raised what it
            should not.
    """

    over: dict[str, Any] = field(default_factory=dict)
    jobs: list[list[str]] = field(default_factory=list)
    search: str | dict[str, Any] = "grid"
    draws: Rows | None = None
    seed: int = 0
    report: Literal["tables", "full"] = "tables"
    score: str = "oos/r2"
    lower_is_better: bool = False
    tests: list[str] | None = None
    fail_fast: bool = False
    timeout: Positive | None = None
    retries: int = 0
    cache: str = "outputs/cache"
    cache_gb: Positive = 10.0

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries: given {self.retries}; allowed: a whole number from 0")
