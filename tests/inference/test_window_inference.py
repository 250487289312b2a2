"""Maps are exact at every size, and no seam shows where windows meet."""

import numpy as np
import pytest
import torch

from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.run_network import raw_scores
from mmseg_heritage.inference.window_engine import scale_of
from mmseg_heritage.inference.window_inference import WindowInference
from mmseg_heritage.scores.arrays import FLIPS

SIZES = [(1, 1), (1, 300), (29, 31), (33, 65), (128, 96), (200, 2), (130, 257)]
SETTINGS = [
    {"mode": "whole"},
    {"crop": 64, "overlap": 0.0},
    {"crop": 64, "overlap": 0.5, "batch": 3},
    {"crop": 50, "overlap": 0.25},  # becomes 64
    {"crop": 1024},
    {"crop": 64, "tta": ["horizontal", "vertical", "diagonal"]},
]


def blocks(size, side=1, seed=0):
    """An image (1, H, W) of blocks of random gray levels 0, 16, .. 240."""
    drawn = np.random.default_rng(seed).integers(0, 16, [-(-s // side) for s in size])
    levels = drawn.repeat(side, 0).repeat(side, 1)[: size[0], : size[1]]
    return torch.from_numpy(16 * levels[None].astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_pixel_is_where_it_belongs(color_segmentor, size, settings):
    image = blocks(size)
    found = WindowInference(**settings)(color_segmentor(cell=1), image)
    assert found.ids["fine"].dtype == torch.uint8
    assert torch.equal(found.ids["fine"], image[0] // 16)


@pytest.mark.parametrize("size", [(29, 31), (130, 257), (683, 90)])
@pytest.mark.parametrize("cell", [4, 32])
def test_windows_agree_with_the_whole_image(color_segmentor, size, cell):
    """The network sees nothing beyond its cells, so that windows must change nothing at all."""
    image = blocks(size, 5)
    model = color_segmentor(cell)
    whole = WindowInference(mode="whole", logits=True)(model, image).logs
    for settings in SETTINGS[1:5]:
        windows = WindowInference(**settings, logits=True)(model, image).logs
        torch.testing.assert_close(windows, whole, rtol=1e-4, atol=1e-4)


def test_the_network_computes_in_the_precision_that_was_asked_for(color_segmentor):
    class Watched(color_segmentor):
        def extract_feat(self, inputs):
            computed.append((inputs @ inputs.mT).dtype)
            return super().extract_feat(inputs)

    computed, image = [], blocks((64, 64))
    for precision in ("float32", "bfloat16"):
        found = WindowInference(precision=precision, logits=True)(Watched(), image)
        assert found.logs.dtype == torch.float32
        assert torch.equal(found.ids["fine"], image[0] // 16)
    assert computed == [torch.float32, torch.bfloat16]
    with pytest.raises(InputError, match="float16 needs a CUDA device"):
        WindowInference(precision="float16")(color_segmentor(), image)


@pytest.mark.parametrize("shift", [1, 4, 13, 32])
def test_a_shifted_image_gives_a_shifted_map(color_segmentor, shift):
    """Only cells of 4 px with an outline, and what lies between them and the next, can change."""
    image = blocks((333, 417), 32)
    shifted = torch.zeros(1, 333 + shift, 417 + shift, dtype=torch.uint8)
    shifted[:, shift:, shift:] = image
    model, engine = color_segmentor(4), WindowInference(crop=128)
    moved = engine(model, shifted).ids["fine"][shift:, shift:]
    inside = np.s_[8:-8, 8:-8]
    wrong = (moved != image[0] // 16)[inside]
    near = torch.zeros_like(wrong)  # pixels that are within 6 px of an outline
    ids = image[0][inside]
    for dim in (0, 1):
        for step in range(-6, 7):
            near |= ids != ids.roll(step, dim)
    assert not (wrong & ~near).any()


def test_there_is_no_seam(color_segmentor):
    """A network that says the same everywhere, on an image that is not."""

    class Constant(color_segmentor):
        def extract_feat(self, inputs):
            return [torch.full_like(inputs[:, :1], 100.0)[..., ::4, ::4]]

    ramp = torch.arange(300, dtype=torch.uint8).expand(1, 200, 300)
    found = WindowInference(crop=64, overlap=0.4, logits=True)(Constant(), ramp).logs
    torch.testing.assert_close(found, found[:, :1, :1].expand_as(found))


def test_scales_are_averaged_as_probabilities(color_segmentor):
    image, model = blocks((100, 140), 20), color_segmentor(4)
    apart = [
        WindowInference(mode="whole", scales=scale, logits=True)(model, image).logs.softmax(0)
        for scale in ("native", 0.5)
    ]
    both = WindowInference(mode="whole", scales=["native", 0.5], logits=True)(model, image).logs
    torch.testing.assert_close(both.exp(), (apart[0] + apart[1]) / 2)
    assert not torch.allclose(*apart)


def test_a_scale_that_changes_nothing_costs_nothing(color_segmentor):
    model = color_segmentor()
    WindowInference(mode="whole", scales=["native", "fit:500", 1.0])(model, blocks((64, 64)))
    assert len(model.seen) == 1


def test_shrinking_keeps_the_place_of_things(color_segmentor):
    image = blocks((640, 960), 80)
    found = WindowInference(scales=["fit:240"])(color_segmentor(), image).ids["fine"]
    inside = np.s_[..., 40::80, 40::80]
    assert torch.equal(found[inside], image[0][inside] // 16)
    assert WindowInference(scales=["fit:240"]).sizes(640, 960) == [(160, 240)]


def test_maps_of_another_size_than_the_image(color_segmentor):
    image = blocks((40, 60), 10)
    found = WindowInference()(color_segmentor(), image, (80, 120)).ids["fine"]
    assert found.shape == (80, 120)
    assert torch.equal(found[10::20, 10::20], image[0][5::10, 5::10] // 16)  # middles of blocks


@pytest.mark.parametrize("tile", [16, 50])
def test_tiles_and_bands_leave_no_trace(color_segmentor, tile, monkeypatch):
    image, model = blocks((100, 130), 7), color_segmentor(4)
    whole = WindowInference(crop=64)(model, image).ids["fine"]
    monkeypatch.setattr("mmseg_heritage.inference.window_engine.TILE", tile)
    monkeypatch.setattr("mmseg_heritage.inference.enlarging.TILE", tile)
    monkeypatch.setattr("mmseg_heritage.inference.window_engine._BAND", 3 * 130)
    assert torch.equal(WindowInference(crop=64)(model, image).ids["fine"], whole)
    assert torch.equal(WindowInference(crop=64, logits=True)(model, image).ids["fine"], whole)


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_a_head_of_one_channel(color_segmentor, threshold):
    """Class 1 where the interpolated score is above the threshold's, however sure the head is."""

    class OneChannel(color_segmentor):
        def __init__(self):
            super().__init__(4, 2)
            self.decode_head.out_channels, self.decode_head.threshold = 1, threshold
            self.decode_head.forward = lambda maps: maps[0][:, :1] - 100

    image, model = blocks((64, 96), 13), OneChannel()
    found = WindowInference(mode="whole", logits=True, confidence=True)(model, image)
    scores = raw_scores(model, image[None].float(), (64, 96))
    pixels = torch.nn.functional.interpolate(scores, (64, 96), mode="bilinear")[0, 0].double()
    # The logarithms of p and of 1 - p are interpolated; far from 0 their difference is the score.
    clear = (pixels.abs() > 6) | (scores.abs().amin() > 6)
    expected = pixels.sigmoid() > threshold
    assert torch.equal(found.ids["fine"].bool()[clear], expected[clear])
    assert set(found.ids["fine"].unique().tolist()) == {0, 1}
    assert (found.confidence[found.ids["fine"] == 0] >= 255 * (1 - threshold) - 1).all()
    assert torch.equal(WindowInference(mode="whole")(model, image).ids["fine"], found.ids["fine"])


def test_the_confidence_is_the_probability_of_the_chosen_class(color_segmentor):
    image, model = blocks((70, 90), 3), color_segmentor(4)
    found = WindowInference(confidence=True, logits=True)(model, image)
    expected = found.logs.double().softmax(0).amax(0)
    torch.testing.assert_close(
        found.confidence / 255.0, expected.float(), rtol=0, atol=0.5001 / 255
    )


def test_mirror_images_are_averaged(color_segmentor):
    class Uneven(color_segmentor):
        def extract_feat(self, inputs):
            place = torch.arange(inputs.shape[3]) + torch.arange(inputs.shape[2])[:, None] * 2.0
            return [super().extract_feat(inputs)[0] + place[::4, ::4]]

    image, model = blocks((64, 64), 4).float(), Uneven(4)
    names = ["horizontal", "vertical", "diagonal"]
    found = WindowInference(mode="whole", tta=names, logits=True)(model, image).logs
    views = [(), *(FLIPS[name] for name in names)]
    scores = [raw_scores(model, image[None].flip(v), (64, 64)).softmax(1).flip(v) for v in views]
    mean = torch.stack(scores).mean(0).clamp(min=torch.finfo(torch.float32).tiny).log()
    expected = torch.nn.functional.interpolate(mean, (64, 64), mode="bilinear")[0]
    torch.testing.assert_close(found, expected)


def test_scores_that_are_not_numbers_are_refused(color_segmentor):
    image = torch.full((1, 64, 64), float("nan"))
    with pytest.raises(InputError, match="not numbers"):
        WindowInference()(color_segmentor(), image)


class Small:
    """Makes a segmentor's device run out of memory at more than some windows."""

    def __init__(self, segmentor, most):
        self.forward, self.most, self.batches = segmentor.extract_feat, most, []

    def __call__(self, inputs):
        self.batches.append(len(inputs))
        if len(inputs) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self.forward(inputs)


def test_too_little_memory_halves_the_batch_and_changes_nothing(color_segmentor):
    image, model = blocks((64, 640)), color_segmentor()
    model.extract_feat = small = Small(model, 3)
    found = WindowInference(crop=64, batch=8)(model, image).ids["fine"]
    assert torch.equal(found, image[0] // 16)
    assert small.batches[:3] == [8, 4, 2]
    assert max(small.batches[3:]) == 2


def test_too_little_memory_for_one_window_is_said(color_segmentor):
    model = color_segmentor()
    model.extract_feat = Small(model, 0)
    with pytest.raises(InputError, match="a window of 64x64 px"):
        WindowInference(crop=64)(model, blocks((64, 640)))


def test_a_head_that_gives_every_pixel_by_itself(color_segmentor):
    """Heads with a prediction of their own, and other segmentors, are asked for all pixels."""

    class Other(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.decode_head = torch.nn.Module()
            self.own = color_segmentor(4)

        def encode_decode(self, inputs, metas):
            scores = self.own.decode_head(self.own.extract_feat(inputs))
            return torch.nn.functional.interpolate(scores, metas[0]["img_shape"], mode="bilinear")

    image = blocks((64, 96), 8)
    found = WindowInference()(Other(), image, prepare=lambda part: part.float()).ids["fine"]
    expected = WindowInference()(color_segmentor(4), image).ids["fine"]
    assert (found != expected).float().mean() < 0.02  # softmax and interpolation change places


@pytest.mark.parametrize(
    ("name", "expected"), [("native", 1), ("fit:512", 0.25), ("fit:9000", 1), (0.5, 0.5), (2, 2)]
)
def test_scales(name, expected):
    assert scale_of(name, 1024, 2048) == expected


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(InputError) as caught:
        WindowInference(
            mode="tiles",
            crop=0,
            overlap=1,
            batch=-1,
            scales=["fit:", 0, 99],
            tta=["up"],
            precision="int4",
        )
    text = "\n".join(caught.value.problems)
    for part in (
        "mode='tiles'",
        "crop=0",
        "overlap=1",
        "batch=-1",
        "'fit:'",
        "scale 0",
        "99",
        "'up'",
        "precision='int4'",
    ):
        assert part in text
    with pytest.raises(InputError, match=r"model\.inference"):
        WindowInference(scales=[])
