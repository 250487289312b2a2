"""ClassWeightedDiceLoss against a plain numpy reference, SMP, finite differences and mmseg."""

import contextlib
import copy
import json

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses import ClassWeightedDiceLoss

POLICIES = ("skip", "zero", "penalize")


def reference(
    logits, labels, weights=None, smooth=1.0, absent="skip", ignore=255, pixel_weight=None
):
    """The loss and its terms as the definition reads, class by class, in float64."""
    logits = logits.detach().double().numpy()
    labels = labels.numpy()
    num_classes = logits.shape[1]
    weights = np.ones(num_classes) if weights is None else np.asarray(weights, float)
    mass = (labels != ignore).astype(float)
    if pixel_weight is not None:
        mass = mass * pixel_weight.numpy()
    exp = np.exp(logits - logits.max(1, keepdims=True))
    probs = exp / exp.sum(1, keepdims=True)
    terms, divisor = np.zeros(num_classes), 0.0
    for c in range(num_classes):
        labeled = (mass * (labels == c)).sum()
        intersection = (mass * (labels == c) * probs[:, c]).sum()
        predicted = (mass * probs[:, c]).sum()
        total = predicted + labeled + smooth
        dice = (2 * intersection + smooth) / total if total > 0 else 1.0
        if labeled > 0 or (absent == "penalize" and mass.sum() > 0):
            terms[c] = weights[c] * (1 - dice)
            divisor += weights[c]
        elif absent == "zero":
            divisor += weights[c]
    return (terms.sum() / divisor if divisor > 0 else 0.0), terms


def batch(seed=0, n=2, c=5, size=(6, 7), ignore=255, share=0.2, absent=(3,), scale=3.0):
    """Random logits and labels, some ignored, some classes without a pixel."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n, c, *size, generator=generator)
    present = torch.tensor([k for k in range(c) if k not in absent])
    labels = present[torch.randint(0, len(present), (n, *size), generator=generator)]
    labels[torch.rand(labels.shape, generator=generator) < share] = ignore
    return logits.requires_grad_(), labels


def gradient(loss, logits, *args, **kwargs):
    return torch.autograd.grad(loss(logits, *args, **kwargs), logits)[0]


# ------------------------------------------------------------------ the value and its gradient


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    c=st.integers(2, 6),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    ignore=st.sampled_from([255, -100, -1, 0]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    absent=st.sampled_from(POLICIES),
    smooth=st.sampled_from([0.0, 1e-3, 1.0]),
    pixel_weighted=st.booleans(),
)
def test_equals_the_reference(seed, c, size, ignore, share, absent, smooth, pixel_weighted):
    logits, labels = batch(seed, c=c, size=size, ignore=ignore, share=share, absent=(1,))
    generator = torch.Generator().manual_seed(seed)
    weights = [0.0, *torch.rand(c - 1, generator=generator).add(0.01).tolist()]
    pixel_weight = torch.rand(labels.shape, generator=generator) if pixel_weighted else None
    settings_ = {"smooth": smooth, "absent": absent}
    expected, terms = reference(
        logits, labels, weights, ignore=ignore, pixel_weight=pixel_weight, **settings_
    )
    loss = ClassWeightedDiceLoss(weights, ignore_index=ignore, **settings_)
    value = loss(logits, labels, weight=pixel_weight)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, abs=1e-6)
    none = loss(logits, labels, weight=pixel_weight, reduction_override="none")
    np.testing.assert_allclose(none.detach().numpy(), terms, atol=1e-6)
    assert torch.isfinite(torch.autograd.grad(value, logits)[0]).all()


def smp_smooth(smooth):
    """SMP's name for our ``smooth``: (2 I + s) / (P + Y + s) before 2024, later with 2 s."""
    one = torch.ones(1)
    score = smp.losses._functional.soft_dice_score(one, 0 * one, smooth=1.0).item()
    return smooth if score == 0.5 else smooth / 2


@pytest.mark.parametrize("ignore", [None, 255])
@pytest.mark.parametrize("weights", [None, [0.1, 3.0, 1.0, 2.0, 0.5]])
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_policy_zero_equals_smp(ignore, weights, smooth):
    logits, labels = batch(share=0.0 if ignore is None else 0.3)
    theirs = smp.losses.DiceLoss(
        "multiclass",
        from_logits=True,
        smooth=smp_smooth(smooth),
        ignore_index=ignore,
        class_weights=weights,
    )
    ours = ClassWeightedDiceLoss(weights, smooth=smooth, absent="zero", ignore_index=ignore)
    assert ours(logits, labels).item() == pytest.approx(theirs(logits, labels).item(), abs=1e-6)
    torch.testing.assert_close(
        gradient(ours, logits, labels), gradient(theirs, logits, labels), atol=1e-7, rtol=1e-4
    )


