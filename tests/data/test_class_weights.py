"""Class-weight formulas against published numbers and plain arithmetic, and the weights file."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.data.class_weights import (
    FORMULAS,
    SCHEMA,
    class_weights,
    load_class_weights,
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


@given(counts_lists, st.sampled_from(sorted(FORMULAS)))
def test_every_formula_is_finite_ordered_and_has_mean_one(counts, formula):
    weights = class_weights(counts, formula)
    present = [(n, w) for n, w in zip(counts, weights, strict=True) if n > 0]
    assert all(w == 0 for n, w in zip(counts, weights, strict=True) if n == 0)
    assert all(math.isfinite(w) and w > 0 for _, w in present)
    assert sum(w for _, w in present) == pytest.approx(len(present))
    by_count = [w for _, w in sorted(present, key=lambda pair: (pair[0], -pair[1]))]
    # A rarer class never weighs less (up to rounding, for counts that differ by next to nothing).
    assert all(a >= b * (1 - 1e-12) for a, b in itertools.pairwise(by_count))


@pytest.mark.parametrize("formula", FORMULAS)
def test_an_empty_class_leaves_the_others_as_they_were(formula):
    weights = class_weights([900, 0, 30, 1], formula)
    assert weights[1] == 0
    assert [weights[0], *weights[2:]] == pytest.approx(class_weights([900, 30, 1], formula))


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
    written = save_class_weights(path, np.array([90, 10]), ["Clean", "Crack"], "inverse")
    content = json.loads(path.read_text())
    assert content == {
        "schema": SCHEMA,
        "formula": "inverse",
        "pixel_counts": [90, 10],
        "classes": ["Clean", "Crack"],
        "class_weights": written,
    }
    assert load_class_weights(path, 2) == load_class_weights(str(path), 2) == written
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
    code = "import sys, mmseg_heritage.data.class_weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
