"""The weights that the configs of domain generalization save are means over the training."""

import pytest
import torch

from mmseg_heritage.apis.training import train
from mmseg_heritage.runs.config.config_files import config_folder, load_config

CONFIG = config_folder() / "segformer_mitb3_artefact-erm-natural.py"
SMALL = {
    "model.backbone.embed_dims": 8, "model.backbone.num_layers": [1, 1, 1, 1],
    "model.decode_head.channels": 16, "crop_size": 64, "batch_size": 2, "num_workers": 0,
    "max_iters": 5, "train_cfg.val_interval": 100, "default_hooks.checkpoint.interval": 1,
    "default_hooks.checkpoint.max_keep_ckpts": -1, "lr": 1e-2, "custom_hooks.0.begin_iter": 2,
}  # fmt: skip


@pytest.mark.slow
def test_saved_weights_are_the_mean_of_those_of_the_iterations(sample_set, tmp_path):
    """From the second of five on; BatchNorm's statistics too."""
    options = {**SMALL, "data_root": str(sample_set)}
    folder = train(CONFIG, str(tmp_path / "run"), cfg_options=options, skip_data_check=True)
    files = [torch.load(folder / f"iter_{i}.pth", weights_only=False) for i in range(1, 6)]
    # mmengine keeps the weights that are trained under the name of the mean, and the other way.
    trained = [content["ema_state_dict"] for content in files[1:]]
    saved = files[-1]["state_dict"]
    floats = [name for name, value in saved.items() if value.is_floating_point()]
    assert [name for name in floats if "running_var" in name]
    for name in floats:
        mean = torch.stack([state[f"module.{name}"] for state in trained]).mean(dim=0)
        assert torch.allclose(saved[name], mean, atol=1e-6, rtol=1e-5), name


def test_it_begins_after_the_same_share_of_a_shorter_training():
    hooks = load_config(CONFIG, {"max_iters": 100}).custom_hooks
    assert [hook.begin_iter for hook in hooks] == [10]
