"""Statistics for two versions of the proxy: whether they differ by more than the rounds differ among themselves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from benchmarks.figures import middle, ratio, table, text
from benchmarks.targets import Rows

CONFIDENCE = 0.95
FEWEST = 6
"""The number of rounds from which an interval can have this confidence: 1 - 2 / 2 ** rounds."""
_MORE_IS_BETTER = ("requests/s", "chunks/s", "share of the ideal")


def interval(ratios: Sequence[float]) -> tuple[float, float] | None:
    """Return the narrowest interval between two of the *ratios* that contains their true median with 95 % confidence.

    Returns None for fewer than six ratios. The interval is that of the sign test, which only assumes that the rounds
    are independent: the true median is below the k-th smallest ratio with the probability that n tosses of a coin show
    fewer than k heads.
    """
    ordered = sorted(ratios)
    n = len(ordered)
    if n < FEWEST:
        return None
    outside, k = 1.0, 0
    while 2 * outside <= 2**n * (1 - CONFIDENCE):
        k += 1
        outside += comb(n, k)
    return ordered[k - 1], ordered[n - k]


@dataclass(frozen=True, slots=True)
class Compared:
    """A row of the comparison: both medians, the median of the rounds' ratios, and its confidence interval."""

    row: str
    base: float | None
    new: float | None
    ratio: float | None
    within: tuple[float, float] | None

    @property
    def finding(self) -> str:
        """The conclusion. An interval that contains 1 shows no difference."""
        if self.ratio is None:
            return ""
        if self.within is None:
            return f"fewer than {FEWEST} rounds"
        low, high = self.within
        if low <= 1 <= high:
            return "not distinguishable"
        return "better" if (low > 1) == self.row.endswith(_MORE_IS_BETTER) else "worse"


def compared(rows: Rows, base: str, new: str) -> Iterator[Compared]:
    """Compare two contestants in each row that both have."""
    for row, measured in rows.items():
        if base in measured and new in measured:
            ratios = _ratios(measured[base], measured[new])
            yield Compared(
                row, middle(measured[base].values()), middle(measured[new].values()), middle(ratios), interval(ratios)
            )


def _ratios(base: Mapping[int, float | None], new: Mapping[int, float | None]) -> list[float]:
    """Divide within each round, so that a slow minute of the machine has no effect."""
    found = (ratio(value, base.get(number)) for number, value in new.items())
    return [each for each in found if each is not None]


def comparison_table(rows: Iterable[Compared], base: str, new: str) -> str:
    """Render a line for each row."""
    lines = [
        [
            each.row,
            text(each.base),
            text(each.new),
            "-" if each.ratio is None else f"{each.ratio:.3f}",
            f"{each.within[0]:.3f} to {each.within[1]:.3f}" if each.within else "-",
            each.finding,
        ]
        for each in rows
    ]
    return table(["", base, new, "ratio", "with 95 % confidence", ""], lines)
