"""Learning rates of every group at every iteration, held against torch's own one-cycle schedule."""

import re
from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS, PARAM_SCHEDULERS
from timm.optim import param_groups_layer_decay
from torch import nn

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.engine.optim import PerGroupOneCycleLR
from mmseg_heritage.errors import InputError

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
RATES = (0.001, 0.0003, 1e-6)


def optimizer_of(rates):
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates_over(optimizer, scheduler, steps):
    """Returns the rates of all groups in each iteration of a training."""
    rates = []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("pct_start", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("steps", [2, 3, 7, 10, 11, 100])
def test_every_rate_is_that_of_torch_with_the_peaks_of_the_groups(steps, pct_start):
    own = optimizer_of(RATES)
    found = rates_over(own, PerGroupOneCycleLR(own, pct_start, end=steps, by_epoch=False), steps)
    other = optimizer_of(RATES)
    if not 0 < pct_start * steps - 1 < steps - 1:  # torch divides by zero, or has no way down
        assert max(row[0] for row in found) == RATES[0]
        return
    reference = torch.optim.lr_scheduler.OneCycleLR(
        other, max_lr=list(RATES), total_steps=steps, pct_start=pct_start, cycle_momentum=False
    )
    expected = [[group["lr"] for group in other.param_groups]]
    for _ in range(steps - 1):
        other.step()
        reference.step()
        expected.append([group["lr"] for group in other.param_groups])
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-6, atol=0)


@pytest.mark.parametrize("steps", range(1, 25))
@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.3, 1.0])
def test_cycles_of_every_length_have_finite_rates_up_to_the_peak(steps, pct_start):
    optimizer = optimizer_of([0.01])
    scheduler = PerGroupOneCycleLR(optimizer, pct_start, end=steps, by_epoch=False)
    rates = [row[0] for row in rates_over(optimizer, scheduler, steps)]
    assert all(0 < rate <= 0.01 for rate in rates)
    assert max(rates) == pytest.approx(0.01, rel=0.35)


def test_a_resumed_schedule_goes_on_as_the_unbroken_one():
    unbroken = optimizer_of(RATES)
    expected = rates_over(unbroken, PerGroupOneCycleLR(unbroken, end=20, by_epoch=False), 20)
    first = optimizer_of(RATES)
    scheduler = PerGroupOneCycleLR(first, end=20, by_epoch=False)
    found = rates_over(first, scheduler, 8)
    second = optimizer_of(RATES)
    resumed = PerGroupOneCycleLR(second, end=20, by_epoch=False)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert found + rates_over(second, resumed, 12) == expected


def scheduled(cfg, epoch_length=5):
    """Builds optimizer and schedule of a config as the Runner does."""
    init_default_scope("mmseg")
    wrapper = build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper)
    [schedule] = cfg.param_scheduler
    schedule = {**schedule, "end": cfg.train_cfg.max_epochs}
    defaults = {"optimizer": wrapper, "epoch_length": epoch_length}
    return wrapper, PARAM_SCHEDULERS.build(schedule, default_args=defaults)


def test_the_rates_of_layer_decay_are_kept_in_every_iteration():
    cfg = Config.fromfile(CONFIGS / "upernet_convnext-tiny_artefact-layer-decay.py")
    wrapper, scheduler = scheduled(cfg)
    rates = rates_over(wrapper, scheduler, 50 * 5)
    peaks = [max(column) for column in zip(*rates, strict=True)]
    # The whole network of timm, whose classifier is where the decode head is here.
    whole = timm.create_model("convnext_tiny")
    scales = {group["lr_scale"] for group in param_groups_layer_decay(whole, layer_decay=0.8)}
    expected = sorted(0.001 * scale for scale in scales)
    assert len(expected) > 10
    assert sorted(set(peaks)) == pytest.approx(expected, rel=1e-4)
    for row in rates:  # in proportion, all the time
        shares = [rate / peak for rate, peak in zip(row, peaks, strict=True)]
        assert shares == pytest.approx([shares[0]] * len(shares))


def test_lr_mult_of_single_parts_is_kept():
    cfg = Config.fromfile(CONFIGS / "quickstart_artefact.py")
    cfg.optim_wrapper.paramwise_cfg = {"custom_keys": {"backbone": {"lr_mult": 0.1}}}
    wrapper, scheduler = scheduled(cfg)
    rates = rates_over(wrapper, scheduler, cfg.train_cfg.max_epochs * 5)
    peaks = {max(column) for column in zip(*rates, strict=True)}
    assert sorted(peaks) == pytest.approx([0.0002, 0.002])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pct_start": 1.5, "end": 5}, "pct_start=1.5"),
        ({"div_factor": 0, "end": 5}, "div_factor=0"),
        ({"final_div_factor": "a", "end": 5}, "final_div_factor='a'"),
        ({}, "end is missing"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=re.escape("PerGroupOneCycleLR")) as caught:
        PerGroupOneCycleLR(optimizer_of([0.1]), **arguments)
    assert message in str(caught.value)
