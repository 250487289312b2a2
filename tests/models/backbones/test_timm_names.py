"""Names that timm does not have."""

import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones.timm_names import check_model_name


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "test_convnext"])
def test_names_that_timm_has(name):
    check_model_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("convnext_tyni", "did you mean .*convnext_tiny"),
        ("qqqqqqqq", r"no model 'qqqqqqqq'; see timm\.list_models"),
        ("resnet18.no_such", "there are .*resnet18.a1_in1k"),
        ("hf-hub:timm/resnet18", "no model 'hf-hub:timm/resnet18'"),
    ],
)
def test_others_are_answered_with_what_there_is(name, message):
    with pytest.raises(InputError, match=message):
        check_model_name(name)
