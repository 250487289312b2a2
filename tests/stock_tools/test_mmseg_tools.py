"""mmsegmentation's own scripts and functions on our configs and checkpoints, unchanged."""

import json
import runpy
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from PIL import Image

from mmseg_heritage import Predictor
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER
from mmseg_heritage.images.photographs import read_image

# isort: split
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS
from mmseg.visualization import SegLocalVisualizer

TOOLS = Path(mmseg.__file__).parent / ".mim" / "tools"


@pytest.fixture
def mmseg_tool(monkeypatch):
    """A function that runs one of mmseg's scripts in this process."""

    def run(name, *arguments):
        # A run is named by the second of its beginning: two of a second would share a visualizer.
        SegLocalVisualizer._instance_dict.clear()
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(TOOLS / name), run_name="__main__")

    return run


@pytest.fixture(scope="module")
def photographs(tiny_run):
    return [sample.image for sample in read_folder(tiny_run.data)]


def ids_of(sample):
    return sample.pred_sem_seg.data.squeeze(0).cpu().numpy()


def test_train_gives_the_weights_that_our_tool_gives(mmseg_tool, tiny_run, tmp_path):
    """The same config and seed: the run's own copy of it, trained again by mmseg's script."""
    mmseg_tool("train.py", tiny_run.folder / "tiny.py", "--work-dir", tmp_path / "run")
    ours = torch.load(tiny_run.checkpoint, weights_only=False)["state_dict"]
    theirs = torch.load(tmp_path / "run" / tiny_run.checkpoint.name, weights_only=False)
    assert ours.keys() == theirs["state_dict"].keys()
    assert all(torch.equal(ours[name], theirs["state_dict"][name]) for name in ours)


def test_test_scores_and_writes_maps_and_pictures(mmseg_tool, tiny_run, tmp_path):
    maps, pictures = tmp_path / "maps", tmp_path / "pictures"
    mmseg_tool("test.py", tiny_run.config, tiny_run.checkpoint, "--work-dir", tmp_path / "run",
               "--out", maps, "--show-dir", pictures)  # fmt: skip
    split = json.loads((tiny_run.folder / "split.json").read_text())
    assert sorted(path.stem for path in maps.glob("*.png")) == split["parts"]["test"]
    assert len(list(pictures.rglob("*.png"))) == len(split["parts"]["test"])
    model = init_model(str(tiny_run.config), str(tiny_run.checkpoint), device="cpu")
    for path in maps.glob("*.png"):
        found = ids_of(inference_model(model, str(tiny_run.data / "images" / path.name)))
        assert np.array_equal(np.array(Image.open(path)), found)
    assert not (tmp_path / "run" / EVALUATION_FOLDER).exists()


def test_test_with_augmentation_merges_the_views(mmseg_tool, tiny_run, tmp_path):
    mmseg_tool("test.py", tiny_run.config, tiny_run.checkpoint, "--work-dir", tmp_path / "run",
               "--tta")  # fmt: skip
    [scores] = (tmp_path / "run").glob("*/*.json")
    assert 0 <= json.loads(scores.read_text())["aAcc"] <= 100


def test_a_path_and_an_array_give_the_map_of_our_predictor(tiny_run, photographs):
    model = init_model(str(tiny_run.config), str(tiny_run.checkpoint), device="cpu")
    by_path = [ids_of(inference_model(model, str(path))) for path in photographs]
    by_array = [ids_of(inference_model(model, read_image(p)[..., ::-1])) for p in photographs]
    assert all(np.array_equal(a, b) for a, b in zip(by_path, by_array, strict=True))
    assert len({ids.tobytes() for ids in by_path}) > 1
    ours = Predictor(tiny_run.checkpoint, device="cpu")
    assert all(
        np.array_equal(ids, ours(p).class_map) for ids, p in zip(by_path, photographs, strict=True)
    )


def test_the_inferencer_gives_the_same_maps(tiny_run, photographs, tmp_path):
    model = init_model(str(tiny_run.config), str(tiny_run.checkpoint), device="cpu")
    inferencer = MMSegInferencer(str(tiny_run.config), str(tiny_run.checkpoint), device="cpu")
    found = inferencer([str(p) for p in photographs[:2]], out_dir=str(tmp_path))["predictions"]
    for path, ids in zip(photographs, found, strict=False):
        assert np.array_equal(ids, ids_of(inference_model(model, str(path))))
    assert len(list((tmp_path / "vis").iterdir())) == 2


@pytest.mark.slow
def test_the_runner_alone_trains_it(tiny_config, tmp_path):
    cfg = Config.fromfile(tiny_config)
    cfg.work_dir = str(tmp_path)
    cfg.train_cfg.max_epochs = 1
    Runner.from_cfg(cfg).train()
    assert (tmp_path / "epoch_1.pth").is_file()
    MMLogger.get_current_instance()


@pytest.mark.parametrize("mode", ["independent", "marginal", "conditional"])
def test_merged_views_have_levels_and_logits_of_all_of_them(mode, photographs):
    """One view merged is the prediction itself; a view and its mirror image are symmetric."""
    cfg = Config.fromfile(
        Path(__file__).resolve().parents[2] / "configs" / "hierarchical_mitb3_artefact.py"
    )
    cfg.model.backbone.update(embed_dims=8, num_layers=[1, 1, 1, 1])
    cfg.model.decode_head.update(channels=16, mode=mode, norm_cfg={"type": "BN"})
    torch.manual_seed(0)
    tta = MODELS.build({**cfg.tta_model, "module": cfg.model}).eval()
    pipeline = [cfg.test_pipeline[0], *cfg.test_pipeline[2:]]
    from mmengine.dataset import Compose

    info = {"img_path": str(photographs[0])}
    views = [Compose(pipeline)(dict(info))]
    mirrored = Compose([pipeline[0], {"type": "RandomFlip", "prob": 1.0}, *pipeline[1:]])
    with torch.no_grad():
        single = tta.module.test_step(pseudo_collate(views))[0]
        [merged] = tta.test_step({k: [[v]] for k, v in views[0].items()})
        assert torch.equal(merged.pred_sem_seg.data, single.pred_sem_seg.data)
        for level in single.levels:
            name = f"pred_sem_seg_{level}"
            assert torch.equal(merged.get(name).data, single.get(name).data)
        both = [views[0], mirrored(dict(info))]
        one, other = (
            tta.test_step({k: [[v[k]] for v in order] for k in both[0]})[0]
            for order in (both, both[::-1])
        )
    torch.testing.assert_close(one.seg_logits.data, other.seg_logits.data)
    total = one.seg_logits.data.exp().sum(dim=0)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert torch.equal(one.pred_sem_seg.data[0], one.seg_logits.data.argmax(dim=0))
    for level in one.levels:
        assert torch.equal(one.get(f"pred_sem_seg_{level}").data,
                           other.get(f"pred_sem_seg_{level}").data)  # fmt: skip
