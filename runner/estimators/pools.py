"""One pooled regression as its robust errors see it: regressors and residuals, dates at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from runner.numerics.compiled.rows import Scores
from runner.numerics.compiled.rule import wanted_of_rows
from runner.panels.numbers.cells import Cells, Cube, Ragged, Stored
from runner.panels.numbers.selections import selected

IN_CACHE = 8_192  # cells of one regressor at a time, which stay in the cache
FEWEST_DATES = 16  # at a time, however many assets there are


class Block(NamedTuple):
    """Some dates of a pooled regression.

    Attributes:
        dates: which they are.
        assets: positions (A,) of the assets that it holds; a slice where it holds all.
        z: regressors (B, k, A), less the effects, times the root of the weights; zero in cells that
            are not in use.
        u: residuals (B, A) times the root of the weights, zero in cells that are not in use.
    """

    dates: slice
    assets: slice | np.ndarray
    z: np.ndarray
    u: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """(B, k, A) regressors times residuals, in the place of the regressors."""
        scores = self.z
        scores *= self.u[:, None]
        return scores


class Pool(NamedTuple):
    """One pooled regression and its estimates.

    Attributes:
        X, y: regressors (T, N, K) and target (T, N).
        use: (T, N) cells in use.
        b: (k,) estimates.
        bread: (k, k) inverse of X'X.
        weights: (T, N) of the cells.
        alpha, delta: what fixed effects take of each column, (N, K + 1) and (T, K + 1).
        absorbed: degrees of freedom that they take.
        member: (N, L) dummies, which stand last in b.
    """

    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    b: np.ndarray
    bread: np.ndarray
    weights: np.ndarray | None = None
    alpha: np.ndarray | None = None
    delta: np.ndarray | None = None
    absorbed: int = 0
    member: np.ndarray | None = None

    @property
    def n(self) -> int:
        return int(self.use.sum())

    @property
    def df(self) -> int:
        terms = len(self.b)
        return self.n - terms - self.absorbed

    @property
    def shape(self) -> tuple[int, int]:
        """Dates and assets."""
        T, N = self.y.shape
        return T, N

    @property
    def cells_by_date(self) -> np.ndarray:
        """(T,) number of cells in use."""
        return np.asarray(self.use.sum(axis=1))

    @property
    def used_assets(self) -> np.ndarray:
        """(N,) whether an asset has a cell in use."""
        return np.asarray(self.use.any(axis=0))

    def meetings(self, codes: np.ndarray) -> int:
        """How many pairs of a date and a group, coded (N,), have a cell in use."""
        order = np.argsort(codes, kind="stable")
        use = self.use[:, order]
        steps = np.diff(codes[order])
        new_group = np.append(True, steps != 0)
        starts = np.flatnonzero(new_group)
        used = np.logical_or.reduceat(use, starts, axis=1)
        return int(used.sum())

    def by_assets(self, numbers: int) -> Iterator[Pool]:
        """The same regression on some assets at a time, of about so many numbers."""
        T, N = self.shape
        size = max(numbers // (T * len(self.b)), 1)
        for start in range(0, N, size):
            own = slice(start, start + size)
            yield self._replace(
                X=self.X[:, own],
                y=self.y[:, own],
                use=self.use[:, own],
                alpha=selected(self.alpha, own),
                member=selected(self.member, own),
                weights=None if self.weights is None else self.weights[:, own],
            )

    def blocks(self, rows: slice) -> Iterator[Block]:
        """Each block of these dates; its regressors are written over by the next."""
        _, N, K = self.X.shape
        dummies = np.empty((0, N))
        if self.member is not None:
            dummies = self.member.T
        k = len(self.b) - len(dummies)  # terms before the dummies
        constants = k - K  # 1 with a constant, else 0
        rows_given = rows.stop - rows.start
        dates = max(rows_given, 1)
        in_cache = max(IN_CACHE // N, FEWEST_DATES)
        size = min(in_cache, dates)
        shape = (size, len(self.b), N)
        buffer = np.ones(shape)
        for start in range(rows.start, rows.stop, size):
            stop = min(start + size, rows.stop)
            part = slice(start, stop)
            use = self.use[part]
            y = self.y[part].copy()
            z = buffer[: stop - start]
            z[:, :constants] = 1.0
            X = self.X[part]
            z[:, constants:k] = X.swapaxes(1, 2)
            z[:, k:] = dummies
            if self.alpha is not None and self.delta is not None:
                alpha = self.alpha.T
                delta = self.delta[part, :, None]
                z -= alpha[:K] + delta[:, :K]
                y -= alpha[K] + delta[:, K]
            if not use.all():
                by_cell = z.swapaxes(1, 2)
                by_cell[~use] = 0.0
                y[~use] = 0.0
            u = y - self.b @ z
            if self.weights is not None:
                given = self.weights[part]
                weights = np.where(use, given, 0.0)
                root = np.sqrt(weights)
                z *= root[:, None]
                u *= root
            yield Block(part, slice(None), z, u)


class RaggedPool(NamedTuple):
    """One pooled regression on rows of listed cells.

    Attributes:
        cells: their numbers; usable are the cells in use.
        columns: positions of its regressors among the features.
        b: (k,) estimates.
        bread: (k, k) inverse of X'X.
        member: (N, L) dummies, which stand last in b.
        alpha, delta, absorbed: as of `Pool`.
    """

    cells: Ragged | Stored
    columns: Sequence[int]
    b: np.ndarray
    bread: np.ndarray
    member: np.ndarray
    alpha: np.ndarray | None = None
    delta: np.ndarray | None = None
    absorbed: int = 0

    @property
    def n(self) -> int:
        return int(self.cells_by_date.sum())

    @property
    def df(self) -> int:
        return self.n - len(self.b) - self.absorbed

    @property
    def shape(self) -> tuple[int, int]:
        """Dates and assets."""
        return self.cells.shape

    @property
    def cells_by_date(self) -> np.ndarray:
        """(T,) number of cells in use."""
        return self.cells.usable_by_date()

    @property
    def used_assets(self) -> np.ndarray:
        """(N,) whether an asset has a cell in use."""
        return self.cells.usable_by_asset() > 0

    def meetings(self, codes: np.ndarray) -> int:
        """How many pairs of a date and a group, coded (N,), have a cell in use."""
        groups = int(codes.max()) + 1
        total = 0
        for _, part in self.cells.stretches():
            group = codes[part.listings.column[part.valid]].astype(np.int64)
            date = part.listings.row[part.valid]
            pair = date * groups + group
            pair.sort()  # `np.unique` would hash them, which takes ten times as long
            total += int(np.count_nonzero(np.diff(pair, prepend=-1)))
        return total

    def by_assets(self, numbers: int) -> Iterator[Pool]:
        """The same regression on some assets at a time, as arrays of about so many numbers.

        Assets that begin near each other come together, on the dates from the first of them on to
        the last: few cells of the arrays are then empty.
        """
        first, last = self._spans()
        used = np.flatnonzero(last >= 0)
        order = used[np.argsort(first[used], kind="stable")]
        while len(order):
            until = np.maximum.accumulate(last[order]) + 1
            lengths = until - first[order[0]]
            sizes = lengths * np.arange(1, len(order) + 1) * len(self.b)
            several = max(int(np.searchsorted(sizes, numbers, side="right")), 1)
            dates = np.arange(first[order[0]], until[several - 1])
            yield self._of_assets(dates, np.sort(order[:several]))
            order = order[several:]

    def _spans(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last date (N,) on which each asset has a cell in use; T and -1 without one."""
        T, N = self.shape
        first = np.full(N, T)
        last = np.full(N, -1)
        for start, part in self.cells.stretches():
            used = np.flatnonzero(part.valid)
            asset = part.listings.column[used]
            date = part.listings.row[used] + start
            last[asset] = date
            new = np.flatnonzero(first[asset] == T)[::-1]  # of several dates the first comes last
            first[asset[new]] = date[new]
        return first, last

    def _of_assets(self, dates: np.ndarray, assets: np.ndarray) -> Pool:
        """The same regression on these dates and assets, as arrays."""
        cube = self.cells.of(dates, assets).cube
        return Pool(
            X=cube.columns(self.columns),
            y=cube.y,
            use=cube.valid,
            b=self.b,
            bread=self.bread,
            weights=cube.weights,
            alpha=selected(self.alpha, assets),
            delta=selected(self.delta, dates),
            member=self.member[assets],
        )

    def blocks(self, rows: slice) -> Iterator[Block]:
        """Each block of these dates, of the assets that have a cell in use on one of them."""
        of_a_date = max(self.cells.rows // max(self.shape[0], 1), 1)
        size = max(IN_CACHE // of_a_date, FEWEST_DATES)
        for start, part in self.cells.stretches(rows, size):
            starts = part.starts
            for first in range(0, part.shape[0], size):
                last = min(first + size, part.shape[0])
                held = slice(starts[first], starts[last])
                if part.valid[held].any():
                    yield self._block(slice(start + first, start + last), part, first, held)

    @property
    def is_compiled(self) -> bool:
        """Whether compiled code adds up its scores: of many rows, without dummies and effects."""
        plain = self.member.shape[1] == 0 and self.alpha is None
        return plain and wanted_of_rows(self.cells.rows)

    def scores(self, rows: slice) -> tuple[np.ndarray, Scores]:
        """Sums (T, k) of the scores of each of these dates, and those of assets and products."""
        scores = Scores(self.b, self.shape[1])
        by_date = np.zeros((rows.stop - rows.start, len(self.b)))
        for start, part in self.cells.stretches(rows):
            first = start - rows.start
            of_part = scores.add(part.dated(self.columns), part.listings.column)
            by_date[first : first + len(of_part)] = of_part
        return by_date, scores

    def _block(self, dates: slice, part: Ragged, first: int, held: slice) -> Block:
        """These rows of a part, whose `first` date is that of the block."""
        listings = part.listings
        assets, column = _distinct(listings.column[held], self.shape[1])
        row = listings.row[held].astype(np.intp) - first
        k = len(self.b) - self.member.shape[1]  # terms before the dummies
        constants = k - len(self.columns)  # 1 with a constant, else 0
        B = dates.stop - dates.start
        terms = len(self.b)
        A = len(assets)
        place = row * A + column
        unused = place[~part.valid[held]]
        lines = np.zeros((terms, B * A))  # of a term each, whose numbers lie together
        lines[:constants, place] = 1.0
        for j, regressor in enumerate(self.columns):
            lines[constants + j, place] = part.X[held, regressor]
        for line, of_assets in zip(lines[k:], self.member.T, strict=True):
            line[place] = of_assets[listings.column[held]]
        lines[:, unused] = 0.0
        z = lines.reshape(terms, B, A).swapaxes(0, 1)
        y = np.zeros(B * A)
        y[place] = part.y[held]
        if self.alpha is not None and self.delta is not None:
            taken = self.alpha[listings.column[held]] + self.delta[dates.start + row]
            for line, of_column in zip((*lines[:k], y), taken.T, strict=True):
                line[place] -= of_column
            lines[:, unused] = 0.0
        y[unused] = 0.0
        u = y.reshape(B, A) - self.b @ z
        if part.weights is not None:
            root = np.zeros(B * A)
            root[place] = np.sqrt(part.weights[held])
            root[unused] = 0.0
            root = root.reshape(B, A)
            z *= root[:, None]
            u *= root
        return Block(dates, assets, z, u)


AnyPool = Pool | RaggedPool


def _distinct(numbers: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ones of numbers (n,) below `most`, sorted, and the position of each among them.

    As `np.unique` gives them, without sorting.
    """
    there = np.zeros(most, dtype=bool)
    there[numbers] = True
    distinct = np.flatnonzero(there)
    place = np.empty(most, dtype=np.intp)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[numbers]


def pool_of(
    cells: Cells, columns: Sequence[int], b: np.ndarray, bread: np.ndarray, member: np.ndarray
) -> AnyPool:
    """The regression of usable cells on features, without effects.

    Args:
        columns: positions of the regressors among the features.
        b, bread, member: as of `Pool`.
    """
    if not isinstance(cells, Cube):
        return RaggedPool(cells, columns, b, bread, member)
    X = cells.columns(columns)
    return Pool(X, cells.y, cells.valid, b, bread, cells.weights, member=member)
