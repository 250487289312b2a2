"""Backbones and decoders together: built, trained, run at odd sizes, saved and loaded.

A decoder learns of a backbone its channels and strides and nothing else. So each decoder meets two
backbones, and each backbone the decoder that uses all maps, their strides and the image.
"""

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

CROP = 64
ODD_SIZES = [(97, 61), (33, 130)]
NUM_CLASSES = 16


def timm(name, **kwargs):
    return {"type": "TimmBackboneAdapter", "model_name": name, **kwargs}


BACKBONES = {
    "mit": {
        "type": "MixVisionTransformer", "embed_dims": 8, "num_stages": 4,
        "patch_sizes": [7, 3, 3, 3], "num_layers": [1, 1, 1, 1],
        "num_heads": [1, 1, 1, 1], "out_indices": (0, 1, 2, 3),
    },
    "convnext": timm("test_convnext"),
    "mmpretrain-convnext": {
        "type": "mmpretrain.ConvNeXt",
        "arch": {"depths": [1, 1, 1, 1], "channels": [8, 16, 24, 32]},
        "out_indices": (0, 1, 2, 3), "gap_before_final_norm": False,
    },
    "maxvit": timm("test_maxvit", img_size=64),
    "swin": timm("swin_tiny_patch4_window7_224", img_size=64, embed_dim=16, depths=(1, 1, 1, 1),
                 num_heads=(1, 2, 2, 4)),
    "coat": timm("coat_lite_tiny", img_size=64),
    "coatnet": timm("test_coatnet", img_size=64),
    "mambaout": timm("test_mambaout"),
    "resnet": timm("test_resnet"),
    "resnet-5-levels": timm("test_resnet", out_indices="all"),
    "lite0": timm("tf_efficientnet_lite0"),
}  # fmt: skip
PYRAMID = {"in_channels": "auto", "in_index": [0, 1, 2, 3], "channels": 16}
DECODERS = {
    "segformer": {"type": "HeritageSegformerHead", **PYRAMID},
    "mmseg-segformer": {"type": "SegformerHead", **PYRAMID},
    "unet": {"type": "UNetHead", "in_channels": "auto", "in_strides": "auto",
             "image_channels": "auto", "decoder_channels": (24, 16, 12, 8, 8)},
    "upernet": {"type": "UPerHead", **PYRAMID},
    "hierarchical": {"type": "HierarchicalUPerHead", "mode": "conditional", **PYRAMID},
    "deeplabv3plus": {"type": "DepthwiseSeparableASPPHead", "in_channels": "auto", "in_index": 3,
                      "channels": 16, "dilations": (1, 2), "c1_in_channels": 0, "c1_channels": 0},
}  # fmt: skip
PAIRS = {
    *((backbone, decoder) for backbone in ("mit", "convnext") for decoder in DECODERS),
    *((backbone, "unet") for backbone in BACKBONES),
    ("swin", "hierarchical"),  # maps that were laid out as height, width, channels
    ("resnet-5-levels", "segformer"),  # a map more than the decoder reads
    ("resnet-5-levels", "deeplabv3plus"),
}


def build(backbone, decoder):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "HeritageEncoderDecoder",
            "backbone": dict(BACKBONES[backbone]),
            "decode_head": {
                "num_classes": NUM_CLASSES, "norm_cfg": {"type": "BN"},
                "loss_decode": {"type": "ClassWeightedDiceLoss"}, **DECODERS[decoder],
            },
            "inference": {"logits": True},
        }
    )  # fmt: skip


def samples(height, width):
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(2):
        label = torch.randint(0, NUM_CLASSES, (1, height, width), generator=generator)
        label[:, :5] = 255
        meta = {"ori_shape": (height, width), "img_shape": (height, width)}
        sample = SegDataSample(metainfo=meta)
        sample.gt_sem_seg = PixelData(data=label)
        found.append(sample)
    return found


QUICK = {
    *(("mit", decoder) for decoder in DECODERS),
    ("convnext", "unet"),
    ("mmpretrain-convnext", "unet"),
    ("resnet-5-levels", "deeplabv3plus"),
    ("swin", "hierarchical"),
}


@pytest.mark.parametrize(
    ("backbone", "decoder"),
    [
        pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow)
        for pair in sorted(PAIRS)
    ],
)
def test_it_trains_predicts_and_comes_back(backbone, decoder, tmp_path):
    model = build(backbone, decoder)
    # A decoder that leaves feature maps out leaves what only they need without a gradient.
    maps = model.extract_feat(torch.zeros(2, 3, CROP, CROP))
    index = model.decode_head.in_index
    partial = isinstance(index, int) or len(index) < len(maps) - (decoder == "unet")
    for height, width in [(CROP, CROP), *ODD_SIZES]:
        model.train().zero_grad()
        image = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(2))
        losses = model.loss(image, samples(height, width))
        total = sum(value.sum() for name, value in losses.items() if "loss" in name)
        total.backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and not (partial and parameter.grad is None):
                assert parameter.grad is not None, (name, height, width)
                assert parameter.grad.isfinite().all(), (name, height, width)
        model.eval()
        with torch.no_grad():
            [first, _] = model.predict(image, samples(height, width))
        assert first.pred_sem_seg.data.shape == (1, height, width)
        assert first.seg_logits.data.shape == (NUM_CLASSES, height, width)
        assert first.seg_logits.data.isfinite().all()
    torch.save(model.state_dict(), tmp_path / "model.pth")
    again = build(backbone, decoder).eval()
    again.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    with torch.no_grad():
        torch.testing.assert_close(again(image), model(image))
