"""MixStyle: the reference's number, partners of other domains, and when it does nothing."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.domains.mix_style_hook import MixStyleHook, mix_style, partners
from mmseg_heritage.errors import InputError

COUNT = torch.arange(48.0, dtype=torch.float64).reshape(4, 3, 2, 2)


def test_it_is_the_reference_s():
    """The number was computed by KaiyangZhou/mixstyle-release (MIT) on the same tensors."""
    found = mix_style(torch.sin(COUNT), torch.tensor([1, 0, 3, 2]), torch.full((4,), 0.3))
    assert (found * torch.cos(COUNT)).sum().item() == pytest.approx(-0.08426280458514834, abs=1e-8)


def test_share_1_and_an_own_partner_change_nothing():
    maps = torch.sin(COUNT)
    for partner, share in (([1, 0, 3, 2], 1.0), ([0, 1, 2, 3], 0.2)):
        found = mix_style(maps, torch.tensor(partner), torch.full((4,), share))
        assert torch.allclose(found, maps, atol=1e-12, rtol=0)


def test_statistics_carry_no_gradient():
    maps = torch.sin(COUNT).requires_grad_()
    share = torch.full((4,), 0.3)
    found = mix_style(maps, torch.tensor([1, 0, 3, 2]), share)
    found.sum().backward()
    flat = maps.detach().flatten(2)
    deviation = (flat.var(dim=2) + 1e-6).sqrt()
    expected = (0.3 * deviation + 0.7 * deviation[[1, 0, 3, 2]]) / deviation
    assert torch.allclose(maps.grad, expected[..., None, None].expand_as(maps), atol=1e-7)


@given(st.integers(2, 6), st.integers(1, 5), st.randoms())
def test_no_image_is_paired_with_its_own_domain(number, images, dice):
    domains = [f"d{i}" for i in range(number) for _ in range(images)]
    dice.shuffle(domains)
    found = partners(domains).tolist()
    assert sorted(found) == list(range(len(domains)))
    assert all(domains[i] != domains[j] for i, j in enumerate(found))


def test_unequal_domains_are_paired_as_long_as_that_is_possible():
    domains = ["a"] * 3 + ["b"] * 2 + ["c"]
    for _ in range(20):
        assert all(domains[i] != domains[j] for i, j in enumerate(partners(domains).tolist()))
    with pytest.raises(InputError, match="images of other domains") as caught:
        partners(["a"] * 3 + ["b"] * 2)
    assert "3 of 5 images: a" in str(caught.value)
    with pytest.raises(InputError, match="domain_key"):
        partners(["", "a"])


def batch(domains):
    return {"data_samples": [SimpleNamespace(metainfo={"domain": name}) for name in domains]}


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 25, 3)])
def test_only_training_iterations_are_mixed(shape):
    model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    hook, runner = MixStyleHook(["0"], prob=1.0), SimpleNamespace(model=model)
    maps = torch.randn(shape)
    hook.before_train(runner)
    assert torch.equal(model(maps), maps)  # no iteration
    hook.before_train_iter(runner, 0, batch(["a", "b", "a", "b"]))
    torch.manual_seed(0)
    mixed = model.train()(maps)
    assert mixed.shape == maps.shape
    assert not torch.allclose(mixed, maps)
    centered = [m.flatten(1) - m.flatten(1).mean(1, keepdim=True) for m in (mixed, maps)]
    assert torch.nn.functional.cosine_similarity(*centered).min() > 0.3  # the content stays
    assert torch.equal(model.eval()(maps), maps)
    hook.after_train_iter(runner, 0)
    assert torch.equal(model.train()(maps), maps)
    hook.after_train(runner)
    assert not model[0]._forward_hooks
    assert torch.equal(MixStyleHook(["0"], prob=0.0)._mix(model[0], (), maps) or maps, maps)


def test_statistics_of_tokens_are_taken_over_places():
    maps = torch.randn(4, 3, 5, 5)
    tokens = maps.flatten(2).movedim(1, -1)
    found = []
    for values in (maps, tokens):
        hook = MixStyleHook(["0"], prob=1.0)
        hook._partners = torch.tensor([1, 0, 3, 2])
        torch.manual_seed(3)
        found.append(hook._mix(torch.nn.Identity(), (), values))
    assert torch.allclose(found[0].flatten(2).movedim(1, -1), found[1], atol=1e-6)


def test_a_module_that_is_not_there_is_named():
    model = torch.nn.Sequential(torch.nn.ReLU())
    with pytest.raises(InputError, match="no such module"):
        MixStyleHook(["1"]).check_model(model)
    with pytest.raises(InputError, match="prob=2"):
        MixStyleHook(["0"], prob=2)
    with pytest.raises(InputError, match="alpha=0"):
        MixStyleHook(["0"], alpha=0)