@pytest.mark.parametrize("absent", POLICIES)
@pytest.mark.parametrize("pixel_weighted", [False, True])
def test_gradient_is_exact(absent, pixel_weighted):
    logits, labels = batch(c=4, size=(3, 2))
    logits = logits.detach().double().requires_grad_()
    weight = torch.rand(labels.shape, dtype=torch.float64) if pixel_weighted else None
    loss = ClassWeightedDiceLoss([0.2, 1.0, 3.0, 0.7], absent=absent)
    assert loss(logits, labels).dtype == torch.float64
    for reduction in ("mean", "none"):
        assert torch.autograd.gradcheck(
            lambda x, r=reduction: loss(x, labels, weight=weight, reduction_override=r), logits
        )


def test_dice_is_of_the_batch_and_not_a_mean_over_images():
    logits, labels = batch(absent=())
    labels[0] = 0
    loss = ClassWeightedDiceLoss()
    of_images = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(2)]).mean()
    of_batch = loss(logits, labels)
    assert of_batch.item() == pytest.approx(reference(logits, labels)[0], abs=1e-6)
    assert abs(of_batch - of_images) > 0.01
    # The same pixels as one image twice as high are the same batch.
    joined = loss(torch.cat(list(logits), dim=1)[None], torch.cat(list(labels))[None])
    assert of_batch.item() == pytest.approx(joined.item(), abs=1e-6)


def test_a_missed_rare_class_costs_its_share():
    labels = torch.zeros(1, 100, 100, dtype=torch.long)
    labels[0, :5, :5] = 1
    logits = torch.zeros(1, 2, 100, 100)
    logits[:, 0] = 20.0
    assert ClassWeightedDiceLoss()(logits, labels).item() == pytest.approx(0.48, abs=0.02)
    assert ClassWeightedDiceLoss([0.1, 0.9])(logits, labels).item() > 0.85


# ------------------------------------------------------------------------------ ignored pixels


@pytest.mark.parametrize("absent", POLICIES)
@pytest.mark.parametrize("ignore", [255, -100, 2])
def test_ignored_pixels_have_no_influence_and_no_gradient(absent, ignore):
    logits, labels = batch(ignore=ignore)
    loss = ClassWeightedDiceLoss(absent=absent, ignore_index=ignore)
    ignored = (labels == ignore)[:, None].expand_as(logits)
    other = torch.where(ignored, 50 * torch.randn_like(logits), logits)
    assert loss(logits, labels).item() == loss(other, labels).item()
    grad = gradient(loss, logits, labels)
    assert (grad[ignored] == 0).all()
    assert (grad[~ignored] != 0).any()


@pytest.mark.parametrize("absent", POLICIES)
@pytest.mark.parametrize("smooth", [0.0, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("how", ["ignored", "weight"])
def test_nothing_to_learn_from_gives_zero_with_zero_gradients(absent, smooth, reduction, how):
    logits, labels = batch(share=1.0 if how == "ignored" else 0.0)
    weight = torch.zeros(labels.shape) if how == "weight" else None
    loss = ClassWeightedDiceLoss([1, 2, 3, 4, 5], smooth, absent, reduction)
    value = loss(logits, labels, weight=weight)
    assert value.requires_grad
    assert (value == 0).all()
    (grad,) = torch.autograd.grad(value.sum(), logits)
    assert (grad == 0).all()


def test_the_ignore_index_of_the_call_holds():
    logits, labels = batch(ignore=-100)
    expected = reference(logits, labels, ignore=-100)[0]
    value = ClassWeightedDiceLoss(ignore_index=255)(logits, labels, ignore_index=-100)
    assert value.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_label_types(dtype):
    logits, labels = batch()
    loss = ClassWeightedDiceLoss()
    assert loss(logits, labels.to(dtype)).item() == loss(logits, labels).item()


def test_a_negative_ignore_index_does_not_wrap_in_uint8():
    logits, labels = batch(share=0.0)
    labels[0, 0, 0] = 156  # -100 as an unsigned byte
    with pytest.raises(InputError, match="label 156"):
        ClassWeightedDiceLoss(ignore_index=-100)(logits, labels.to(torch.uint8))


# ------------------------------------------------------------------- weights, absence, reduction


def test_class_weights_change_loss_and_gradient(tmp_path):
    logits, labels = batch()
    weights = [0.1, 3.0, 1.0, 2.0, 0.5]
    plain, weighted = ClassWeightedDiceLoss(), ClassWeightedDiceLoss(weights)
    assert abs(plain(logits, labels) - weighted(logits, labels)) > 1e-3
    terms = plain(logits, labels, reduction_override="none")
    of_class = [torch.autograd.grad(t, logits, retain_graph=True)[0] for t in terms]
    mixed = sum(w * g for w, g in zip(weights, of_class, strict=True)) / (0.1 + 3.0 + 1.0 + 0.5)
    torch.testing.assert_close(gradient(weighted, logits, labels), mixed)
    assert (gradient(plain, logits, labels) - mixed).abs().max() > 0.1 * mixed.abs().max()
    scaled = ClassWeightedDiceLoss([7 * w for w in weights])
    assert scaled(logits, labels).item() == pytest.approx(weighted(logits, labels).item())

    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"class_weights": weights}))
    for source in (path, str(path), np.array(weights)):
        assert torch.equal(
            gradient(ClassWeightedDiceLoss(source), logits, labels),
            gradient(weighted, logits, labels),
        )


