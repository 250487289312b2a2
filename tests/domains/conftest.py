"""A segmentor whose images of one pixel are a classification, as DomainBed computes it."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_heritage.domains import DomainPenaltyHook


@MODELS.register_module()
class LinearBackbone(nn.Module):
    """A linear layer for each pixel."""

    in_channels = 5
    out_channels = (5,)
    out_strides = (1,)

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(5, 5, 1)

    def init_weights(self):
        pass

    def forward(self, x):
        return (self.layer(x),)


def _linear_segmentor(dg=(), **head):
    """Returns a segmentor of two linear layers, with the weights of the golden values."""
    init_default_scope("mmseg")
    model = MODELS.build(
        {
            "type": "HeritageEncoderDecoder",
            "dg": list(dg),
            "backbone": {"type": "LinearBackbone"},
            "decode_head": dict(
                type="FCNHead", in_channels=5, in_index=0, channels=5, num_convs=0,
                concat_input=False, dropout_ratio=0, num_classes=4,
                loss_decode={"type": "MaskedCrossEntropyLoss"}, **head,
            ),
        }
    ).double()  # fmt: skip
    count = torch.arange(25.0, dtype=torch.float64)
    with torch.no_grad():
        layer, last = model.backbone.layer, model.decode_head.conv_seg
        layer.weight[..., 0, 0] = torch.eye(5) + 0.1 * torch.sin(count).reshape(5, 5)
        layer.bias[:] = 0.05 * torch.cos(count[:5])
        last.weight[..., 0, 0] = 0.3 * torch.sin(count[:20]).reshape(4, 5)
        last.bias[:] = 0.1 * torch.cos(count[:4])
    return model


@pytest.fixture
def linear_segmentor():
    return _linear_segmentor


def _pixels(step=0, domains=3, images=6):
    """Returns the images (N, 5, 1, 1) and samples of a step."""
    inputs, samples = [], []
    for d in range(domains):
        count = torch.arange(5.0 * images, dtype=torch.float64)
        inputs.append(torch.cos(0.5 * count + 0.9 * d + 0.3 * step).reshape(images, 5, 1, 1))
        for i in range(images):
            sample = SegDataSample(metainfo={"domain": f"domain {d}"})
            sample.gt_sem_seg = PixelData(data=torch.tensor([[[(3 * i + d) % 4]]]))
            samples.append(sample)
    return torch.cat(inputs), samples


@pytest.fixture
def pixels():
    return _pixels


class Steps:
    """Trains a segmentor as a Runner with DomainPenaltyHook does."""

    def __init__(self, model, max_iters, lr=0.01, hook=None):
        self.model, self.hook = model, hook or DomainPenaltyHook()
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.runner = SimpleNamespace(
            model=model, iter=0, max_iters=max_iters, _resume=False,
            optim_wrapper=OptimWrapper(optimizer), logger=logging.getLogger("steps"),
        )  # fmt: skip

    def __call__(self, inputs, samples):
        if getattr(self.model, "penalties", None) is not None:
            self.hook.before_train_iter(self.runner, 0)
        losses = self.model.loss(inputs, samples)
        total, _ = self.model.parse_losses(losses)
        self.runner.optim_wrapper.update_params(total)
        self.runner.iter += 1
        return losses

    def checkpoint(self):
        """Returns what mmengine saves, copied."""
        content = {
            "state_dict": self.model.state_dict(),
            "optimizer": self.runner.optim_wrapper.state_dict(),
            "iter": self.runner.iter,
        }
        self.hook.before_save_checkpoint(self.runner, content)
        return copy.deepcopy(content)

    def resume(self, content):
        self.runner._resume = True
        self.model.load_state_dict(content["state_dict"])
        self.runner.optim_wrapper.load_state_dict(content["optimizer"])
        self.runner.iter = content["iter"]
        self.hook.after_load_checkpoint(self.runner, content)
        return self


@pytest.fixture
def training_steps():
    return Steps
