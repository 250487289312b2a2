"""Names held against those that exist."""

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.text import counted, require_known


def test_all_unknown_names_are_told_with_near_ones():
    with pytest.raises(InputError, match=r"--class: .* one of Cracks, Burn marks") as raised:
        require_known("--class", ["crack", "Cracks", "burn Marks", "zzz"], ["Cracks", "Burn marks"])
    assert raised.value.problems == [
        "'crack'; did you mean Cracks?",
        "'burn Marks'; did you mean Burn marks?",
        "'zzz'",
    ]


def test_many_names_are_not_listed():
    with pytest.raises(InputError) as raised:
        require_known("--images", ["image7x"], [f"image{i}" for i in range(400)])
    assert "image399" not in str(raised.value)
    assert "did you mean image7" in str(raised.value)


def test_known_names_pass():
    require_known("--kinds", ["a", "b"], ["b", "a"])


def test_one_has_no_plural():
    assert [counted(n, "fault") for n in (0, 1, 2)] == ["0 faults", "1 fault", "2 faults"]
