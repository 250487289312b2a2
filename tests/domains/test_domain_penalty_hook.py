"""Weights over a training, the optimizer at their change, states in checkpoints, whole runs."""

from pathlib import Path

import pytest
import torch

from mmseg_heritage.apis.training import train
from mmseg_heritage.domains import DomainPenaltyHook
from mmseg_heritage.domains.domain_penalty_hook import STATE
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.config_files import config_folder, load_config


def weights(training_steps, model, pixels, max_iters):
    """Returns the weight of the first penalty, and whether the optimizer was empty, by step."""
    train_step = training_steps(model, max_iters)
    seen = []
    state = train_step.runner.optim_wrapper.optimizer.state
    for step in range(max_iters):
        train_step.hook.before_train_iter(train_step.runner, 0)
        seen.append((model.penalties.penalties[0].current_weight, not state))
        train_step(*pixels(step))
    return seen


@pytest.mark.parametrize(
    ("penalty", "switch", "first", "last", "clears"),
    [
        ({"type": "IRMPenalty", "anneal": 0.5}, 5, 1.0, 100.0, True),
        ({"type": "FishrPenalty"}, 3, 0.0, 1000.0, True),
        ({"type": "FishrPenalty", "reset_optimizer": False}, 3, 0.0, 1000.0, False),
        ({"type": "FishrPenalty", "anneal": 0}, 0, None, 1000.0, False),
        ({"type": "CORALPenalty"}, 0, None, 1.0, False),
    ],
)
def test_the_weight_changes_once_and_the_optimizer_is_cleared_there(
    penalty, switch, first, last, clears, linear_segmentor, training_steps, pixels
):
    seen = weights(training_steps, linear_segmentor([penalty]), pixels, 10)
    assert [weight for weight, _ in seen] == [first] * switch + [last] * (10 - switch)
    assert [step for step, (_, empty) in enumerate(seen) if empty] == [0] + [switch] * clears


def test_a_cleared_optimizer_steps_as_a_new_one_and_is_the_same_object():
    parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    used, new = (torch.optim.Adam([p], lr=0.1) for p in parameters)
    schedule = torch.optim.lr_scheduler.ConstantLR(used, factor=1)
    parameters[0].grad = torch.tensor([1.0, -2.0, 3.0])
    used.step()
    parameters[0].data.fill_(1)
    used.state.clear()
    for parameter, optimizer in zip(parameters, (used, new), strict=True):
        parameter.grad = torch.tensor([0.3, 0.1, -0.2])
        optimizer.step()
    assert torch.equal(*parameters)
    assert schedule.optimizer is used


def test_a_model_without_penalties_is_refused(linear_segmentor):
    with pytest.raises(InputError, match="needs a HeritageEncoderDecoder with penalties"):
        DomainPenaltyHook().check_model(linear_segmentor())


def test_a_config_with_penalties_and_without_the_hook_is_refused(tmp_path):
    base = config_folder() / "segformer_mitb3_artefact-irm.py"
    path = tmp_path / "hookless.py"
    path.write_text(f"_base_ = [{str(base)!r}]\ncustom_hooks = []\n")
    with pytest.raises(InputError, match="no meaning") as caught:
        load_config(path)
    assert "DomainPenaltyHook" in str(caught.value)


SMALL = {
    "model.backbone.embed_dims": 8, "model.backbone.num_layers": [1, 1, 1, 1],
    "model.decode_head.channels": 16, "crop_size": 64, "batch_size": 4, "num_workers": 0,
    "train_dataloader.sampler.domains_per_batch": 2,
    "train_dataloader.sampler.images_per_domain": 2, "max_edge": 64,
    "max_iters": 6, "default_hooks.checkpoint.interval": 2, "randomness.deterministic": True,
    "default_hooks.checkpoint.max_keep_ckpts": -1, "lr": 1e-3, "train_cfg.val_interval": 100,
}  # fmt: skip


def run(method, sample_set, folder, resume=None):
    config = config_folder() / f"segformer_mitb3_artefact-{method}.py"
    options = {**SMALL, "data_root": str(sample_set)}
    train(config, str(folder), cfg_options=options, skip_data_check=True, resume=resume)
    return torch.load(folder / "iter_6.pth", weights_only=False)


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=pytest.mark.slow) for m in ("fishr", "coral", "irm", "groupdro")],
)
def test_a_run_goes_on_bit_by_bit_where_it_was_stopped(method, sample_set, tmp_path):
    """At the iteration of the switch (2 of 6 for Fishr, 1 for IRM): weights and states."""
    whole = run(method, sample_set, tmp_path / "whole")
    start = tmp_path / "whole" / "iter_2.pth"
    again = run(method, sample_set, tmp_path / "again", str(start))
    for part in ("state_dict", "ema_state_dict"):
        assert whole[part].keys() == again[part].keys()
        assert all(torch.equal(value, again[part][key]) for key, value in whole[part].items())
    assert whole[STATE].keys() == again[STATE].keys()
    for name, state in whole[STATE].items():
        assert state.keys() == again[STATE][name].keys()
        assert all(torch.equal(value, again[STATE][name][key]) for key, value in state.items())
    has_state = method in ("fishr", "groupdro")
    assert any(whole[STATE].values()) == has_state
    assert not [key for key in whole["state_dict"] if "penalt" in key]
    log = Path(next((tmp_path / "again").glob("*/*.log"))).read_text()
    assert log.count("the optimizer's state is cleared") == (method == "fishr")
