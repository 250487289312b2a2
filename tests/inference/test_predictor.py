"""A predictor gives one map for one photograph, however the photograph is given."""

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS, TRANSFORMS
from PIL import Image

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.predictor import BasePredictor, find_device
from mmseg_heritage.taxonomy import ARTEFACT, FINE_LEVEL

FINE = ARTEFACT.levels[FINE_LEVEL]
STEPS = ("LoadHeritageImage", "LoadARTeFACTAnnotations", "PackSegInputs")


def make_model(head="SegformerHead", channels=3, **options):
    init_default_scope("mmseg")
    torch.manual_seed(0)
    backbone = {"type": "MixVisionTransformer", "embed_dims": 8, "num_layers": [1] * 4}
    model = ConfigDict({
        "type": "HeritageEncoderDecoder",
        "data_preprocessor": {"type": "SegDataPreProcessor", "bgr_to_rgb": True, "size_divisor": 32,
                              "mean": [100.0], "std": [50.0]},
        "backbone": {**backbone, "in_channels": channels},
        "decode_head": {"type": head, "in_channels": "auto", "channels": 8, "num_classes": 16,
                        **options},
        "test_cfg": {"mode": "whole"},
    })  # fmt: skip
    return MODELS.build(model).eval()


def make_predictor(model, steps=STEPS):
    built = [TRANSFORMS.build({"type": step} if isinstance(step, str) else step) for step in steps]
    return BasePredictor(model, built, FINE.classes, FINE.colors)


@pytest.fixture(scope="module")
def predictor():
    return make_predictor(make_model())


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_paths_pillow_images_and_rgb_arrays_give_the_same_map(predictor, photograph):
    image = Image.open(photograph)
    given = [photograph, str(photograph), image, np.asarray(image)]
    found = [predictor(one) for one in given] + predictor(given) + predictor(tuple(given))
    assert len(found) == 12
    for prediction in found:
        assert prediction.class_map.dtype == np.uint8
        assert prediction.class_map.shape == (40, 70)
        np.testing.assert_array_equal(prediction.class_map, found[0].class_map)
        np.testing.assert_array_equal(prediction.image, np.asarray(image))
    swapped = predictor(np.asarray(image)[..., ::-1])
    assert (swapped.class_map != found[0].class_map).any()  # the order of channels matters


def test_the_map_is_the_largest_score_of_the_model_on_the_normalized_rgb_image(
    predictor, photograph
):
    pixels = torch.from_numpy(np.asarray(Image.open(photograph)).astype(np.float32))
    normalized = ((pixels - 100) / 50).permute(2, 0, 1)[None]
    # Up to whole steps of the coarsest feature map.
    normalized = torch.nn.functional.pad(normalized, (0, 26, 0, 24), mode="replicate")
    with torch.no_grad():
        scores = predictor.model(normalized, mode="tensor")
    # A step for every four pixels, the last one reaching beyond the photograph.
    scores = scores[..., :10, :18]
    scores = torch.nn.functional.interpolate(scores, (40, 72), mode="bilinear")[..., :70]
    expected = scores.argmax(dim=1)[0].numpy()
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(predictor(photograph).class_map, expected)


def test_shares_are_counted_from_the_maps(photograph):
    prediction = make_predictor(make_model("HierarchicalUPerHead", pool_scales=(1, 2)))(photograph)
    assert prediction.classes == FINE.classes
    assert prediction.palette == FINE.colors
    assert set(prediction.level_maps) == set(prediction.groups) == {"binary", "coarse"}
    for level, ids in [("fine", prediction.class_map), *prediction.level_maps.items()]:
        shares = prediction.shares(level)
        names = FINE.classes if level == "fine" else prediction.groups[level].classes
        assert list(shares) == list(names)
        for i, share in enumerate(shares.values()):
            assert share == pytest.approx(np.mean(ids == i))
    with pytest.raises(InputError, match="no level 'medium'; it predicts fine, binary, coarse"):
        prediction.shares("medium")


def test_a_prediction_cannot_be_changed_by_accident(predictor, photograph):
    with pytest.raises(AttributeError):
        predictor(photograph).class_map = None


def test_all_photographs_that_cannot_be_used_are_named(predictor, photograph, tmp_path):
    with pytest.raises(InputError, match="2 of 4 photographs could not be predicted") as caught:
        predictor([photograph, tmp_path / "no.png", np.zeros((2, 2)), photograph])
    assert f"{tmp_path / 'no.png'}: no such file" in caught.value.problems[0]
    assert "found float64 (2, 2)" in caught.value.problems[1]
    with pytest.raises(InputError, match="found int"):
        predictor(3)


def test_scores_that_are_not_numbers_are_an_error(photograph):
    model = make_model()
    with torch.no_grad():
        model.decode_head.conv_seg.bias[3] = float("nan")
    with pytest.raises(InputError, match=r"photo\.png: the model's scores are not numbers"):
        make_predictor(model)(photograph)


def test_steps_that_load_are_left_out_whatever_their_name(predictor, photograph):
    loaders = ["LoadImageFromFile", "LoadImageFromNDArray", "LoadAnnotations"]
    other = make_predictor(predictor.model, [*loaders, "PackSegInputs"])
    found = other(np.asarray(Image.open(photograph)))
    np.testing.assert_array_equal(found.class_map, predictor(photograph).class_map)


@TRANSFORMS.register_module()
class LoadWithInfrared(BaseTransform):
    """A step of a user's own that loads four channels."""

    def transform(self, results):
        with Image.open(results["img_path"]) as image:
            results["img"] = np.array(image.convert("RGBA"))
        return results


def test_models_of_other_channels_need_a_step_that_loads_them(photograph):
    model = make_model(channels=4)
    with pytest.raises(InputError, match=r"takes images of 4 channels, and its .* gives 3"):
        make_predictor(model)(photograph)
    predictor = make_predictor(model, ["LoadWithInfrared", "PackSegInputs"])
    assert predictor(photograph).class_map.shape == (40, 70)


def test_a_pipeline_must_pack_what_it_makes(predictor, photograph):
    with pytest.raises(InputError, match="must end in PackSegInputs"):
        make_predictor(predictor.model, ["LoadImageFromFile"])(photograph)


def test_a_device_that_is_not_there_is_named():
    assert find_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="nonsense is not available here"):
        find_device("nonsense")


def test_where_it_is_too_little_sure_it_chooses_no_class(photograph, tmp_path):
    model = make_model()
    plain = make_predictor(model)
    plain.keep_confidence()
    expected = plain(photograph)
    limit = float(np.median(expected.confidence) + 0.5) / 255
    model.window_inference = type(model.window_inference)(abstain_below=limit)
    predictor = make_predictor(model)
    found = predictor(photograph)
    below = expected.confidence / 255 < limit
    assert 0 < below.mean() < 1
    assert (found.class_map[below] == 254).all()
    assert np.array_equal(found.class_map[~below], expected.class_map[~below])
    assert sum(found.shares().values()) == pytest.approx(1 - below.mean())
    # Tests score every pixel.
    sample = model.test_step(predictor.batch(found.image))[0]
    assert np.array_equal(sample.pred_sem_seg.data[0].numpy(), expected.class_map)
    for wrong in (-0.1, 1.5, True, "x"):
        with pytest.raises(InputError, match="abstain_below"):
            type(model.window_inference)(abstain_below=wrong)
    with pytest.raises(InputError, match="mask value of a class"):
        BasePredictor(model, [], FINE.classes, FINE.colors, mask_values=range(239, 255))
