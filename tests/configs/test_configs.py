"""Every shipped config: readable with mmengine alone, consistent, built, trained and tested."""

import shutil
from pathlib import Path

import pytest
import timm
import torch
import yaml
from mmengine.config import Config

from mmseg_heritage.apis.testing import test as run_test
from mmseg_heritage.apis.training import train
from mmseg_heritage.evaluation.summary import load_metrics
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.build import build_model

FOLDER = Path(__file__).resolve().parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.py"))

every = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


@every
def test_it_loads_with_mmengine_alone(path):
    cfg = Config.fromfile(path)
    assert cfg.default_scope == "mmseg"
    assert cfg.custom_imports.imports == ["mmseg_heritage.plugin"]


SMALL = {"data_root": "", "crop_size": 64, "batch_size": 2, "num_workers": 0, "max_edge": 96}


@pytest.fixture
def switches_of_torch():
    """Sets back what ``deterministic`` switches for the whole process."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.benchmark = before


def train_and_test(path, sample_set, folder, **options):
    """Two deterministic iterations on the sample set, then the scores of its test part."""
    options = {**SMALL, "data_root": str(sample_set), "max_iters": 2, "lr": 1e-4,
               "randomness.deterministic": True, **options}  # fmt: skip
    train(path, str(folder), cfg_options=options, skip_data_check=True)
    checkpoint = folder / "iter_2.pth"
    scores = load_metrics(run_test(checkpoint, skip_data_check=True))
    classes = load_config(path).model.decode_head.num_classes
    assert len(scores["levels"]["fine"]["per_class"]) == classes
    assert scores["overall"]["aAcc"] is not None
    state = torch.load(checkpoint, weights_only=False)["state_dict"]
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())


DOMAINS = {
    "batch_size": 4, "train_dataloader.sampler.domains_per_batch": 2,
    "train_dataloader.sampler.images_per_domain": 2,
}  # fmt: skip
SMALL_MIT = {"model.backbone.embed_dims": 8, "model.backbone.num_layers": [1, 1, 1, 1]}
SMALL_TIMM = {"model.backbone.model_name": "test_convnext"}
SMALL_RESNET = {"model.backbone.model_name": "test_resnet"}
NARROW = {"model.decode_head.channels": 16}
NARROW_UNET = {"model.decode_head.decoder_channels": [16, 8, 8, 8, 8]}


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("segformer_mitb3_artefact-binary", SMALL_MIT | NARROW),
        *(
            pytest.param(name, small, marks=pytest.mark.slow)
            for name, small in (
                ("segformer_mitb3_artefact-mixstyle", SMALL_MIT | NARROW | DOMAINS),
                ("segformer_mitb3_artefact-fourier", SMALL_MIT | NARROW | DOMAINS),
                ("unet_timm_artefact", SMALL_TIMM | NARROW_UNET),
                ("upernet_convnext-tiny_artefact-aux", SMALL_TIMM | NARROW),
                ("hierarchical_convnext-tiny_artefact-6gb", SMALL_TIMM | NARROW),
                ("deeplabv3plus_resnet50_artefact", SMALL_RESNET | NARROW),
            )
        ),
    ],
)
def test_each_decoder_trains_and_tests_with_a_small_backbone(
    name, small, sample_set, tmp_path, switches_of_torch
):
    train_and_test(FOLDER / f"{name}.py", sample_set, tmp_path / "run", **small)


@pytest.mark.slow
@every
def test_it_trains_and_tests(path, sample_set, tmp_path, switches_of_torch):
    """With the model at full width and depth."""
    split = {"split_file": ""} if path.stem == "quickstart_artefact" else {}
    if load_config(path).train_dataloader.sampler.type == "DomainBatchSampler":
        split = DOMAINS
    train_and_test(path, sample_set, tmp_path / "run", **split)
    shutil.rmtree(tmp_path / "run")  # half a gigabyte each


@pytest.mark.slow
@pytest.mark.parametrize("path", {path.stem.split("_")[1]: path for path in CONFIGS}.values(),
                         ids=lambda path: path.stem)  # fmt: skip
def test_the_model_of_each_backbone_is_built(path):
    cfg = load_config(path)
    assert build_model(cfg).decode_head.num_classes == cfg.model.decode_head.num_classes


@pytest.mark.parametrize("name", ["coatnet_nano_rw_224", "resnet10t"])
def test_the_name_of_a_timm_model_is_enough(name):
    model = build_model(
        load_config(FOLDER / "unet_timm_artefact.py", {"model.backbone.model_name": name})
    )
    weights = timm.get_pretrained_cfg(name)
    mean, std = model.data_preprocessor.mean.flatten(), model.data_preprocessor.std.flatten()
    assert mean.tolist() == pytest.approx([255 * value for value in weights.mean])
    assert std.tolist() == pytest.approx([255 * value for value in weights.std])


def test_any_backbone_goes_with_deeplab():
    path, name = FOLDER / "deeplabv3plus_resnet50_artefact.py", "resnet10t"
    model = build_model(load_config(path, {"model.backbone.model_name": name}))
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, 64, 64)).shape[:2] == (1, 16)


@pytest.mark.parametrize("name", ["unet_coatnet-0", "unet_maxvit-tiny", "upernet_swin-tiny",
                                  "hierarchical_maxvit-tiny", "upernet_coat-lite-small"])  # fmt: skip
def test_backbones_of_a_fixed_size_are_built_for_the_crop(name):
    path = FOLDER / f"{name}_artefact.py"
    cfg = load_config(path)
    crops = [step.get("size") for step in cfg.train_dataloader.dataset.pipeline]
    assert cfg.model.backbone.img_size in crops
    assert load_config(path, {"crop_size": 256}).model.backbone.img_size == 256
    own = {"crop_size": 256, "model.backbone.img_size": 128}
    assert load_config(path, own).model.backbone.img_size == 128


@every
def test_it_is_listed_for_mim(path):
    entries = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    assert [e["Config"] for e in entries if e["Name"] == path.stem] == [f"configs/{path.name}"]


def test_the_metafile_lists_nothing_else():
    entries = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    assert [entry["Name"] for entry in entries] == [path.stem for path in CONFIGS]


def test_the_main_config_has_the_published_settings():
    cfg = load_config(FOLDER / "segformer_mitb3_artefact.py")
    crop = next(s for s in cfg.train_dataloader.dataset.pipeline if "Crop" in s["type"])
    assert crop["size"] == 384
    assert cfg.train_dataloader.batch_size == 32
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ("AdamW", 0.000333, 0.01)
    assert cfg.optim_wrapper.type == "DeviceAmpOptimWrapper"
    [scheduler] = cfg.param_scheduler
    assert (scheduler.type, scheduler.pct_start) == ("PerGroupOneCycleLR", 0.3)
    assert cfg.train_cfg.max_epochs == 50
    assert scheduler.convert_to_iter_based
    assert cfg.randomness.seed == 42
    assert cfg.default_hooks.checkpoint.save_best == "mIoU"
    assert cfg.model.decode_head.num_classes == 16
    assert cfg.model.decode_head.loss_decode.type == "ClassWeightedDiceLoss"
    assert cfg.model.backbone.num_layers == [3, 4, 18, 3]  # MiT-B3
