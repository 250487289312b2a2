r"""Penalties on the differences between domains, as pure functions of tensors.

All follow the definitions of DomainBed (Gulrajani and Lopez-Paz, ICLR 2021, arXiv:2007.01434);
images of one pixel are its classification. Everything is differentiable, in the precision of what
is given: values are as small as 1e-12, so give float32 or float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS


def coral_distance(first: Tensor, second: Tensor) -> Tensor:
    r"""Returns the distance of the means and covariances of two sets of features.

    .. math::
        \frac{1}{K} \sum_k (\mu_k - \mu'_k)^2 + \frac{1}{K^2} \sum_{kl} (C_{kl} - C'_{kl})^2

    The second term, with covariances by n - 1, is 4 times the loss of Deep CORAL (Sun and Saenko,
    2016, arXiv:1607.01719); the first is DomainBed's.

    Args:
        first: (n, K), n from 2.
        second: (m, K), m from 2.

    Raises:
        ValueError: If a set has fewer than two features: one has no covariance.
    """
    for features in (first, second):
        if features.dim() != 2 or len(features) < 2:
            raise ValueError(
                f"coral_distance needs features (n, K) with n from 2, found {tuple(features.shape)}"
            )
    means, covariances = zip(*map(_mean_and_covariance, (first, second)), strict=True)
    return (means[0] - means[1]).square().mean() + (
        (covariances[0] - covariances[1]).square().mean()
    )


def _mean_and_covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean(dim=0)
    centered = features - mean
    return mean, centered.T @ centered / (len(features) - 1)


def coral_penalty(features: Sequence[Tensor]) -> Tensor:
    """Returns :func:`coral_distance`, averaged over all pairs of domains.

    Args:
        features: (n_d, K) of each domain.
    """
    return torch.stack([coral_distance(a, b) for a, b in combinations(features, 2)]).mean()


def class_coral_penalty(
    features: Sequence[Tensor], labels: Sequence[Tensor], least: int = 2
) -> Tensor:
    """Returns :func:`coral_distance`, averaged over the classes that pairs of domains share.

    So it does not ask domains with different shares of damage to look alike.

    Args:
        features: (n_d, K) of each domain.
        labels: int64 (n_d,) of each domain.
        least: Features that a class must have in both domains, from 2.

    Returns:
        The mean over all pairs of a domain with another and a class; 0 where none is shared.
    """
    found = []
    for (a, of_a), (b, of_b) in combinations(zip(features, labels, strict=True), 2):
        for name in sorted(set(of_a.tolist()) & set(of_b.tolist())):
            pair = a[of_a == name], b[of_b == name]
            if min(map(len, pair)) >= least:
                found.append(coral_distance(*pair))
    return torch.stack(found).mean() if found else features[0].sum() * 0


def irm_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Returns how cross entropy changes with the scale w of its logits, at w = 1.

    .. math::
        \frac{d}{dw} L(w z)\Big|_{w=1}
            = \frac{1}{n} \sum_i \Big(\sum_c p_{ic} z_{ic} - z_{i y_i}\Big)

    In closed form, so that a penalty on it needs no second derivative.

    Args:
        logits: z, (N, C, ...).
        labels: int64 (N, ...); pixels of :data:`NO_CLASS` take no part.

    Returns:
        A number; 0 where no pixel takes part.
    """
    taking = labels != NO_CLASS
    expected = (logits.softmax(dim=1) * logits).sum(dim=1)
    own = logits.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return _masked_mean(expected - own, taking)


