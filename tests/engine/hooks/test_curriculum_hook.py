"""Stages of the curriculum: which, when, after a resume, and what they do to a run."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from mmseg_heritage.apis.training import train
from mmseg_heritage.engine.hooks import CurriculumHook
from mmseg_heritage.errors import InputError

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
ALL = {"binary": 0.2, "coarse": 0.3, "fine": 1.0}


class Head(torch.nn.Module):
    """Records what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def set_level_weights(self, weights, freeze_idle=False):
        self.told.append((dict(weights), freeze_idle))

    def wrong_level_weights(self, weights):
        return [f"'{name}' is no level" for name in weights if name not in ALL]


def make_runner(max_iters=10):
    model = torch.nn.Module()
    model.decode_head = Head()
    groups = [
        {"params": [torch.nn.Parameter(torch.zeros(1))]},
        {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 5.0},
    ]
    return SimpleNamespace(
        model=model, iter=0, max_iters=max_iters, hooks=[CheckpointHook(save_best="mIoU")],
        optim_wrapper=OptimWrapper(torch.optim.SGD(groups, lr=0.5)),
        message_hub=MessageHub("curriculum"), logger=logging.getLogger("curriculum"),
    )  # fmt: skip


def run(hook, runner, iterations):
    """Returns the stage, the learning rate in use and what chooses the best, by iteration."""
    hook.before_run(runner)
    runner.model.decode_head.told.clear()
    hook.before_train(runner)
    seen = []
    for runner.iter in iterations:
        hook.before_train_iter(runner, 0)
        stage = runner.message_hub.get_scalar("train/curriculum_stage").current()
        rate = runner.optim_wrapper.param_groups[0]["lr"]
        seen.append((stage, rate, runner.hooks[0].save_best))
        hook.after_train_iter(runner, 0)
        assert runner.optim_wrapper.param_groups[0]["lr"] == 0.5  # as the schedule left it
    return seen


STAGES = [
    {"end": 0.2, "level_weights": {"binary": 1.0, "coarse": 0.0, "fine": 0.0}, "lr_factor": 0.1},
    {"end": 0.4, "level_weights": {"binary": 0.2, "coarse": 1.0, "fine": 0.0}},
    {"end": 1.0, "level_weights": ALL, "lr_factor": 2.0},
]


def test_stages_follow_each_other():
    runner = make_runner()
    seen = run(CurriculumHook(STAGES), runner, range(10))
    assert [stage for stage, _, _ in seen] == [1, 1, 2, 2, 3, 3, 3, 3, 3, 3]
    assert [rate for _, rate, _ in seen] == pytest.approx([0.05] * 2 + [0.5] * 2 + [1.0] * 6)
    assert [best for _, _, best in seen] == [None] * 4 + [["mIoU"]] * 6
    assert runner.model.decode_head.told == [(s["level_weights"], True) for s in STAGES]


@given(st.integers(0, 9))
def test_a_resumed_run_is_in_the_stage_of_its_iteration(start):
    whole = run(CurriculumHook(STAGES), make_runner(), range(10))
    assert run(CurriculumHook(STAGES), make_runner(), range(start, 10)) == whole[start:]


def test_the_rate_in_the_log_is_the_one_in_use():
    runner = make_runner()
    run(CurriculumHook(STAGES), runner, [0])
    assert runner.message_hub.get_scalar("train/lr").current() == pytest.approx(0.05)


def test_a_model_without_levels_is_refused():
    runner = make_runner()
    runner.model.decode_head = torch.nn.Identity()
    with pytest.raises(InputError, match="such as HierarchicalUPerHead; found Identity"):
        CurriculumHook().before_run(runner)


