"""Class-weight formulas against published numbers and plain arithmetic, and the weights file."""

import hashlib
import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.dataprep.weights.weight_formulas import (
    FORMULAS,
    SCHEMA,
    class_weights,
    load_class_weights,
    read_weight_file,
    save_class_weights,
)
from mmseg_heritage.errors import InputError

# Pixel counts of a 1,458-image training set in class order, and the weights and the ratio that
# were published for it.
COUNTS = [
    7274594429, 262578433, 304126591, 6110271, 18752576, 2045136, 19834442, 28801014,
    4747014, 57938615, 52615095, 1270599, 7436356, 667598, 13492, 23915523,
]  # fmt: skip
INVERSE_SQRT_LOG_SCALED = [
    0.08060001441266779, 0.34168524311062354, 0.3226810175948071, 1.1030964610392895,
    0.8256388985691503, 1.4021508809525884, 0.8127172061171232, 0.7294071596880572,
    1.1699580195938704, 0.5864364878887727, 0.605078771387871, 1.5385596790141745,
    1.0520928775589933, 1.7275606864909365, 2.9319900709415405, 0.7703465256395351,
]  # fmt: skip
RATIO = 36.37704152172861

# Pixel counts of 417 images reduced to 512 px, and published ratios of the weights made from them.
COUNTS_417 = [
    69751540, 2922531, 3877364, 23110, 171255, 5407, 238265, 661706,
    74397, 475478, 804722, 38810, 93514, 18484, 1124, 560273,
]  # fmt: skip

counts_lists = st.lists(st.integers(0, 10**11), min_size=1, max_size=20).filter(any)


def test_inverse_sqrt_log_scaled_reproduces_the_published_weights():
    weights = class_weights(COUNTS)
    # The published numbers add 1e-8 to the root of the count, which shows in the eleventh digit.
    assert weights == pytest.approx(INVERSE_SQRT_LOG_SCALED, rel=1e-9)
    assert max(weights) / min(weights) == pytest.approx(RATIO, rel=1e-9)
    assert sum(weights) == pytest.approx(16)


@pytest.mark.parametrize(
    ("formula", "ratio"),
    [("inverse", 7274594429 / 13492), ("inverse_sqrt", math.sqrt(7274594429 / 13492))],
)
def test_plain_formulas_have_the_ratio_of_the_counts(formula, ratio):
    weights = class_weights(COUNTS, formula)
    assert max(weights) / min(weights) == pytest.approx(ratio)
    assert weights.index(max(weights)) == 14
    assert sum(weights) == pytest.approx(16)


def _weights(counts, formula, **options):
    """Weights of a set in which every image has every class."""
    return class_weights(counts, formula, image_pixels=[sum(counts)] * len(counts), **options)


def test_published_ratios_of_the_originals():
    for formula, ratio in (("inverse", 62057), ("inverse_sqrt", 249)):
        weights = class_weights(COUNTS_417, formula)
        assert max(weights) / min(weights) == pytest.approx(ratio, abs=0.5)


def test_the_stored_weights_of_the_real_counts(shared_data):
    content = json.loads((shared_data / "artefact_metadata" / "class_counts_1458.json").read_text())
    for formula, key in (
        ("inverse_sqrt", "inverse_sqrt"),
        ("inverse_sqrt_log_scaled", "inverse_sqrt_log_scaled_A"),
    ):
        weights = class_weights(content["pixel_counts"], formula)
        assert weights == pytest.approx(content[key], rel=1e-9)
    assert max(weights) / min(weights) == pytest.approx(content["ratio_A"], rel=1e-9)
    assert content["ratio_A"] == pytest.approx(36.377, abs=1e-3)


