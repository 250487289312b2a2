"""timm's networks at image sizes that they do not take by themselves."""

import math

import pytest
import torch
from mmengine.logging import MMLogger

from mmseg_heritage.models.backbones.padding import InputSizes, describe_change

# Network -> the numbers that its image sizes must be multiples of, and whether it is tiled.
SIZES = {
    "test_convnext": (32, False),
    "test_resnet": (1, False),
    "test_efficientnet": (1, False),
    "test_mambaout": (1, False),
    "test_maxvit": (160, False),
    "test_coatnet": (160, True),
    "poolformer_s12": (4, False),  # right at sizes of 3 modulo 4, wrong at 1 and 2
}


def test_an_odd_size_gives_ceiled_sizes_and_finite_gradients(each_kind, build, image):
    model = build(each_kind)
    batch = image(171, 93).requires_grad_()
    levels = model(batch)
    for level, channels, stride in zip(levels, model.out_channels, model.out_strides, strict=True):
        assert level.shape == (2, channels, math.ceil(171 / stride), math.ceil(93 / stride))
    sum(level.square().mean() for level in levels).backward()
    assert batch.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", SIZES)
def test_what_the_network_takes_is_measured(name, build):
    multiple, tiled = SIZES[name]
    sizes = build(name).input_sizes
    assert (sizes.multiple, sizes.tiled) == ((multiple, multiple), tiled)


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_efficientnet",
        "test_mambaout",
        pytest.param("poolformer_s12", marks=pytest.mark.slow),
    ],
)
def test_every_remainder_of_a_size_gives_ceiled_sizes(name, build):
    model = build(name).eval().to("meta")
    for side in range(96, 128):  # all remainders of a division by 32
        levels = model(torch.empty(1, 3, side, 223 - side, device="meta"))
        for level, stride in zip(levels, model.out_strides, strict=True):
            wanted = (math.ceil(side / stride), math.ceil((223 - side) / stride))
            assert level.shape[-2:] == wanted, side


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_mambaout"])
def test_networks_that_take_any_size_are_not_padded(name, build, image):
    ours = build(name).eval()
    with torch.no_grad():
        found, expected = ours(image(117, 75)), ours.timm_model(image(117, 75))
    for level, wanted in zip(found, expected, strict=True):
        wanted = wanted.permute(0, 3, 1, 2) if name == "test_mambaout" else wanted
        torch.testing.assert_close(level, wanted)


@pytest.mark.parametrize("name", ["test_convnext", "test_maxvit", "test_coatnet", "coat_lite_tiny"])
def test_padding_is_zeros_at_the_bottom_and_the_right(name, build, image):
    img_size = {} if name == "test_convnext" else {"img_size": 160}
    ours = build(name, **img_size).eval()
    batch = image(150, 130)
    padded = torch.zeros(2, 3, 160, 160)
    padded[..., :150, :130] = batch
    with torch.no_grad():
        found, whole = ours(batch), ours(padded)
    for level, stride, wanted in zip(found, ours.out_strides, whole, strict=True):
        rows, columns = math.ceil(150 / stride), math.ceil(130 / stride)
        torch.testing.assert_close(level, wanted[..., :rows, :columns], atol=1e-5, rtol=0)


def test_convolutions_see_the_same_in_the_top_left_as_without_padding(build, image):
    ours = build("test_convnext").eval()
    with torch.no_grad():
        found, reference = ours(image(301, 263))[0], ours.timm_model(image(301, 263))[0]
    # 7x7 depthwise convolutions: what lies further from the padding than they reach is equal.
    torch.testing.assert_close(found[..., :50, :40], reference[..., :50, :40])


def test_tiles_do_not_see_each_other_and_come_back_in_place(build, image):
    ours = build("test_coatnet").eval()
    batch = image(320, 480)
    with torch.no_grad():
        found = ours(batch)
        for row, column in ((0, 0), (1, 2)):
            tile = batch[..., 160 * row : 160 * (row + 1), 160 * column : 160 * (column + 1)]
            for level, wanted in zip(found, ours.timm_model(tile), strict=True):
                height, width = wanted.shape[-2:]
                part = level[..., height * row :, width * column :][..., :height, :width]
                torch.testing.assert_close(part, wanted, atol=1e-5, rtol=1e-5)


def test_coat_sees_the_whole_of_a_larger_image(build, image):
    ours = build("coat_lite_tiny").eval()
    larger = build("coat_lite_tiny", img_size=(288, 352)).eval()
    larger.load_state_dict(ours.state_dict())
    batch = image(288, 352)
    with torch.no_grad():
        ours(image(65, 33))  # another size in between leaves no trace
        for level, wanted in zip(ours(batch), larger.timm_model(batch), strict=True):
            torch.testing.assert_close(level, wanted)


@pytest.mark.parametrize(
    ("name", "multiple", "tiled"),
    [
        # Sizes at which broadcasting hides a mismatch, and a table that is indexed beyond its end.
        ("lambda_resnet26t", 32, False),
        ("mvitv2_tiny", 224, True),
    ],
)
@pytest.mark.slow
def test_networks_whose_limits_are_hard_to_see(name, multiple, tiled, build, image):
    model = build(name).eval()
    assert (model.input_sizes.multiple, model.input_sizes.tiled) == ((multiple, multiple), tiled)
    with torch.no_grad():
        assert model(image(203, 291)[:1])[0].shape[-2:] == (51, 73)


def test_much_padding_and_tiles_are_told():
    windows, tiles = InputSizes((384, 384)), InputSizes((224, 160), tiled=True)
    assert describe_change((384, 768), windows) is None
    assert describe_change((352, 384), windows) is None  # 32 pixels
    assert describe_change((512, 512), windows) == "padded to 768 x 768 px (2.25 times the pixels)"
    assert describe_change((224, 160), tiles) is None
    assert describe_change((448, 320), tiles) == (
        "cut into 4 tiles of 224 x 160 px that do not see each other"
    )
    assert describe_change((300, 160), tiles) == (
        "padded to 448 x 160 px (1.49 times the pixels) and cut into 2 tiles of 224 x 160 px that "
        "do not see each other"
    )


def test_the_log_has_one_line_where_an_image_is_cut(build, image, monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), "info", lines.append)
    model = build("test_coatnet").eval()
    with torch.no_grad():
        for side in (160, 320, 480):
            model(image(side, 160)[:1])
    [line] = lines
    assert "test_coatnet" in line and "320 x 160 px is cut into 2 tiles" in line
