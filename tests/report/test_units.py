from __future__ import annotations

import pytest

from resnet_search.report import units


def test_numbers_have_units() -> None:
    pairs: list[tuple[object, object]] = [
        (units.counted(1, "trial"), "1 trial"),
        (units.counted(1234, "trial"), "1,234 trials"),
        (units.percent(0.91234), "91.23 %"),
        (units.percent(None), ""),
        (units.accuracy(0.9, 900), "90.00 % ± 1.00 %"),
        (units.accuracy(1.0, 900), "100.00 %"),
        (units.accuracy(0.0, 900), "0.00 %"),
        (units.large(999_999), "999,999"),
        (units.large(40_812_345), "40.8 million"),
        (units.large(3.86e9), "3.86 billion"),
        (units.large(1.2e15), "1.2e+03 trillion"),
        (units.about(1_234_567, exact=True), "1,234,567"),
        (units.about(1_234_567), "about 1.23 million"),
        (units.about(345_678), "about 346,000"),
        (units.about(999_999), "about 1 million"),
        (units.about(999_960_000), "about 1 billion"),
        (units.about(12), "about 12"),
        (units.about(0), "about 0"),
        (units.about(4_321_000_000), "about 4.32 billion"),
        (units.about(82_463_372_083_200), "about 82.5 trillion"),
        (units.about(24 * 10**23), "about 2.40e+24"),
        (units.between(1_193_600, 1_213_400), "1.194 to 1.213 million"),
        (units.between(998_000, 1_213_400), "998,000 to 1.213 million"),
        (units.between(12, 3_456), "12 to 3,456"),
        (units.between(24 * 10**23, 25 * 10**23), "2.400e+24 to 2.500e+24"),
        (units.energy(1234.0), "0.343 Wh"),
        (units.energy(359_999.0), "100 Wh"),
        (units.energy(360_000.0), "0.1 kWh"),
        (units.energy(36_000.0, 7.2e6), "0.01 kWh"),
        (units.energy(0.0), "0 Wh"),
        (units.size(12), "12 bytes"),
        (units.size(290_504), "291 kB"),
        (units.size(45_678_901), "45.68 MB"),
        (units.size(390_655_920_000), "390.66 GB"),
        (units.size(77_500_000_000_000), "77.50 TB"),
        (units.duration(4.21), "4.2 s"),
        (units.duration(59.4), "59 s"),
        (units.duration(192), "3 min 12 s"),
        (units.duration(93_900), "1 d 2 h"),
        (units.duration(86_400 * 13_415), "13,415 d 0 h"),
        (units.moment(0), "1970-01-01 00:00:00 UTC"),
        (units.sparkline([0.0, 0.5, 1.0]), "▁▅█"),
        (units.sparkline([0.3, 0.3]), "▄▄"),
        (units.thinned(3, 10), [0, 1, 2]),
        (units.thinned(100, 4), [0, 33, 66, 99]),
    ]
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def test_standard_error_is_binomial() -> None:
    assert units.standard_error(0.5, 2500) == pytest.approx(0.01)
