"""Probabilities of a tree of classes by enumeration, its maps, and the consistency term."""

import itertools

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.hierarchy import parents, read_levels
from mmseg_heritage.models.decode_heads.hierarchy_scores import MODES, HierarchyScores

TREE = {"binary": "binary", "coarse": "coarse"}


def make_scores(mode, dtype=torch.float64):
    scores = HierarchyScores(read_levels(TREE), 16, mode)
    torch.manual_seed(2)
    return scores, 3 * torch.randn(2, scores.num_scores, 3, 3, dtype=dtype)


def brute_force(mode, raw):
    """Class and group probabilities of one pixel in plain Python, node by node."""
    levels = read_levels(TREE)
    softmax = lambda v: np.exp(v - v.max()) / np.exp(v - v.max()).sum()  # noqa: E731
    parts = {"fine": raw[:16], "binary": raw[16:18], "coarse": raw[18:22]}
    if mode == "independent":
        return {name: softmax(values) for name, values in parts.items()}
    if mode == "marginal":
        fine = softmax(raw[:16])
    else:
        above = parents(levels, 16)

        def probability(node):
            name, position = node
            parent = above[name][position]
            brothers = [
                (other, i)
                for other in above
                for i, its_parent in enumerate(above[other])
                if its_parent == parent
            ]
            values = np.array([parts[n][i] for n, i in brothers])
            own = softmax(values)[brothers.index(node)]
            return own * (1.0 if parent is None else probability(parent))

        fine = np.array([probability(("fine", i)) for i in range(16)])
    sums = {
        name: np.array(
            [fine[np.array(level.fine_to_group) == g].sum() for g in range(len(level.classes))]
        )
        for name, level in levels.items()
    }
    return {"fine": fine, **sums}


@pytest.mark.parametrize("mode", MODES)
def test_probabilities_equal_the_enumeration(mode):
    scores, raw = make_scores(mode)
    found = scores.probabilities(raw)
    for n, y, x in itertools.product(range(2), range(3), range(3)):
        expected = brute_force(mode, raw[n, :, y, x].numpy())
        for name, values in expected.items():
            np.testing.assert_allclose(found[name][n, :, y, x], values, atol=1e-12)


@pytest.mark.parametrize("mode", ["marginal", "conditional"])
def test_groups_are_the_sums_of_their_classes(mode):
    scores, raw = make_scores(mode, torch.float32)
    found = scores.probabilities(raw)
    torch.testing.assert_close(found["fine"].sum(1), torch.ones(2, 3, 3), atol=1e-6, rtol=0)
    for name, level in scores.levels.items():
        for group in range(len(level.classes)):
            ids = [i for i, g in enumerate(level.fine_to_group) if g == group]
            torch.testing.assert_close(
                found[name][:, group], found["fine"][:, ids].sum(1), atol=1e-6, rtol=0
            )
    torch.testing.assert_close(found["coarse"].sum(1), found["binary"][:, 1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", MODES)
def test_scores_are_upcast_and_finite_at_extremes(mode):
    scores, raw = make_scores(mode, torch.float32)
    for values in scores.logits((raw * 1000).bfloat16()).values():
        assert values.dtype == torch.float32
        assert values.isfinite().all()


@pytest.mark.parametrize("mode", MODES)
def test_maps_choose_the_most_probable_group_where_the_level_applies(mode):
    scores, raw = make_scores(mode)
    raw = raw.clone()
    raw[0, 0] += 20  # Clean in the first image
    if mode != "marginal":
        raw[0, 16] += 20
        raw[1, 17] += 20
    else:
        raw[1, 0] -= 50
    maps = scores.maps(raw)
    probabilities = scores.probabilities(raw)
    assert (maps["binary"][0] == 0).all()
    assert (maps["binary"][1] == 1).all()
    assert (maps["coarse"][0] == 255).all()
    assert (maps["coarse"][1] == probabilities["coarse"][1].argmax(0)).all()
    assert (maps["fine"] == probabilities["fine"].argmax(1)).all()


def test_a_partial_level_without_a_coarser_one_follows_the_classes():
    levels = read_levels({"all": {"r": [0, 1, 2, 3]}, "coarse": {"g": [1, 2], "h": [3]}}, "wxyz")
    scores = HierarchyScores({"coarse": levels["coarse"]}, 4, "marginal")
    raw = torch.tensor([[5.0, 1, 0, 0], [0, 0, 5, 0]]).T[None, ..., None]
    assert scores.maps(raw)["coarse"].flatten().tolist() == [255, 0]


def test_consistency_is_zero_exactly_where_the_levels_agree():
    scores, raw = make_scores("independent")
    label = torch.randint(0, 16, (2, 3, 3))
    fine = raw[:, :16].softmax(1)
    agreeing = raw.clone()
    for name, level in scores.levels.items():
        groups = torch.tensor(level.fine_to_group)
        agreeing[:, scores.slices[name]] = torch.stack(
            [fine[:, groups == g].sum(1) for g in range(len(level.classes))], 1
        ).log()
    assert scores.consistency(agreeing, label).abs() < 1e-12
    assert 0.01 < scores.consistency(raw, label) <= 2 * np.log(2)