def test_levels_that_the_model_does_not_have_are_refused_before_the_run():
    stages = [{"end": 0.5, "level_weights": {**ALL, "medium": 1}}, STAGES[2]]
    with pytest.raises(InputError, match="stage 1: 'medium' is no level"):
        CurriculumHook(stages).check_model(make_runner().model)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([], "there are no stages"),
        ([{"end": 0.5, "level_weights": ALL}], "the last stage ends at 0.5"),
        ([{"end": 0.6, "level_weights": ALL}, {"end": 0.5, "level_weights": ALL}], "stage 2: end"),
        ([{"end": 1.0, "level_weights": {"fine": 0}}], "does not train the classes"),
        ([{"end": 1.0, "level_weights": {"binary": 1}}], "a weight for each level and for 'fine'"),
        ([{"end": 1.0, "level_weights": None}], "stage 1: level_weights=None"),
        ([{"end": "1", "level_weights": ALL}], "stage 1: end='1'"),
        ([{"end": 1.0, "level_weights": ALL, "lr_factor": "2"}], "stage 1: lr_factor='2'"),
        ([{"end": 1.0, "level_weights": ALL, "lr_factor": 0}], "stage 1: lr_factor=0"),
        ([{"end": 1.0, "weights": ALL}], "stage 1: "),
        ([{"end": 1.5, "level_weights": ALL}], "stage 1: end=1.5"),
    ],
)
def test_what_is_wrong_with_the_stages_is_said(stages, expected):
    with pytest.raises(InputError) as caught:
        CurriculumHook(stages)
    assert expected in str(caught.value)


@pytest.mark.slow
def test_a_run_learns_level_by_level(sample_set, tmp_path):
    """Six iterations: binary at 1, coarse at 2, then all; frozen classifiers do not move."""
    config = tmp_path / "curriculum.py"
    base = CONFIGS / "hierarchical_mitb3_artefact-curriculum.py"
    config.write_text(
        f"_base_ = [{str(base)!r}]\n"
        "model = dict(backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1]),\n"
        "             decode_head=dict(channels=16, mode='independent',\n"
        "                              norm_cfg=dict(type='BN')))\n"
        "default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))\n"
    )
    options = {
        "data_root": str(sample_set), "crop_size": 64, "batch_size": 2, "num_workers": 0,
        "max_iters": 10, "lr": 0.01,
    }  # fmt: skip
    folder = train(config, work_dir=str(tmp_path / "run"), cfg_options=options)
    state = {
        i: torch.load(folder / f"iter_{i}.pth", weights_only=False)["state_dict"]
        for i in (1, 2, 3, 4, 5)
    }

    def moved(before, after, name):
        return not torch.equal(state[before][name], state[after][name])

    head = "decode_head."
    classifiers = {
        "fine": f"{head}conv_seg.weight", "binary": f"{head}level_classifiers.binary.weight",
        "coarse": f"{head}level_classifiers.coarse.weight",
    }  # fmt: skip
    assert {n for n, key in classifiers.items() if moved(1, 2, key)} == {"binary"}
    assert {n for n, key in classifiers.items() if moved(3, 4, key)} == {"binary", "coarse"}
    assert {n for n, key in classifiers.items() if moved(4, 5, key)} == set(classifiers)
    # Resumed within a stage, it goes on there: at iteration 4 "coarse" learns, "fine" does not.
    resumed = train(
        config, str(tmp_path / "resumed"), resume=str(folder / "iter_3.pth"), cfg_options=options
    )
    again = torch.load(resumed / "iter_4.pth", weights_only=False)["state_dict"]
    changed = {n for n, key in classifiers.items() if not torch.equal(state[3][key], again[key])}
    assert changed == {"binary", "coarse"}
    [best] = folder.glob("best_*")
    assert int(best.stem.rsplit("_", 1)[1]) > 4
    [log] = folder.glob("*/vis_data/scalars.json")
    stages = [
        entry["curriculum_stage"]
        for entry in map(json.loads, log.read_text().splitlines())
        if "curriculum_stage" in entry
    ]
    assert stages
    assert set(stages) <= {1, 2, 3}
