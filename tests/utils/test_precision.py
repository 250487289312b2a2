"""The numbers in which a network computes fit the device."""

import pytest
import torch

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils import precision
from mmseg_heritage.utils.precision import automatic_dtype, dtype_of


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 0), torch.float16), ((8, 0), torch.bfloat16)]
)
def test_the_automatic_choice_on_a_gpu(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert automatic_dtype("cuda") is expected


@pytest.mark.parametrize(("has", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_automatic_choice_on_a_cpu(has, expected, monkeypatch):
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: has)
    assert automatic_dtype("cpu") is expected


def test_a_name_is_a_dtype_or_one_message():
    assert dtype_of("bfloat16", "cpu") is torch.bfloat16
    assert dtype_of("auto", "cpu") is automatic_dtype("cpu")
    with pytest.raises(InputError, match="'auto' or one of float16, bfloat16, float32, found '8'"):
        dtype_of("8", "cpu")
    with pytest.raises(InputError, match="float16 needs a CUDA device"):
        dtype_of("float16", "cpu")
