"""Probabilities of a tree of classes by enumeration, its maps, and the consistency term."""

import itertools

import numpy as np
import pytest
import torch

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.hierarchy import read_levels
from mmseg_heritage.models.decode_heads.hierarchy_scores import HierarchyScores
from mmseg_heritage.scores.level_channels import MODES
from mmseg_heritage.taxonomy import named_classes

TREE = {"binary": "binary", "coarse": "coarse"}
COARSE = [0, 0, 1, 0, 1, 1, 0, 3, 0, 2, 3, 3, 0, 2, 2]  # of each damage class
# Trees by hand: levels to build, then for each node (level, number) its parent, and its classes.
ARTEFACT = {
    "levels": TREE,
    "num_classes": 16,
    "parents": {
        **{("binary", i): None for i in range(2)},
        **{("coarse", i): ("binary", 1) for i in range(4)},
        ("fine", 0): ("binary", 0),
        **{("fine", i): ("coarse", g) for i, g in enumerate(COARSE, start=1)},
    },
}
# Three levels, in which class 0 ends early, class 5 hangs below the first level only.
DEEP = {
    "levels": {
        "a": {"left": [0, 1, 2, 3, 5], "right": [4]},
        "b": {"p": [1, 2, 3]},
        "c": {"u": [1, 2], "v": [3]},
    },
    "num_classes": 6,
    "parents": {
        ("a", 0): None, ("a", 1): None, ("b", 0): ("a", 0), ("c", 0): ("b", 0), ("c", 1): ("b", 0),
        ("fine", 0): ("a", 0), ("fine", 1): ("c", 0), ("fine", 2): ("c", 0), ("fine", 3): ("c", 1),
        ("fine", 4): ("a", 1), ("fine", 5): ("a", 0),
    },
}  # fmt: skip


def make_scores(mode, dtype=torch.float64, tree=ARTEFACT):
    names = [str(i) for i in range(tree["num_classes"])]
    levels = (
        read_levels(TREE) if tree is ARTEFACT else read_levels(tree["levels"], named_classes(names))
    )
    scores = HierarchyScores(levels, tree["num_classes"], mode)
    torch.manual_seed(2)
    return scores, 3 * torch.randn(2, scores.num_scores, 3, 3, dtype=dtype)


def softmax(values):
    exponentials = np.exp(np.array(values) - np.max(values))
    return exponentials / exponentials.sum()


def brute_force(mode, raw, tree):
    """Class and group probabilities of one pixel in plain Python, node by node."""
    nodes = list(tree["parents"])
    order = ["fine", *tree["levels"]]
    channels = sorted(nodes, key=lambda node: (order.index(node[0]), node[1]))
    score = dict(zip(channels, raw.tolist(), strict=False))  # marginal: of the classes alone

    def path(node):
        return [] if node is None else [node, *path(tree["parents"][node])]

    def share(node, among):
        return softmax([score[n] for n in among])[among.index(node)]

    def probability(node):
        level = [n for n in nodes if n[0] == node[0]]
        if mode == "independent":
            return share(node, level)
        if mode == "conditional":
            siblings = lambda n: [o for o in nodes if tree["parents"][o] == tree["parents"][n]]  # noqa: E731
            return np.prod([share(step, siblings(step)) for step in path(node)])
        classes = [n for n in nodes if n[0] == "fine"]
        return sum(share(c, classes) for c in classes if node in path(c))

    return {
        name: np.array([probability(n) for n in sorted(nodes) if n[0] == name]) for name in order
    }


@pytest.mark.parametrize("tree", [ARTEFACT, DEEP], ids=["artefact", "deep"])
@pytest.mark.parametrize("mode", MODES)
def test_probabilities_equal_the_enumeration(mode, tree):
    scores, raw = make_scores(mode, tree=tree)
    found = scores.probabilities(raw)
    for n, y, x in itertools.product(range(2), range(3), range(3)):
        expected = brute_force(mode, raw[n, :, y, x].numpy(), tree)
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


def chosen(scores, raw):
    return scores.restricted(
        {name: values.argmax(1) for name, values in scores.logits(raw).items()}
    )


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
    maps = chosen(scores, raw)
    probabilities = scores.probabilities(raw)
    assert (maps["binary"][0] == 0).all()
    assert (maps["binary"][1] == 1).all()
    assert (maps["coarse"][0] == 255).all()
    assert (maps["coarse"][1] == probabilities["coarse"][1].argmax(0)).all()
    assert (maps["fine"] == probabilities["fine"].argmax(1)).all()


def test_a_partial_level_without_a_coarser_one_follows_the_classes():
    levels = read_levels(
        {"all": {"r": [0, 1, 2, 3]}, "coarse": {"g": [1, 2], "h": [3]}}, named_classes("wxyz")
    )
    scores = HierarchyScores({"coarse": levels["coarse"]}, 4, "marginal")
    raw = torch.tensor([[5.0, 1, 0, 0], [0, 0, 5, 0]]).T[None, ..., None]
    assert chosen(scores, raw)["coarse"].flatten().tolist() == [255, 0]


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
