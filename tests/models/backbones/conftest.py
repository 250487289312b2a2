"""What the tests of the backbones share: small networks of timm, and a batch of images."""

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.models.backbones import TimmBackboneAdapter

TINY = {
    "swin": {"embed_dim": 16, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 4, 8)},
    "hiera": {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 2, 1), "img_size": 64},
    "coat": {"embed_dims": (16, 16, 32, 32), "serial_depths": (1, 1, 1, 1)},
}
# Convolution, same padding, NHWC, windows, global attention.
KINDS = ["test_convnext", "test_resnet", "test_efficientnet", "test_mambaout", "test_maxvit"]
KINDS += ["test_coatnet", "swin_tiny_patch4_window7_224", "coat_lite_tiny"]


@pytest.fixture(params=KINDS)
def each_kind(request):
    """Returns the name of a network, one of each kind in turn."""
    return request.param


@pytest.fixture
def tiny_arguments():
    """Returns what makes a network of timm small, where timm has no small one of its kind."""
    return lambda model_name: TINY.get(model_name.split("_")[0], {})


@pytest.fixture
def build(tiny_arguments):
    """Builds the adapter of a network, always with the same random weights."""

    def build_adapter(model_name, **kwargs):
        torch.manual_seed(0)
        return TimmBackboneAdapter(model_name, **{**tiny_arguments(model_name), **kwargs})

    return build_adapter


@pytest.fixture
def image():
    """Makes two images of a size, always the same."""

    def make_image(height, width, channels=3):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(2, channels, height, width, generator=generator)

    return make_image
