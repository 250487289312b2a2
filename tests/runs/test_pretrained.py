"""Weights to start from: a file, a download that was asked for, or a message."""

import hashlib
import io
import urllib.error
import urllib.request
from email.message import Message

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter
from mmseg_heritage.runs import pretrained
from mmseg_heritage.runs.pretrained import (
    check_pretrained,
    fetch_pretrained,
    leave_out_initialization,
    record_license,
    require_pretrained_file,
    set_pretrained,
)

NAME, URL = pretrained._FILES["mit_b3"]


MIT_B3 = {"type": "MixVisionTransformer", "embed_dims": 64, "num_layers": [3, 4, 18, 3]}


def started(wanted, backbone=MIT_B3):
    """Returns a config with the option, after all that comes before the model is built."""
    cfg = Config({"model": {"backbone": dict(backbone)}})
    set_pretrained(cfg, wanted)
    fetch_pretrained(cfg)
    return cfg


@pytest.fixture
def weights(tmp_path):
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def serve(monkeypatch, content):
    class Answer(io.BytesIO):
        headers = Message()

    calls = []
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda url, timeout: calls.append(url) or Answer(content)
    )
    return calls


def test_none_leaves_the_backbone_alone():
    assert started(None).model.backbone == {**MIT_B3, "init_cfg": None}


def test_a_local_file(weights):
    cfg = started(str(weights))
    assert cfg.model.backbone.init_cfg == {"type": "Pretrained", "checkpoint": str(weights)}
    check_pretrained(cfg, torch.nn.Linear(2, 3))


def test_the_backbone_is_taken_out_of_a_whole_model(tmp_path):
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 3), "head": torch.nn.Linear(3, 1)})
    torch.save({"state_dict": model.state_dict()}, tmp_path / "model.pth")
    cfg = started(str(tmp_path / "model.pth"))
    assert cfg.model.backbone.init_cfg.prefix == "backbone."
    check_pretrained(cfg, torch.nn.Linear(2, 3))


def test_weights_of_another_backbone_are_refused(weights):
    cfg = started(str(weights))
    with pytest.raises(InputError, match="only 0 of its 2 tensors are in the file"):
        check_pretrained(cfg, torch.nn.Linear(7, 7))


def save_and_resolve(model, path):
    torch.save(model.state_dict(), path)
    cfg = started(str(path))
    return cfg


def test_a_tensor_of_another_shape_would_stay_random_and_is_refused(tmp_path):
    def network(channels):
        layers = {f"layer{i}": torch.nn.Linear(2, 2) for i in range(9)}
        return torch.nn.ModuleDict({"first": torch.nn.Conv2d(channels, 8, 3), **layers})

    cfg = save_and_resolve(network(3), tmp_path / "rgb.pth")
    check_pretrained(cfg, network(3))
    with pytest.raises(InputError, match=r"rgb\.pth: .* would stay random") as caught:
        check_pretrained(cfg, network(4))
    assert caught.value.problems == [
        "first.weight: (8, 3, 3, 3) in the file, (8, 4, 3, 3) in the model"
    ]


@pytest.mark.parametrize(
    "name", ["pos_embed", "absolute_pos_embed", "relative_position_bias_table", "rel_pos_h"]
)
def test_position_tables_of_another_shape_are_the_backbones_own_business(name, tmp_path):
    def network(positions):
        module = torch.nn.Linear(2, 2)
        module.register_parameter(name, torch.nn.Parameter(torch.zeros(positions)))
        return module

    cfg = save_and_resolve(network(4), tmp_path / "w.pth")
    check_pretrained(cfg, network(9))


@pytest.mark.parametrize("wanted", [True, 3, ["a"]])
def test_other_values_are_refused(wanted):
    with pytest.raises(InputError, match="pretrained must be a path, 'auto' or None"):
        started(wanted)


