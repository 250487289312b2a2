"""Names held against those that exist."""

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.text import counted, did_you_mean, readable_size, require_known


def test_similar_names_are_suggested_and_none_where_none_is_similar():
    assert did_you_mean("vlaues", {"values": 1, "masks": 2}) == "; did you mean values?"
    assert did_you_mean("FOLD3", ["fold-2", "fold-3"]) == "; did you mean fold-3 or fold-2?"
    assert did_you_mean("xyz", ["values", "masks"]) == ""


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


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0.0 MB"),
        (99.9e6, "99.9 MB"),
        (1e8, "0.1 GB"),
        (2.5e12, "2500.0 GB"),
    ],
)
def test_sizes_are_in_mb_or_gb(num_bytes, text):
    assert readable_size(num_bytes) == text
