"""Cross-validation: every row is forecast once, or once by every path, by fits on the others.

Rows of a fold are fitted on before and after it: they say how well a model holds, not how it would
have forecast. Spans and purges count rows as `runner.validation.splitters` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from runner.schema.settings import Count, HoldOutSpan, Rows, Several
from runner.validation.folds import Fold, Gaps, UsableRows, carve, trained
from runner.validation.holdout import equal_parts, held_out_folds
from runner.validation.splitters import Purge, Scheme

MOST_SPLITS = 2_500  # of combinatorial cross-validation


@dataclass(frozen=True)
class KFold(Scheme):
    """Cut the rows into parts, forecast each, and train on the rows on both its sides.

    Trained on: the rows before the test part and those after it, less purge and embargo. Training
    on what came later is no forecast that anyone could have made: it uses every row to test, and
    says less than walking forward. Left out: rows on each side of the test part whose target shares
    a return with one of its targets (`purge`), then `embargo` further rows after it.
    Tested: every part once. Parts differ in length by one row at most, the longer ones first.

    Attributes:
        folds: number of parts.
        purge: known leaves out horizon - 1 rows on each side of a test part (none at horizon 0 and
            1): those before have a target that is not known at the first test row, those after
            share a return with the last test target; strict leaves out horizon rows, so that no
            span of prices is touched twice; a number, so many.
        embargo: further rows after each test part.
        holdout: last rows, or time such as 1y, that no other fold may test or train on, nor train
            near to; forecast once, as a last fold `holdout`.
    """

    folds: Several
    purge: Purge = "known"
    embargo: Count = 0
    holdout: HoldOutSpan = 0

    def split_rows(self, rows: UsableRows, horizon: int) -> list[Fold]:
        """Folds named 1, 2, ... and holdout.

        Raises:
            DataError: fewer rows than parts, or a fold without training row.
        """
        parts = equal_parts(rows.dates, self.folds, self.holdout, "folds")
        gaps = Gaps.of(self.purge, horizon, self.embargo)
        end = parts[-1][1]
        folds = []
        train = (0, end)
        for k, part in enumerate(parts, 1):
            fold = carve(str(k), [part], train, gaps, end, rows)
            folds.append(fold)
        folds += held_out_folds(end, gaps, rows)
        return [trained(fold, "folds", rows) for fold in folds]


@dataclass(frozen=True)
class Combinatorial(Scheme):
    """Combinatorial purged cross-validation (Lopez de Prado 2018, chapter 12).

    The rows are cut into `groups` that follow each other; every choice of `test_groups` of them is
    a split. Trained on: the rows of all other groups, before and after, less purge and embargo
    around each tested one. Left out: as in KFold, around every tested group.
    Tested: the chosen groups. Every group is forecast C(groups - 1, test_groups - 1) times: so many
    backtest paths, each with every group once. Path k takes of each group the k-th split that tests
    it.

    Attributes:
        groups: number of parts, which differ in length by one row at most.
        test_groups: parts that a split tests.
        purge, embargo, holdout: as in KFold.
    """

    groups: Several = 10
    test_groups: Rows = 2
    purge: Purge = "known"
    embargo: Count = 0
    holdout: HoldOutSpan = 0

    def __post_init__(self) -> None:
        given = f"test_groups: given {self.test_groups} with groups={self.groups}"
        if self.test_groups >= self.groups:
            raise ValueError(f"{given}; allowed: less than groups")
        splits = comb(self.groups, self.test_groups)
        if splits > MOST_SPLITS:
            raise ValueError(f"{given}, {splits:,} splits; allowed: up to {MOST_SPLITS:,} splits")

    def split_rows(self, rows: UsableRows, horizon: int) -> list[Fold]:
        """Folds named 1, 2, ... in the order of the combinations, and holdout.

        Raises:
            DataError: fewer rows than groups, or a fold without training row.
        """
        parts = equal_parts(rows.dates, self.groups, self.holdout, "groups")
        gaps = Gaps.of(self.purge, horizon, self.embargo)
        end = parts[-1][1]
        folds = []
        train = (0, end)
        times_tested = np.zeros(self.groups, dtype=int)
        choices = combinations(range(self.groups), self.test_groups)
        for k, chosen in enumerate(choices, 1):
            groups = list(chosen)
            times_tested[groups] += 1
            tested = [parts[group] for group in groups]
            lengths = [until - start for start, until in tested]
            path = np.repeat(times_tested[groups], lengths)
            fold = carve(str(k), tested, train, gaps, end, rows, path)
            folds.append(fold)
        folds += held_out_folds(end, gaps, rows)
        return [trained(fold, "groups", rows) for fold in folds]