def test_a_download_is_verified_and_kept(cache, weights, monkeypatch):
    content = weights.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    name = f"mit_b3_x-{digest}.pth"
    monkeypatch.setitem(pretrained._FILES, "mit_b3", (name, "https://example.org/" + name))
    calls = serve(monkeypatch, content)
    for _ in range(2):
        cfg = started("auto")
        assert cfg.model.backbone.init_cfg.checkpoint == "https://example.org/" + name
    assert calls == ["https://example.org/" + name]  # the second time from the cache
    assert (cache / name).read_bytes() == content

    (cache / name).write_bytes(b"damaged")
    started("auto")
    assert (cache / name).read_bytes() == content


def test_a_damaged_download_is_not_kept(cache, monkeypatch):
    serve(monkeypatch, b"not what was asked for")
    with pytest.raises(InputError, match="the download is damaged"):
        started("auto")
    assert not list(cache.iterdir())


def test_without_network_one_message_says_which_file_from_where_and_how_to_go_on(
    cache, monkeypatch
):
    def fail(url, timeout):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(InputError) as caught:
        started("auto")
    for part in (NAME, URL, "no network", f"pretrained=PATH/{NAME}", "pretrained=None"):
        assert part in str(caught.value)
    assert not list(cache.iterdir())


def test_a_backbone_without_known_weights():
    with pytest.raises(InputError, match=r"no weights are known for .*pretrained=None"):
        started("auto", {"type": "X"})


def test_every_encoder_of_segformer_is_known_by_its_widths_and_depths():
    found = [
        pretrained.mit_name({"type": "MixVisionTransformer", "embed_dims": dims, "num_layers": n})
        for dims, n in pretrained._MIT
    ]
    assert found == list(pretrained._FILES)
    assert pretrained.mit_name({**MIT_B3, "embed_dims": 16}) is None


def test_timm_reads_its_weights_by_itself(weights):
    timm = {"type": "TimmBackboneAdapter", "model_name": "resnet10t"}
    assert started("auto", timm).model.backbone.pretrained is True
    assert started(str(weights), timm).model.backbone.checkpoint_path == str(weights)
    off = {"pretrained": False, "checkpoint_path": None}
    assert started(None, timm).model.backbone == {**timm, **off}


def test_a_model_of_a_run_that_goes_on_reads_nothing():
    gone = {"type": "Pretrained", "checkpoint": "/gone.pth"}
    model = BaseModule()
    model.backbone = TimmBackboneAdapter(model_name="resnet10t", checkpoint_path="/gone.pth")
    model.head = BaseModule(init_cfg=gone)
    leave_out_initialization(model)
    model.init_weights()


def test_an_absent_file_is_told_by_those_that_need_it():
    for backbone in (MIT_B3, {"type": "TimmBackboneAdapter", "model_name": "resnet10t"}):
        cfg = started("nowhere.pth", backbone)
        with pytest.raises(InputError, match=r"nowhere\.pth: no such file of pretrained weights"):
            require_pretrained_file(cfg)


@pytest.mark.parametrize(
    ("name", "use_file", "stated", "expected"),
    [
        ("convnext_tiny.dinov3_lvd1689m", True, None, "dinov3-license"),
        ("vit_small_patch14_dinov2.lvd142m", False, None, "apache-2.0"),
        ("sam2_hiera_tiny.fb_r896", True, None, "apache-2.0"),
        ("resnet10t", True, None, "not known"),
        ("resnet10t", True, "CC-BY-4.0", "CC-BY-4.0"),
    ],
)
def test_the_license_of_timm_s_weights_is_kept_in_the_config(
    name, use_file, stated, expected, weights
):
    backbone = {"type": "TimmBackboneAdapter", "model_name": name}
    cfg = started(str(weights) if use_file else "auto", backbone)
    if stated:
        cfg.pretrained_license = stated
    record_license(cfg)
    assert Config.fromstring(cfg.pretty_text, ".py").pretrained_license == expected


def test_without_weights_there_is_no_license():
    cfg = started(None, {"type": "TimmBackboneAdapter", "model_name": "resnet10t"})
    record_license(cfg)
    assert "pretrained_license" not in cfg
