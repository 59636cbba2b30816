"""A pseudo-random order of the numbers below any size, without a list."""

from __future__ import annotations

from hashlib import blake2b
from math import isqrt

ROUNDS = 4  # of a Feistel network with a good round function look random (Luby and Rackoff 1988)


class Permutation:
    """The numbers from 0 to `size` - 1 in an order that follows from `key`, each once.

    A Feistel network on pairs of numbers below ceil(sqrt(size)), whose round function is a keyed hash; what falls
    outside is permuted again until it is inside. Black and Rogaway 2002, "Ciphers with arbitrary finite domains",
    methods 2 (cycle walking) and 3 (generalised Feistel).
    """

    def __init__(self, size: int, key: str) -> None:
        self._size = size
        self._base = isqrt(size - 1) + 1
        self._hash = blake2b(key=blake2b(key.encode()).digest(), digest_size=32)

    def __getitem__(self, place: int) -> int:
        """The number at a place; `IndexError` outside of 0 to `size` - 1."""
        if not 0 <= place < self._size:
            raise IndexError(place)
        number = self._mixed(place)
        while number >= self._size:
            number = self._mixed(number)
        return number

    def _mixed(self, number: int) -> int:
        left, right = divmod(number, self._base)
        for step in range(ROUNDS):
            keyed = self._hash.copy()
            keyed.update(b"%d;%d" % (step, right))
            left, right = right, (left + int.from_bytes(keyed.digest())) % self._base
        return left * self._base + right
