"""Each field that somebody writes in a config is what runs: file, run and dump are one."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_heritage.apis.training import train
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs import prepare
from mmseg_heritage.runs.config.config_files import config_folder, load_config
from mmseg_heritage.runs.machine import FITTED_FIELDS

FOLDER = config_folder()
CONFIGS = sorted(FOLDER.glob("*.py"))
# One of each decoder, and of each thing that few configs do; all others run in `make test-all`.
QUICK = {
    "deeplabv3plus_resnet50_artefact",
    "hierarchical_convnext-tiny_artefact-curriculum",
    "quickstart_artefact",
    "segformer_efficientnet-lite0_cracks",
    "segformer_mitb3_artefact-binary",
    "segformer_mitb3_artefact-fishr",
    "unet_timm_artefact",
    "upernet_convnext-tiny_artefact-aux",
    "upernet_convnext-tiny_artefact-layer-decay",
}
# The command line's own, which no config file has to name.
OF_THE_COMMAND = {"work_dir", "launcher", "load_from", "resume"}


class Stopped(Exception):
    """Ends a training when its Runner would be built."""


class NoModel(torch.nn.Module):
    """Stands in for a model where only the config is of interest: full ones take seconds."""

    with_auxiliary_head = False

    def __init__(self):
        super().__init__()
        self.backbone, self.decode_head = torch.nn.Identity(), torch.nn.Identity()


@pytest.fixture
def what_runs(monkeypatch, sample_set, tmp_path):
    """A function that returns the config which ``train`` hands to the Runner."""

    def stop(cfg):
        raise Stopped(copy.deepcopy(cfg))

    def run(path, build=False, **options):
        monkeypatch.setattr(Runner, "from_cfg", stop)
        if not build:
            monkeypatch.setattr(prepare, "build_parts", lambda cfg, parts: NoModel())
        with pytest.raises(Stopped) as caught:
            train(path, str(tmp_path / "run"), skip_data_check=True,
                  cfg_options={"data_root": str(sample_set), **options})  # fmt: skip
        return caught.value.args[0]

    return run


def leaves(node, place=""):
    """Returns the dotted fields of a config with their values."""
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, (list, tuple)):
        pairs = enumerate(node)
    else:
        return {place: node}
    return {k: v for name, value in pairs for k, v in leaves(value, f"{place}.{name}").items()}


def fewer_domains(cfg):
    """Returns options for a batch of two domains: the sample set has few of them."""
    sampler = "train_dataloader.sampler"
    if cfg.train_dataloader.sampler.type != "DomainBatchSampler":
        return {}
    images = cfg.train_dataloader.batch_size // 2
    return {f"{sampler}.domains_per_batch": 2, f"{sampler}.images_per_domain": images}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow)
        for path in CONFIGS
    ],
)
def test_every_field_of_the_file_is_what_runs(path, what_runs, sample_set):
    split = {} if path.stem != "quickstart_artefact" else {"split_file": ""}
    cfg = Config.fromfile(path)
    domains = fewer_domains(cfg)
    found = what_runs(path, **split, **domains)
    cfg.merge_from_dict(domains)
    for part in ("train", "val", "test"):
        cfg[f"{part}_dataloader"].dataset.data_root = str(sample_set)
        if split:
            cfg[f"{part}_dataloader"].dataset.ann_file = ""
    written, run = leaves(cfg.to_dict()), leaves(found.to_dict())
    different = {key[1:] for key in written.keys() | run.keys() if written.get(key) != run.get(key)}
    assert different - OF_THE_COMMAND <= set(FITTED_FIELDS)
    dumped = Config.fromstring(found.pretty_text, ".py")
    assert leaves(dumped.to_dict()).keys() == run.keys()


FIXED = "_base_ = [{base!r}]\n"
CHILDREN = {
    "batch": ("train_dataloader = dict(batch_size=2)", "train_dataloader.batch_size", 2),
    "rate": ("optim_wrapper = dict(optimizer=dict(lr=1e-4))", "optim_wrapper.optimizer.lr", 1e-4),
    "epochs": ("train_cfg = dict(max_epochs=4)", "train_cfg.max_epochs", 4),
    "seed": ("randomness = dict(seed=7)", "randomness.seed", 7),
    "step before": (
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='RandomFlip', prob=0.0), "
        "*_base_.train_dataloader.dataset.pipeline]))",
        "train_dataloader.dataset.pipeline.3.type", "RareClassCrop",
    ),
    "step after": (
        "train_dataloader = dict(dataset=dict(pipeline=["
        "*_base_.train_dataloader.dataset.pipeline[:-1], dict(type='RandomFlip', prob=0.25), "
        "_base_.train_dataloader.dataset.pipeline[-1]]))",
        "train_dataloader.dataset.pipeline.4.prob", 0.25,
    ),
    "backbone": (
        "model = dict(backbone=dict(_delete_=True, type='TimmBackboneAdapter', "
        "model_name='resnet10t', out_indices=(0, 1, 2, 3)))",
        "model.backbone.model_name", "resnet10t",
    ),
    "decoder": (
        "model = dict(decode_head=dict(_delete_=True, type='SegformerHead', in_channels='auto', "
        "in_index=[0, 1, 2, 3], channels=8, num_classes=16, "
        "loss_decode=dict(type='MaskedCrossEntropyLoss')))",
        "model.decode_head.type", "SegformerHead",
    ),
    "three losses": (
        "model = dict(decode_head=dict(loss_decode=[dict(type='ClassWeightedDiceLoss'), "
        "dict(type='MaskedCrossEntropyLoss'), dict(type='MulticlassFocalLoss', gamma=1.5)]))",
        "model.decode_head.loss_decode.2.gamma", 1.5,
    ),
    "own classes": (
        "model = dict(decode_head=dict(num_classes=2))\n"
        "train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict("
        "metainfo=dict(classes=('Clean', 'Cracks'))))",
        "val_dataloader.dataset.metainfo.classes", ("Clean", "Cracks"),
    ),
    "hook off": ("default_hooks = dict(class_frequency=None)", "default_hooks.class_frequency", None),
    "schedule": (
        "param_scheduler = [dict(type='PolyLR', eta_min=1e-6, power=0.9)]",
        "param_scheduler.0.power", 0.9,
    ),
}  # fmt: skip


def value_at(node, place):
    for name in place.split("."):
        node = node[int(name)] if isinstance(node, (list, tuple)) else node.get(name)
    return node


@pytest.mark.parametrize(
    ("base", "build"),
    [
        ("quickstart_artefact", True),
        pytest.param("upernet_convnext-tiny_artefact", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("case", CHILDREN)
def test_what_a_child_writes_is_what_runs(case, base, build, what_runs, tmp_path):
    text, place, value = CHILDREN[case]
    path = tmp_path / "child.py"
    path.write_text(FIXED.format(base=str(FOLDER / f"{base}.py")) + text)
    assert value_at(Config.fromfile(path), place) == value
    split = {} if base != "quickstart_artefact" else {"split_file": ""}
    assert value_at(what_runs(path, build, **split), place) == value


def test_class_weights_are_numbers_with_the_hash_of_their_file(tmp_path, what_runs):
    file = tmp_path / "weights.json"
    file.write_text("[" + ", ".join(["2"] + ["1"] * 15) + "]")
    cfg = what_runs(FOLDER / "segformer_mitb3_artefact.py", class_weights=str(file))
    assert cfg.model.decode_head.loss_decode.class_weight == [2.0] + [1.0] * 15
    assert cfg.class_weights_file.path == str(file)
    assert len(cfg.class_weights_file.sha256) == 64
    file.write_text("[" + ", ".join(["3"] + ["1"] * 15) + "]")
    again = load_config(FOLDER / "segformer_mitb3_artefact.py", {"class_weights": str(file)})
    assert again.model.decode_head.loss_decode.class_weight[0] == 3.0


def test_classes_of_heads_and_data_must_agree(tmp_path, sample_set):
    path = tmp_path / "child.py"
    path.write_text(
        FIXED.format(base=str(FOLDER / "segformer_mitb3_artefact.py"))
        + "model = dict(decode_head=dict(num_classes=5))"
    )
    with pytest.raises(InputError, match="the data set has 16 classes; set num_classes=16"):
        train(path, str(tmp_path / "run"), cfg_options={"data_root": str(sample_set)})
    assert not (tmp_path / "run").exists()
