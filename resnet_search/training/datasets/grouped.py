"""Choose whole groups of equal images for validation, as many of each class as asked as nearly as groups allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

_PASSES = 20  # over the classes, each with at most one exchange; two or three are usual
_MOST_SIGNATURES = 300  # between which exchanges across classes are tried

# The numbers of images of each class in a group, by class. Groups of one signature are interchangeable.
Signature = tuple[tuple[int, int], ...]


def choose_groups(drawn: Iterable[tuple[int, int]], want: Sequence[int], counts: Sequence[int]) -> set[int] | None:
    """Return the groups to validate on; None if no choice found leaves every class on both sides.

    `drawn`: group and class of every image, in the order of the draw. `want`: the images of each class to validate on,
    fewer than the `counts` that it has. The total is brought as near to the sum of `want` as whole groups allow, then
    the number of each class.
    """
    choice = _Choice(drawn, want, counts)
    choice.take_what_fits()
    if not choice.cover():
        return None
    for _ in range(_PASSES):
        exchanges = [choice.improve(signatures) for signatures in choice.of_class]
        if not any(exchanges):
            break
    everything = list(choice.used)
    while len(everything) <= _MOST_SIGNATURES and sum(choice.missing) != 0 and choice.improve(everything):
        pass
    return choice.taken


class _Choice:
    """The groups taken so far, and how many images of each class are missing."""

    def __init__(self, drawn: Iterable[tuple[int, int]], want: Sequence[int], counts: Sequence[int]) -> None:
        members: dict[int, Counter[int]] = {}
        for group, place in drawn:
            members.setdefault(group, Counter())[place] += 1
        self.signature: dict[int, Signature] = {group: tuple(sorted(of.items())) for group, of in members.items()}
        self.missing, self.wanted, self.counts = list(want), list(want), list(counts)
        self.taken: set[int] = set()
        # Last in, first out: taken groups are given back, and free ones taken, at the end of the draw.
        self.used: dict[Signature, list[int]] = {signature: [] for signature in self.signature.values()}
        self.free: dict[Signature, list[int]] = {signature: [] for signature in self.signature.values()}
        self.of_class: list[list[Signature]] = [[] for _ in want]
        for signature in self.used:
            for place, _ in signature:
                self.of_class[place].append(signature)

    def take_what_fits(self) -> None:
        """Take every group, in the order of the draw, that exceeds no class."""
        for group, signature in self.signature.items():
            if all(images <= self.missing[place] for place, images in signature):
                self._count(signature, 1)
                self.taken.add(group)
                self.used[signature].append(group)
            else:
                self.free[signature].append(group)
        for groups in self.free.values():
            groups.reverse()

    def cover(self) -> bool:
        """Take a smallest group for each class that has none; return whether all classes have one."""
        for place, wanted in enumerate(self.wanted):
            if self.missing[place] < wanted:
                continue
            possible = [one for one in self.of_class[place] if self.free[one] and self._leaves(one)]
            if not possible:
                return False
            self._apply((), min(possible, key=_size))
        return True

    def improve(self, among: Sequence[Signature]) -> bool:
        """Make the best exchange of groups of these signatures, if it brings the numbers nearer."""
        now = self._distance((), ())
        distance, given, got = min(
            ((self._distance(given, got), given, got) for given, got in self._exchanges(among)),
            key=lambda one: one[0],
            default=(now, (), ()),
        )
        if distance >= now:
            return False
        self._apply(given, got)
        return True

    def _exchanges(self, among: Sequence[Signature]) -> Iterator[tuple[Signature, Signature]]:
        """Yield what can be given back and taken instead; () is nothing."""
        used = [(), *(one for one in among if self.used[one])]
        free = [(), *(one for one in among if self.free[one])]
        return ((given, got) for given in used for got in free if given != got and self._covered(given, got))

    def _covered(self, given: Signature, got: Signature) -> bool:
        """Return whether every class keeps an image on both sides."""
        change = Counter(dict(got))
        change.subtract(dict(given))
        validated = ((place, self.wanted[place] - self.missing[place] + more) for place, more in change.items())
        return all(1 <= images < self.counts[place] for place, images in validated)

    def _leaves(self, signature: Signature) -> bool:
        return all(self.wanted[at] - self.missing[at] + more < self.counts[at] for at, more in signature)

    def _distance(self, given: Signature, got: Signature) -> tuple[int, int]:
        """Return how far the total is from what is wanted, and how far the classes of an exchange are."""
        change = Counter(dict(got))
        change.subtract(dict(given))
        total = abs(sum(self.missing) - sum(change.values()))
        before = sum(abs(self.missing[place]) for place in change)
        return total, sum(abs(self.missing[place] - more) for place, more in change.items()) - before

    def _apply(self, given: Signature, got: Signature) -> None:
        if given:
            group = self.used[given].pop()
            self.free[given].append(group)
            self.taken.remove(group)
            self._count(given, -1)
        if got:
            group = self.free[got].pop()
            self.used[got].append(group)
            self.taken.add(group)
            self._count(got, 1)

    def _count(self, signature: Signature, sign: int) -> None:
        for place, images in signature:
            self.missing[place] -= sign * images


def _size(signature: Signature) -> int:
    return sum(images for _, images in signature)
