"""RandomFourierMix against the formula on whole spectra; whose amplitudes it takes."""

import numpy as np
import pytest

pytest.importorskip("mmseg")

from mmseg_heritage.datasets import ARTeFACTDataset, RandomFourierMix
from mmseg_heritage.datasets.seeded import SampleKey
from mmseg_heritage.datasets.transforms.fourier_mix import low_amplitude, mixed
from mmseg_heritage.errors import InputError


def noise(height, width, seed=0, level=128):
    generator = np.random.default_rng(seed)
    waves = generator.normal(0, 25, (height, width, 3)).cumsum(axis=0).cumsum(axis=1)
    waves = 30 * waves / np.abs(waves).max()
    return np.clip(level + waves, 0, 255).astype(np.uint8)


def by_definition(image, other, half, strength):
    """Mixes amplitudes of the whole, shifted spectrum, and returns numbers before rounding."""
    spectra = [np.fft.fftshift(np.fft.fft2(i, axes=(0, 1)), axes=(0, 1)) for i in (image, other)]
    amplitudes = [np.abs(s) for s in spectra]
    middle = [side // 2 for side in image.shape[:2]]
    window = tuple(slice(m - half, m + half + 1) for m in middle)
    result = amplitudes[0].copy()
    result[window] = (1 - strength) * result[window] + strength * amplitudes[1][window]
    whole = result * np.exp(1j * np.angle(spectra[0]))
    return np.fft.ifft2(np.fft.ifftshift(whole, axes=(0, 1)), axes=(0, 1)).real


@pytest.mark.parametrize("size", [(64, 64), (51, 64), (64, 51)])
@pytest.mark.parametrize("half", [0, 1, 4])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_it_is_the_definition(size, half, strength):
    image, other = noise(*size), noise(*size, seed=1, level=90)
    expected = by_definition(image, other, half, strength)
    found = mixed(image, low_amplitude(other, half), strength)
    assert np.abs(found - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-6
    if not strength:
        assert np.array_equal(found, image)


def test_at_full_strength_it_has_the_mean_of_the_other_image():
    image, other = noise(64, 64), noise(64, 64, seed=1, level=90)
    found = mixed(image, low_amplitude(other, 0), 1.0)
    assert found.mean(axis=(0, 1)) == pytest.approx(other.mean(axis=(0, 1)), abs=0.5)
    details = [i - i.mean(axis=(0, 1)) for i in (found, image)]
    assert np.abs(details[0] - details[1]).max() <= 1


def pipeline(**arguments):
    return [
        {"type": "LoadHeritageImage"}, {"type": "LoadARTeFACTAnnotations"},
        {"type": "RandomSquareCrop", "size": 64},
        {"type": "RandomFourierMix", **arguments},
    ]  # fmt: skip


def test_a_data_set_gives_images_of_other_domains(sample_set, monkeypatch):
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")
    dataset = ARTeFACTDataset(
        str(sample_set), split="all", domain_key="material", pipeline=pipeline(prob=1.0)
    )
    domains = {info["img_path"]: info["domain"] for info in map(dataset.get_data_info, range(12))}
    step = dataset.pipeline.transforms[-1]
    taken = []
    original = step._amplitude
    monkeypatch.setattr(
        step, "_amplitude", lambda path, *size: taken.append(path) or original(path, *size)
    )
    for seed in range(24):
        own = dataset.get_data_info(seed % 12)["domain"]
        result = dataset[SampleKey(seed, seed % 12)]
        assert domains[taken[-1]] != own
        assert np.array_equal(result["img"], dataset[SampleKey(seed, seed % 12)]["img"])
        assert result["img"].dtype == np.uint8
    assert len(set(taken)) > 6
    assert len(step._amplitudes) == len(set(taken))  # each photograph was read once


def test_prob_0_changes_nothing_and_without_a_data_set_it_says_so():
    results = {"img": noise(32, 32), "img_path": "a.png"}
    assert RandomFourierMix(prob=0)(results)["img"] is results["img"]
    with pytest.raises(InputError, match="knows no other images"):
        RandomFourierMix(prob=1.0)(results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"beta": 0.6}, "beta=0.6"), ({"prob": -1}, "prob=-1"), ({"strength": (1, 0)}, "strength=")],
)
def test_what_cannot_be_used_is_said(arguments, message):
    with pytest.raises(InputError) as caught:
        RandomFourierMix(**arguments)
    assert message in str(caught.value)


def test_images_of_one_domain_are_refused():
    with pytest.raises(InputError, match="all 2 training images are of Glass"):
        RandomFourierMix().set_images([("a", "Glass"), ("b", "Glass")])
    RandomFourierMix().set_images([("a", ""), ("b", "")])
