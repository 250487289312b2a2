"""What several commands share."""

import pytest

from mmseg_heritage.cli.common import parse_options
from mmseg_heritage.errors import InputError


class TestOptions:
    """``--cfg-options``."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("4", 4),
            ("1e-3", 1e-3),
            ("data/artefact", "data/artefact"),
            ("none", None),
            ("None", None),
            ("true", True),
            ("False", False),
            ("[1, 2]", [1, 2]),
            ("1,2", [1, 2]),
            ("a,b", ["a", "b"]),
            ("(1, 2)", (1, 2)),
            ("'None'", "None"),
            ("a=b", "a=b"),
            ("", ""),
        ],
    )
    def test_values(self, text, value):
        found = parse_options([f"key={text}"])["key"]
        assert found == value
        assert type(found) is type(value)

    def test_what_is_no_pair_is_listed(self):
        with pytest.raises(InputError) as caught:
            parse_options(["a=1", "b", "c"])
        assert caught.value.problems == ["'b'", "'c'"]
