"""A table of medians and spreads."""

from collections.abc import Mapping, Sequence
from statistics import median


def show(title: str, unit: str, series: Mapping[str, Sequence[float]]) -> None:
    """One row a series; the last is the reference the others are given as a ratio of."""
    *_, reference = series.values()
    print(f"\n{title}\n{'':28}{'median':>10}{'min':>10}{'max':>10}  {unit:10}ratio")
    for name, values in series.items():
        middle = median(values)
        ratio = middle / median(reference)
        print(f"{name:28}{middle:10.2f}{min(values):10.2f}{max(values):10.2f}  {unit:10}{ratio:.2f}")