def test_a_class_of_weight_zero_is_left_out():
    logits, labels = batch(absent=())
    terms = ClassWeightedDiceLoss(reduction="none")(logits, labels)
    value = ClassWeightedDiceLoss([0, 1, 1, 1, 1])(logits, labels)
    assert value.item() == pytest.approx(terms[1:].mean().item(), abs=1e-6)
    only = ClassWeightedDiceLoss([0, 0, 0, 1, 0])  # class 3 alone, and it is absent
    logits, labels = batch(absent=(3,))
    assert only(logits, labels).item() == 0


def test_policies_for_absent_classes():
    logits, labels = batch(absent=(2, 3))
    terms = {p: ClassWeightedDiceLoss(absent=p, reduction="none")(logits, labels) for p in POLICIES}
    loss = {p: ClassWeightedDiceLoss(absent=p)(logits, labels).item() for p in POLICIES}
    assert loss["skip"] == pytest.approx(terms["skip"].sum().item() / 3, abs=1e-6)
    assert loss["zero"] == pytest.approx(terms["skip"].sum().item() / 5, abs=1e-6)
    assert loss["penalize"] == pytest.approx(terms["penalize"].mean().item(), abs=1e-6)
    assert terms["skip"][2] == terms["zero"][2] == 0
    mass = (logits.softmax(1)[:, 2] * (labels != 255)).sum()
    assert terms["penalize"][2].item() == pytest.approx((mass / (mass + 1)).item(), abs=1e-6)


def test_reductions_and_avg_factor():
    logits, labels = batch()
    weights = [0.1, 3.0, 1.0, 2.0, 0.5]
    loss = ClassWeightedDiceLoss(weights, loss_weight=2.0)
    none = loss(logits, labels, reduction_override="none")
    np.testing.assert_allclose(none.tolist(), 2 * reference(logits, labels, weights)[1], atol=1e-6)
    total = none.sum().item()
    present = 0.1 + 3.0 + 1.0 + 0.5
    assert loss(logits, labels, reduction_override="sum").item() == pytest.approx(total)
    assert loss(logits, labels).item() == pytest.approx(total / present)
    assert loss(logits, labels, avg_factor=4).item() == pytest.approx(total / 4)
    assert torch.equal(loss(logits, labels, avg_factor=4, reduction_override="none"), none)
    with pytest.raises(ValueError, match="avg_factor"):
        loss(logits, labels, avg_factor=4, reduction_override="sum")
    with pytest.raises(ValueError, match="reduction_override='median'"):
        loss(logits, labels, reduction_override="median")


def test_pixel_weights_of_zero_and_one_are_a_mask():
    logits, labels = batch(share=0.0)
    kept = torch.rand(labels.shape) < 0.5
    loss = ClassWeightedDiceLoss()
    masked = labels.masked_fill(~kept, 255)
    assert loss(logits, labels, weight=kept.float()).item() == loss(logits, masked).item()
    torch.testing.assert_close(
        gradient(loss, logits, labels, weight=kept.float()), gradient(loss, logits, masked)
    )


# ---------------------------------------------------------------------- precision, layout, state


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("inside", [True, False])
def test_half_precision_logits_give_a_float32_loss(dtype, inside):
    logits, labels = batch(size=(40, 40))
    half = logits.detach().to(dtype).requires_grad_()
    loss = ClassWeightedDiceLoss([1, 2, 3, 4, 5])
    with contextlib.ExitStack() as stack:
        if inside:
            try:
                stack.enter_context(torch.autocast("cpu", dtype=dtype))
            except RuntimeError as error:
                pytest.skip(f"this torch has no such autocast on the CPU: {error}")
        value = loss(half, labels)
        (grad,) = torch.autograd.grad(value, half)
    assert value.dtype == torch.float32
    full = half.detach().float().requires_grad_()
    assert value.item() == loss(full, labels).item()
    assert value.item() == pytest.approx(loss(logits, labels).item(), abs=5e-3)
    assert grad.dtype == dtype
    assert torch.equal(grad, gradient(loss, full, labels).to(dtype))


