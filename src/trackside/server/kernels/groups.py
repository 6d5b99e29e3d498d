"""Aggregation over groups of columns, for all steps at once. `values` and `present` have shape (t, s)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackside.server.kernels.compensated import group_means, group_sums
from trackside.server.kernels.ranking import largest, quantiles_of_rows
from trackside.server.series import Bools, Float64s, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Which columns belong together. There is no empty group."""

    order: NDArray[np.intp]
    """The columns, group by group, in their own order within each."""
    sizes: Int64s
    """Shape (g,)."""

    @classmethod
    def of(cls, codes: Int64s, groups: int) -> Groups:
        """`codes` (s,) tells the group of each column, from 0."""
        return cls(np.argsort(codes, kind="stable"), np.bincount(codes, minlength=groups))

    @property
    def starts(self) -> Int64s:
        return np.cumsum(self.sizes) - self.sizes

    def equal_sized(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Groups of one size at a time: which they are (k,), and their columns (k, size)."""
        starts = self.starts
        for size in np.unique(self.sizes):
            which = np.flatnonzero(self.sizes == size)
            yield which, self.order[starts[which][:, None] + np.arange(size)]


def counts(present: Bools, groups: Groups) -> Int64s:
    """Shape (t, g)."""
    return np.add.reduceat(present[:, groups.order], groups.starts, axis=1, dtype=np.int64)


def sums(values: Float64s, present: Bools, groups: Groups) -> Float64s:
    return group_sums(_filled(values, present, 0.0), groups.order, groups.sizes)


def means(values: Float64s, present: Bools, groups: Groups) -> Float64s:
    return group_means(_filled(values, present, 0.0), counts(present, groups), groups.order, groups.sizes)


def lowest(values: Float64s, present: Bools, groups: Groups) -> Float64s:
    """NaN counts only where there is nothing else."""
    filled = _filled(values, present, np.nan)
    return np.fmin.reduceat(filled[:, groups.order], groups.starts, axis=1)


def highest(values: Float64s, present: Bools, groups: Groups) -> Float64s:
    filled = _filled(values, present, np.nan)
    return np.fmax.reduceat(filled[:, groups.order], groups.starts, axis=1)


def variances(values: Float64s, present: Bools, groups: Groups) -> Float64s:
    """Of the population. Not a number if any value is infinite or NaN."""
    counted = counts(present, groups)
    mean = group_means(_filled(values, present, 0.0), counted, groups.order, groups.sizes)
    member_mean = np.empty(values.shape)
    member_mean[:, groups.order] = np.repeat(mean, groups.sizes, axis=1)
    apart = np.where(present, values - member_mean, 0.0)
    return group_sums(apart * apart, groups.order, groups.sizes) / np.maximum(counted, 1)


def quantiles(q: Float64s, values: Float64s, present: Bools, groups: Groups) -> Float64s:
    """`q` has shape (t,)."""
    result = np.empty((len(values), len(groups.sizes)))
    filled = _filled(values, present, np.nan)
    for which, columns in groups.equal_sized():
        counted = present[:, columns].sum(axis=-1)
        wanted = np.broadcast_to(q[:, None], counted.shape)
        result[:, which] = quantiles_of_rows(wanted, filled[:, columns], counted)
    return result


def k_largest(k: Int64s, values: Float64s, present: Bools, groups: Groups) -> Bools:
    """Which values are among the `k` (t,) largest of their group; shape (t, s)."""
    if len(groups.sizes) == 1:
        return largest(values, present, k)
    chosen = np.zeros(values.shape, dtype=bool)
    for _, columns in groups.equal_sized():
        chosen[:, columns] = largest(values[:, columns], present[:, columns], k)
    return chosen


def k_first(k: Int64s, present: Bools, groups: Groups) -> Bools:
    """Which are among the first `k` (t,) of their group that are there; shape (t, s)."""
    chosen = np.zeros(present.shape, dtype=bool)
    for _, columns in groups.equal_sized():
        there = present[:, columns]
        chosen[:, columns] = there & (np.cumsum(there, axis=-1) <= k[:, None, None])
    return chosen


def _filled(values: Float64s, present: Bools, absent: float) -> Float64s:
    return values if present.all() else np.where(present, values, absent)
