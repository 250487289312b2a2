"""The hierarchical head: its losses, the classifiers it trains, and what it refuses."""

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split

from mmengine.structures import PixelData
from mmseg.models.decode_heads import UPerHead
from mmseg.structures import SegDataSample

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.decode_heads import HierarchicalUPerHead
from mmseg_heritage.scores.level_channels import MODES
from mmseg_heritage.taxonomy import ARTEFACT

IN_CHANNELS = [4, 6, 8, 10]


def make_head(**kwargs):
    torch.manual_seed(0)
    head = HierarchicalUPerHead(
        in_channels=IN_CHANNELS, in_index=[0, 1, 2, 3], channels=8, num_classes=16,
        norm_cfg={"type": "BN"}, dropout_ratio=0.0, **kwargs,
    )  # fmt: skip
    head.init_weights()
    return head


def features(size=64, batch=2):
    torch.manual_seed(1)
    return [
        torch.randn(batch, c, -(-size // s), -(-size // s), requires_grad=True)
        for c, s in zip(IN_CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def samples(label):
    made = []
    for one in label:
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=one[None])
        made.append(sample)
    return made


def random_label(size=64, batch=2):
    rng = np.random.default_rng(0)
    ids = rng.choice([*range(16), 255], size=(batch, size, size))
    return torch.from_numpy(ids)


@pytest.mark.parametrize("mode", MODES)
def test_it_learns_and_every_parameter_gets_a_gradient(mode):
    head = make_head(mode=mode, consistency_weight=0.1 if mode == "independent" else 0.0)
    label = random_label()
    before = label.clone()
    losses = head.loss(features(), samples(label), None)
    sum(losses.values()).backward()
    assert torch.equal(label, before)
    assert set(losses) == {f"loss_dice_{level}" for level in ("binary", "coarse", "fine")} | (
        {"loss_consistency"} if mode == "independent" else set()
    )
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if "conv." not in name and "bn" not in name:  # a bias before BN has none
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("mode", MODES)
def test_each_level_is_trained_on_its_own_labels(mode):
    """The losses equal stock losses computed on labels mapped with plain indexing."""
    ce = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
    head = make_head(mode=mode, loss_decode=ce, level_weights={"binary": 2, "coarse": 3, "fine": 5})
    label = random_label()
    with torch.no_grad():
        losses = head.loss(features(), samples(label), None)
        raw = torch.nn.functional.interpolate(head(features()), (64, 64), mode="bilinear")
        logits = head.scores.logits(raw)
    for level, weight in (("binary", 2), ("coarse", 3), ("fine", 5)):
        table = torch.full((256,), 255)
        table[:16] = torch.tensor(ARTEFACT.levels[level].fine_to_group)
        mapped = table[label]
        expected = torch.nn.functional.cross_entropy(logits[level], mapped, ignore_index=255)
        torch.testing.assert_close(losses[f"loss_ce_{level}"], weight * expected)


def test_ignored_pixels_have_no_gradient():
    head = make_head(mode="conditional")
    scores = torch.randn(1, 22, 16, 16, requires_grad=True)
    label = random_label(16, 1)
    sum(head.loss_by_feat(scores, samples(label)).values()).backward()
    ignored = (label == 255)[:, None].expand_as(scores)
    assert (scores.grad[ignored] == 0).all()
    assert (scores.grad[~ignored] != 0).any()


def test_an_ignored_batch_costs_nothing():
    head = make_head(mode="independent", consistency_weight=1.0)
    losses = head.loss(features(), samples(torch.full((2, 64, 64), 255)), None)
    total = sum(losses.values())
    assert total == 0
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


def test_a_label_that_is_no_class_is_refused():
    label = random_label()
    label[0, 0, 0] = 77
    with pytest.raises(InputError, match="label 77"):
        make_head().loss(features(), samples(label), None)


def test_class_weights_are_for_the_classes_only():
    weights = [float(i + 1) for i in range(16)]
    head = make_head(
        loss_decode=[
            {"type": "ClassWeightedDiceLoss", "class_weight": weights},
            {"type": "CrossEntropyLoss", "avg_non_ignore": True},
        ],
        level_losses={"binary": {"type": "ClassWeightedDiceLoss", "class_weight": [1, 2]}},
    )
    assert head.level_losses["fine"][0].class_weight.tolist() == weights
    assert head.level_losses["coarse"][0].class_weight is None
    assert head.level_losses["binary"][0].class_weight.tolist() == [1, 2]
    losses = head.loss(features(), samples(random_label()), None)
    assert set(losses) == {
        "loss_dice_binary", "loss_dice_coarse", "loss_ce_coarse", "loss_dice_fine", "loss_ce_fine",
    }  # fmt: skip


def test_weights_of_the_flat_head_fit():
    flat = UPerHead(
        in_channels=IN_CHANNELS, in_index=[0, 1, 2, 3], channels=8, num_classes=16,
        norm_cfg={"type": "BN"}, dropout_ratio=0.0,
    ).eval()  # fmt: skip
    head = make_head(mode="independent").eval()
    result = head.load_state_dict(flat.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all(key.startswith("level_classifiers.") for key in result.missing_keys)
    with torch.no_grad():
        torch.testing.assert_close(head(features())[:, :16], flat(features()))


@pytest.mark.parametrize(
    ("mode", "weights", "trained"),
    [
        ("independent", {"binary": 1, "coarse": 0, "fine": 0}, {"binary"}),
        ("independent", {"binary": 0.2, "coarse": 1, "fine": 0}, {"binary", "coarse"}),
        ("conditional", {"binary": 0, "coarse": 1, "fine": 0}, {"binary", "coarse"}),
        ("conditional", {"binary": 0.2, "coarse": 0.3, "fine": 1}, {"binary", "coarse", "fine"}),
        ("marginal", {"binary": 1, "coarse": 0, "fine": 0}, {"fine"}),
    ],
)
def test_idle_classifiers_are_frozen_and_thawed(mode, weights, trained):
    head = make_head(mode=mode)
    classifiers = {"fine": head.conv_seg, **head.level_classifiers}
    head.set_level_weights(weights, freeze_idle=True)
    losses = head.loss(features(), samples(random_label()), None)
    sum(losses.values()).backward()
    for name, classifier in classifiers.items():
        assert (classifier.weight.grad is not None) == (name in trained), name
    head.set_level_weights({"binary": 0.2, "coarse": 0.3, "fine": 1})
    assert all(p.requires_grad for p in head.parameters())


@pytest.mark.parametrize("mode", MODES)
def test_without_freezing_every_parameter_stays_in_the_graph(mode):
    """DistributedDataParallel waits for the gradient of every parameter."""
    head = make_head(mode=mode)
    head.set_level_weights({"binary": 1, "coarse": 0, "fine": 0})
    sum(head.loss(features(), samples(random_label()), None).values()).backward()
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"mode": "joint"}, "mode='joint', expected one of independent"),
        ({"consistency_weight": 0.1}, "consistency_weight=0.1 is for mode='independent'"),
        ({"level_weights": {"binary": 1, "coarse": 1}}, "'fine' has no weight"),
        ({"level_weights": {"binary": 1, "coarse": -1, "fine": 1}}, "coarse: -1"),
        ({"level_weights": {"binary": 1, "coarse": float("nan"), "fine": 1}}, "coarse: nan"),
        ({"level_weights": {"binary": 0, "coarse": 0, "fine": 0}}, "all weights are 0"),
        ({"level_weights": {"b": 1, "binary": 1, "coarse": 1, "fine": 1}}, "'b' is no level"),
        ({"level_losses": {"rough": {}}}, "level_losses names 'rough'"),
        (
            {"classes": ["a", "b"], "levels": {"all": {"x": [0, 1]}}},
            "num_classes=16, but 2 classes",
        ),
        ({"classes": ["a", {"name": "b", "id": 300}]}, "class 1 'b': id: expected a mask value"),
        ({"classes": ["a", "a"]}, "class 1 'a': has the name of class 0 'a'"),
        ({"levels": {"binary": {"x": [0, 0]}}}, "in two groups or twice in one"),
        ({"ignore_index": None}, "ignore_index=None"),
        ({"loss_decode": {"type": "LovaszLoss", "reduction": "none"}}, "level 'coarse': Lovasz"),
        ({"levels": {"keys": {"x": list(range(16))}}}, "a level cannot be named 'keys'"),
    ],
)
def test_what_cannot_be_built_is_said(arguments, expected):
    with pytest.raises(InputError) as caught:
        make_head(**arguments)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("Clean", "Mold", "Salt"), {"binary": (0, 1, 1)}),
        (
            ({"name": "Mold", "group": "Alive"}, "Clean", {"name": "Salt", "group": "Mineral"}),
            {"binary": (1, 0, 1), "coarse": (0, 255, 1)},
        ),
        (("Clean", "Dust", "Cracks"), {"binary": (0, 1, 1), "coarse": (255, 1, 0)}),
    ],
)
def test_own_classes_bring_the_levels_that_they_have(classes, expected):
    head = HierarchicalUPerHead(
        in_channels=IN_CHANNELS, in_index=[0, 1, 2, 3], channels=8, num_classes=3,
        norm_cfg={"type": "BN"}, classes=classes,
    )  # fmt: skip
    assert {name: level.fine_to_group for name, level in head.levels.items()} == expected


def test_a_list_of_alpha_is_for_the_classes_only():
    head = make_head(loss_decode={"type": "MulticlassFocalLoss", "alpha": [0.5] * 16})
    sizes = {n: [loss.alpha.numel() for loss in own] for n, own in head.level_losses.items()}
    assert sizes == {"binary": [1], "coarse": [1], "fine": [16]}