def test_memory_layout_does_not_matter():
    logits, labels = batch(size=(6, 6))
    loss = ClassWeightedDiceLoss()
    for changed in (
        logits.to(memory_format=torch.channels_last),
        logits.transpose(2, 3).contiguous().transpose(2, 3),
    ):
        other = changed.detach().requires_grad_()
        assert loss(other, labels).item() == pytest.approx(loss(logits, labels).item(), abs=1e-6)
        torch.testing.assert_close(gradient(loss, other, labels), gradient(loss, logits, labels))


def test_points_and_volumes():
    logits, labels = batch(size=(24,))
    expected = ClassWeightedDiceLoss()(logits, labels).item()
    folded = ClassWeightedDiceLoss()(logits.unflatten(2, (2, 3, 4)), labels.unflatten(1, (2, 3, 4)))
    assert folded.item() == expected


def test_inputs_are_not_changed_and_runs_repeat():
    logits, labels = batch()
    weight = torch.rand(labels.shape)
    before = [logits.detach().clone(), labels.clone(), weight.clone()]
    loss = ClassWeightedDiceLoss()
    grads = [gradient(loss, logits, labels, weight=weight) for _ in range(2)]
    assert torch.equal(*grads)
    for now, then in zip((logits, labels, weight), before, strict=True):
        assert torch.equal(now, then)


def test_checkpoints_and_copies():
    loss = ClassWeightedDiceLoss([1, 2, 3])
    assert loss.state_dict() == {}
    assert torch.equal(copy.deepcopy(loss).class_weight, torch.tensor([1.0, 2.0, 3.0]))
    assert "absent='skip'" in repr(loss)


# ------------------------------------------------------------------------------ unusable input


def test_labels_out_of_range_are_one_clear_error():
    logits, labels = batch()
    labels[0, :2, 0] = 200
    labels[1, 0, 0] = -1
    with pytest.raises(InputError) as raised:
        ClassWeightedDiceLoss()(logits, labels)
    assert "0..4" in str(raised.value)
    assert raised.value.problems == ["label -1 in 1 pixels", "label 200 in 2 pixels"]


def test_without_the_check_labels_out_of_range_make_the_loss_nan():
    logits, labels = batch()
    loss = ClassWeightedDiceLoss(check_labels=False)
    clean = gradient(loss, logits, labels)
    assert loss(logits, labels).isfinite()
    assert torch.equal(clean, gradient(ClassWeightedDiceLoss(), logits, labels))
    labels[labels == 255] = 200
    assert loss(logits, labels).isnan()
    assert torch.equal(gradient(loss, logits, labels), clean)


@pytest.mark.parametrize(
    ("shape", "label_shape", "weight_shape", "found"),
    [
        ((2, 5, 6, 7), (2, 1, 6, 7), None, r"\(2, 6, 7\).*\(2, 1, 6, 7\)"),
        ((2, 5, 6, 7), (2, 3, 7), None, r"\(2, 6, 7\).*\(2, 3, 7\)"),
        ((2, 5, 6, 7), (2, 6, 7), (2,), r"\(2, 6, 7\).*\(2,\)"),
        ((2, 5), (2,), None, r"\(N, C, H, W\).*\(2, 5\)"),
        ((2, 1, 6, 7), (2, 6, 7), None, r"C from 2.*\(2, 1, 6, 7\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape, label_shape, weight_shape, found):
    weight = None if weight_shape is None else torch.ones(weight_shape)
    with pytest.raises(ValueError, match=found):
        ClassWeightedDiceLoss()(
            torch.zeros(shape), torch.zeros(label_shape, dtype=torch.long), weight=weight
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_types_that_do_not_fit(dtype):
    with pytest.raises(ValueError, match="integer labels"):
        ClassWeightedDiceLoss()(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=dtype))
    with pytest.raises(ValueError, match="floating-point"):
        ClassWeightedDiceLoss()(torch.ones(1, 2, 3, dtype=torch.long), torch.ones(1, 3).long())


def test_constructor_gathers_its_problems(tmp_path):
    with pytest.raises(InputError) as raised:
        ClassWeightedDiceLoss(absent="count", reduction="max", smooth=-1)
    assert len(raised.value.problems) == 3
    with pytest.raises(InputError, match=r"absent\.json"):
        ClassWeightedDiceLoss(tmp_path / "absent.json")
    with pytest.raises(InputError, match="3 weights for 5 classes"):
        ClassWeightedDiceLoss([1, 2, 3])(*batch())