@pytest.mark.parametrize("counts", [[1, 2, 10], [5000, 100000, 20000, 1]])
def test_effective_samples_are_a_geometric_sum(counts):
    # 1 + b + b^2 + ... of as many terms as there are pixels is the effective number.
    effective = [sum(0.9999**i for i in range(n)) for n in counts]
    weights = class_weights(counts, "effective_samples")
    expected = [1 / e for e in effective]
    scale = len(counts) / sum(expected)
    assert weights == pytest.approx([scale * e for e in expected], rel=1e-9)


def test_effective_samples_are_nearly_alike_for_the_counts_of_a_data_set():
    weights = class_weights(COUNTS, "effective_samples")
    assert max(weights) / min(weights) < 1.4  # the rarest has 13,492 pixels
    assert sorted(weights)[-2] / min(weights) == pytest.approx(1)


def test_median_frequency_is_that_of_images_with_the_class():
    # Three images of 100, 100 and 50 pixels; class 2 is in the last one only, and fills half of it.
    pixels = np.array([[90, 10, 0], [80, 20, 0], [20, 5, 25]])
    totals = [250, 250, 50]
    frequencies = pixels.sum(axis=0) / totals
    expected = np.median(frequencies) / frequencies
    weights = class_weights(pixels.sum(axis=0), "median_frequency", image_pixels=totals)
    assert weights == pytest.approx(expected * 3 / expected.sum())
    assert weights[1] > weights[2]  # although class 2 has fewer pixels in all


@pytest.mark.parametrize("image_pixels", [None, [9, 9], [9, 9, 3], [9, 9, 2.5]])
def test_median_frequency_needs_the_pixels_of_the_images(image_pixels):
    with pytest.raises(InputError):
        class_weights([3, 0, 4], "median_frequency", image_pixels=image_pixels)


@given(counts_lists, st.sampled_from(sorted(FORMULAS)), st.floats(1, 100))
def test_a_limit_lowers_the_rarest_and_leaves_the_ratios_of_the_others(counts, formula, limit):
    free, limited = _weights(counts, formula), _weights(counts, formula, max_ratio=limit)
    used = [(a, b) for a, b in zip(free, limited, strict=True) if a > 0]
    assert all((a > 0) == (b > 0) for a, b in zip(free, limited, strict=True))
    assert max(b for _, b in used) <= min(b for _, b in used) * limit * (1 + 1e-9)
    assert sum(b for _, b in used) == pytest.approx(len(used))
    least = min(a for a, _ in used)
    scale = min(b for _, b in used) / least
    for a, b in used:
        assert b == pytest.approx(scale * min(a, limit * least))


@pytest.mark.parametrize("limit", [0.99, -1, float("nan"), float("inf")])
def test_a_limit_below_one_is_none(limit):
    with pytest.raises(InputError, match="a number from 1, found"):
        class_weights([1, 2], max_ratio=limit)


@given(counts_lists, st.sampled_from(sorted(FORMULAS)))
def test_every_formula_is_finite_ordered_and_has_mean_one(counts, formula):
    weights = _weights(counts, formula)
    present = [(n, w) for n, w in zip(counts, weights, strict=True) if n > 0]
    assert all(w == 0 for n, w in zip(counts, weights, strict=True) if n == 0)
    assert all(math.isfinite(w) and w > 0 for _, w in present)
    assert sum(w for _, w in present) == pytest.approx(len(present))
    by_count = [w for _, w in sorted(present, key=lambda pair: (pair[0], -pair[1]))]
    # A rarer class never weighs less (up to rounding, for counts that differ by next to nothing).
    assert all(a >= b * (1 - 1e-12) for a, b in itertools.pairwise(by_count))


@pytest.mark.parametrize("formula", FORMULAS)
def test_an_empty_class_leaves_the_others_as_they_were(formula):
    weights = _weights([900, 0, 30, 1], formula)
    assert weights[1] == 0
    assert [weights[0], *weights[2:]] == pytest.approx(_weights([900, 30, 1], formula))


def test_numpy_counts_give_the_same():
    assert class_weights(np.array(COUNTS)) == class_weights(COUNTS)