def irm_penalty(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns IRMv1's penalty of a domain (Arjovsky et al., 2019, arXiv:1907.02893).

    The product of :func:`irm_gradient` over the images of even and of odd place: an unbiased
    estimate of the squared gradient, which may be negative. Halves of pixels would not do: those of
    one image resemble each other.

    Args:
        logits: (N, C, ...), of N images from 2.
        labels: int64 (N, ...), see :func:`irm_gradient`.

    Raises:
        ValueError: If there is one image: the other half would be empty, and the penalty 0.
    """
    if len(logits) < 2:
        raise ValueError(f"irm_penalty needs two images of a domain, found {len(logits)}")
    return irm_gradient(logits[::2], labels[::2]) * irm_gradient(logits[1::2], labels[1::2])


def vrex_penalty(losses: Tensor) -> Tensor:
    """Returns the variance of the losses of the domains (Krueger et al., 2021, arXiv:2003.00688).

    Args:
        losses: (D,).
    """
    return (losses - losses.mean()).square().mean()


def group_dro_penalty(losses: Tensor, log_weights: Tensor) -> Tensor:
    """Returns what worse domains weigh more than others (Sagawa et al., 2020, arXiv:1911.08731).

    Args:
        losses: L_d, (D,).
        log_weights: Logarithms of the weights q_d of the domains but for a constant, (D,).

    Returns:
        The sum of q_d L_d less the mean of L_d: added to that mean, it is GroupDRO's loss.
    """
    return (log_weights.softmax(dim=0) * losses).sum() - losses.mean()


def gradient_variance(gradients: Tensor) -> Tensor:
    """Returns the variance of each entry over samples, (P,), of gradients (n, P)."""
    return gradients.var(dim=0, unbiased=False)


def image_gradients(score_gradients: Tensor, features: Tensor) -> Tensor:
    """Returns the gradient of each image's loss by the weights and biases of a 1x1 convolution.

    Args:
        score_gradients: Gradient of the sum of the losses by the convolution's output,
            (N, C, H, W).
        features: Its input, (N, K, H, W).

    Returns:
        (N, C K + C), the weights first.
    """
    weights = torch.einsum("nchw,nkhw->nck", score_gradients, features)
    return torch.cat([weights.flatten(1), score_gradients.sum(dim=(2, 3))], dim=1)


def cross_entropy_gradients(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the gradient p - e_y of cross entropy by the logits of each pixel.

    Args:
        logits: (N, C, ...).
        labels: int64 (N, ...).

    Returns:
        (N, C, ...), 0 where the label is :data:`NO_CLASS`.
    """
    wanted = functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1)
    return (logits.softmax(dim=1) - wanted) * (labels != NO_CLASS)[:, None]


def pixel_gradient_variance(score_gradients: Tensor, features: Tensor) -> Tensor:
    r"""Returns :func:`gradient_variance` of a 1x1 convolution where each pixel is a sample.

    The gradient of a pixel is :math:`d_c f_k`, so that two products of matrices suffice,

    .. math::
        v_{ck} = \frac{1}{n} \sum_i d_{ic}^2 f_{ik}^2 - \Big(\frac{1}{n} \sum_i d_{ic} f_{ik}\Big)^2

    Args:
        score_gradients: d, (n, C).
        features: f, (n, K).

    Returns:
        (C K + C,), the weights first.
    """
    number = len(features)
    mean = score_gradients.T @ features / number
    square = score_gradients.square().T @ features.square() / number
    return torch.cat([(square - mean.square()).flatten(), gradient_variance(score_gradients)])


def fishr_penalty(variances: Tensor) -> Tensor:
    """Returns how far the domains' variances of gradients are from their mean.

    Fishr (Rame et al., ICML 2022, arXiv:2109.02934): the squared distance, averaged over domains
    and entries.

    Args:
        variances: (D, P), see :func:`gradient_variance`.
    """
    return (variances - variances.mean(dim=0)).square().mean()


def running_variance(
    before: Tensor | None, variance: Tensor, decay: float
) -> tuple[Tensor, Tensor]:
    r"""Averages variances over steps as Fishr does.

    .. math::
        m_t = \gamma m_{t-1} + (1 - \gamma) v_t, \quad u_t = m_t / (1 - \gamma)

    of which u is used.

    The gradient takes the past as a constant. At the first step the value used is v, after many
    steps of the same v it is :math:`v / (1 - \gamma)`.

    Args:
        before: :math:`m_{t-1}`, which carries no gradient; None for 0.
        variance: :math:`v_t`.
        decay: :math:`\gamma`, from 0 to below 1.

    Returns:
        The value used, and :math:`m_t` without a gradient.
    """
    found = (1 - decay) * variance
    if before is not None:
        found = decay * before + found
    return found / (1 - decay), found.detach()


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean where a mask holds; 0 with zero gradients where it does nowhere."""
    number = mask.sum()
    return torch.where(mask, values, 0.0).sum() / torch.where(number == 0, torch.inf, number)
