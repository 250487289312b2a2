"""Weights of timm's networks: from files under any names, from the hub, from init_cfg."""

import pytest
import timm
import torch
from mmengine.logging import MMLogger
from mmseg.registry import MODELS
from safetensors.torch import save_file

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import timm_weights


@pytest.fixture
def classifier(image):
    """A whole network of timm, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(7)
    network = timm.create_model("test_resnet").train()
    network(image(64, 64))
    return network.eval()


@pytest.fixture
def assert_loaded(image):
    """Compares the features of an adapter with those that timm makes of a whole network."""

    def compare(model, network):
        batch = image(64, 64)
        with torch.no_grad():
            found = model.eval()(batch)
            expected = network.forward_intermediates(batch, intermediates_only=True)[1:]
        for level, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(level, wanted, atol=1e-5, rtol=1e-5)

    return compare


@pytest.fixture
def load(build):
    """Builds an adapter and loads weights from a file into it."""

    def load_from(path, name="test_resnet", **kwargs):
        model = build(name, checkpoint_path=str(path), **kwargs)
        model.init_weights()
        return model

    return load_from


@pytest.fixture
def own(build, classifier):
    """An adapter with the weights of the classifier, given to it by name."""
    model = build("test_resnet")
    names = timm_weights.match_names(model.timm_model.state_dict(), classifier.state_dict())
    state = {key: classifier.state_dict()[name] for key, name in names.items()}
    model.timm_model.load_state_dict(state)
    return model


def test_building_loads_nothing(tmp_path, build, load):
    build("test_resnet", checkpoint_path=str(tmp_path / "absent.pth"))
    build("test_resnet", pretrained=True)
    with pytest.raises(InputError, match=r"absent\.pth: no such checkpoint"):
        load(tmp_path / "absent.pth")


@pytest.mark.parametrize("form", ["plain", "model", "segmentor", "wrapped", "timm_backbone"])
def test_weights_under_any_names(form, classifier, tmp_path, load, own, assert_loaded):
    state = classifier.state_dict()
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


def test_safetensors(classifier, tmp_path, load, assert_loaded):
    save_file(classifier.state_dict(), tmp_path / "model.safetensors")
    assert_loaded(load(tmp_path / "model.safetensors"), classifier)
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load(tmp_path / "cut.safetensors")


def test_init_cfg_takes_the_same_way(classifier, tmp_path, build, assert_loaded):
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


def test_a_segmentor_initializes_it_once(classifier, tmp_path, assert_loaded):
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


def first_layer(model):
    return next(iter(model.timm_model.parameters()))


@pytest.mark.parametrize(
    "channels", [1, 4, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 5))]
)
def test_the_first_layer_is_averaged_for_other_channels(channels, classifier, tmp_path, load):
    torch.save(classifier.state_dict(), tmp_path / "plain.pth")
    rgb = first_layer(load(tmp_path / "plain.pth"))
    other = load(tmp_path / "plain.pth", in_channels=channels)
    found = first_layer(other)
    mean = (rgb[:, 0] + rgb[:, 1] + rgb[:, 2]) / 3
    kept = [rgb[:, i] for i in range(3)] if channels > 3 else []
    wanted = torch.stack(kept + [mean] * (channels - len(kept)), dim=1) * 3 / channels
    torch.testing.assert_close(found, wanted)
    torch.save(other.state_dict(), tmp_path / "other.pth")
    assert torch.equal(first_layer(load(tmp_path / "other.pth", in_channels=channels)), found)


@pytest.mark.parametrize("channels", [1, 4])
def test_equal_channels_give_the_same_features(channels, classifier, tmp_path, image, load):
    torch.save(classifier.state_dict(), tmp_path / "plain.pth")
    gray = image(64, 64, 1)
    with torch.no_grad():
        found, wanted = (
            load(tmp_path / "plain.pth", in_channels=n).eval()(gray.expand(-1, n, -1, -1))
            for n in (channels, 3)
        )
    for level, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(level, other, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_channels_and_position_tables_are_fitted_together(tmp_path, load):
    torch.manual_seed(5)
    torch.save(timm.create_model("test_maxvit", img_size=160).state_dict(), tmp_path / "rgb.pth")
    four = load(tmp_path / "rgb.pth", "test_maxvit", in_channels=4)
    assert first_layer(four).shape[1] == 4
    torch.save(four.state_dict(), tmp_path / "four.pth")
    for path in ("rgb.pth", "four.pth"):
        larger = load(tmp_path / path, "test_maxvit", img_size=224, in_channels=4)
        assert torch.equal(first_layer(larger), first_layer(four))


@pytest.mark.parametrize(("stored", "taken"), [(4, 3), (1, 3), (4, 5), (4, 1)])
@pytest.mark.parametrize(
    "name", ["test_resnet", pytest.param("test_maxvit", marks=pytest.mark.slow)]
)
def test_weights_for_other_channels_are_refused(stored, taken, name, tmp_path, load):
    torch.save(timm.create_model(name, in_chans=stored).state_dict(), tmp_path / "w.pth")
    message = rf"w\.pth: .* images of {stored} channels.* takes {taken}; set in_channels={stored}"
    with pytest.raises(InputError, match=message):
        load(tmp_path / "w.pth", name, in_channels=taken)


@pytest.mark.slow
def test_a_first_layer_that_rearranges_the_image_is_not_fitted(tmp_path, load):
    torch.save(timm.create_model("tresnet_m").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="tresnet_m: its first layer rearranges the image"):
        load(tmp_path / "w.pth", "tresnet_m", in_channels=4)


@pytest.mark.parametrize("saved_as", ["timm", pytest.param("adapter", marks=pytest.mark.slow)])
def test_position_tables_are_resampled_as_timm_does(saved_as, tmp_path, image, load):
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


def test_the_log_says_what_was_missing_and_left_out(classifier, tmp_path, monkeypatch, load, own):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "info", lines.append)
    monkeypatch.setattr(logger, "warning", lambda line: lines.append(f"WARNING {line}"))
    state = classifier.state_dict()
    torch.save(state, tmp_path / "whole.pth")
    load(tmp_path / "whole.pth")
    total = len(own.timm_model.state_dict())
    assert f"{total} of {total} tensors loaded; 2 of the classifier" in lines[-1]
    assert not lines[-1].startswith("WARNING")

    gone = "layer4.1.bn2.weight" if "layer4.1.bn2.weight" in state else "layer4.0.bn2.weight"
    del state[gone]
    torch.save({**state, "extra.weight": torch.zeros(1)}, tmp_path / "other.pth")
    load(tmp_path / "other.pth")
    assert lines[-1].startswith("WARNING")
    assert f"{total - 1} of {total} tensors loaded; 1 not in the file" in lines[-1]
    assert gone in lines[-1] and "extra.weight" in lines[-1]


def test_weights_of_other_networks_are_refused(classifier, tmp_path, build, load):
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


def test_pretrained_comes_from_timm(monkeypatch, classifier, build, assert_loaded):
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
    four = build("test_resnet", pretrained=True, in_channels=4)
    four.init_weights()
    torch.testing.assert_close(first_layer(four).sum(1), first_layer(model).sum(1))


def test_without_network_one_message_says_what_to_fetch(monkeypatch, build):
    create = timm.create_model

    def offline(name, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("no route to host\nmore")
        return create(name, **kwargs)

    monkeypatch.setattr(timm, "create_model", offline)
    model = build("test_resnet", pretrained=True)
    with pytest.raises(InputError) as caught:
        model.init_weights()
    for part in ("no route", "model.safetensors", "huggingface.co/timm/test_resnet", "pretrained="):
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