@pytest.mark.parametrize("counts", [[], [0, 0], [5, -1], [5, 2.5], [5, float("nan")], [5, True]])
def test_unusable_counts_are_refused(counts):
    with pytest.raises(InputError):
        class_weights(counts)


def test_unknown_formula_names_the_known_ones():
    with pytest.raises(InputError, match="inverse_sqrt_log_scaled"):
        class_weights([1, 2], "inverse_cube")


def test_a_saved_file_is_complete_and_loads_back(tmp_path):
    path = tmp_path / "new folder" / "weights.json"
    classes = ["Clean", "Crack", "Hair"]
    written = save_class_weights(
        path, np.array([90, 10, 0]), classes, "inverse", max_ratio=20, details={"from": "a test"}
    )
    content = json.loads(path.read_text())
    assert content.pop("ratio") == pytest.approx(9)
    assert content == {
        "schema": SCHEMA,
        "formula": "inverse",
        "max_ratio": 20,
        "classes": classes,
        "without_pixels": ["Hair"],
        "pixel_counts": [90, 10, 0],
        "from": "a test",
        "class_weights": written["class_weights"],
    }
    weights = written["class_weights"]
    assert load_class_weights(path, 3) == load_class_weights(str(path), 3) == weights
    assert [p.name for p in path.parent.iterdir()] == ["weights.json"]


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    path = tmp_path / "weights.json"
    save_class_weights(path, [90, 10], ["a", "b"])
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"weights\.json: exists already"):
        save_class_weights(path, [1, 1], ["a", "b"])
    assert path.read_bytes() == before
    save_class_weights(path, [1, 1], ["a", "b"], overwrite=True)
    assert load_class_weights(path) == [1.0, 1.0]


def test_nothing_is_written_for_unusable_input(tmp_path):
    for counts, classes in (([1, 2, 3], ["a", "b"]), ([0, 0], ["a", "b"])):
        with pytest.raises(InputError):
            save_class_weights(tmp_path / "weights.json", counts, classes)
    assert list(tmp_path.iterdir()) == []


def test_lists_and_bare_json_lists_load(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text("[0, 1, 2.5]")
    assert load_class_weights(path, 3) == [0.0, 1.0, 2.5]
    assert load_class_weights((0, 1, 2.5), 3) == [0.0, 1.0, 2.5]
    assert load_class_weights(np.array([0, 1, 2.5], dtype=np.float32)) == [0.0, 1.0, 2.5]


def test_all_problems_are_listed_with_the_file(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text('{"class_weights": [1, -2, NaN, "3", true, Infinity]}')
    with pytest.raises(InputError) as raised:
        load_class_weights(path, 16)
    assert str(path) in str(raised.value)
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "6 weights for 16 classes", "class 1", "class 2", "class 3", "class 4", "class 5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "[0, 0]",
        "3",
        "{}",
        '{"class_weights": "1, 2"}',
        '{"class_weights": [1, 2], "classes": ["a"]}',
        '{"class_weights": [1, 2], "schema": "something/else"}',
    ],
)
def test_unusable_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "weights.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"weights\.json"):
        load_class_weights(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json"):
        load_class_weights(tmp_path / "absent.json")


def test_the_module_does_not_import_torch():
    module = "mmseg_heritage.dataprep.weights.weight_formulas"
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_is_read_once_for_all_that_is_asked_about_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written = save_class_weights(tmp_path / "w.json", [90, 10], ["a", "b"], details={"split": {}})
    file = read_weight_file("~/w.json")
    assert {**file.details, "class_weights": file.weights} == written
    assert file.sha256 == hashlib.sha256((tmp_path / "w.json").read_bytes()).hexdigest()
    (tmp_path / "list.json").write_text("[0, 2]")
    assert read_weight_file(tmp_path / "list.json").weights == [0.0, 2.0]
    with pytest.raises(InputError, match="3 classes") as caught:
        read_weight_file(tmp_path / "list.json", 3)
    assert "list.json" in str(caught.value)
