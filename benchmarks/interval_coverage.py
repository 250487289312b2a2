"""How often intervals hold the truth, and how often models that are equal are told apart.

    python benchmarks/interval_coverage.py    # half a minute; the numbers of docs/how-to/compare.md

Photographs are simulated: how often each of 15 classes occurs, how large it is and how well it is
found is of the order of ARTeFACT's, sizes are log-normal, and photographs of a class differ in how
hard they are. The truth is the score of 6,000 of them; test sets are drawn from these.
"""

from __future__ import annotations

import numpy as np

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS, percentiles, resample_groups
from mmseg_heritage.evaluation.comparing.significance import paired_p
from mmseg_heritage.evaluation.counts.levels import derived_levels
from mmseg_heritage.evaluation.means import all_means, class_ious, supported
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.taxonomy import ARTEFACT

POPULATION, TEST_SETS, PAIRS, RESAMPLES = 6000, 250, 800, 500
MEANS = ("mIoU", "supported_mIoU", "damage_IoU", "image_mIoU", "worst_decile_mIoU")
# Of the classes in the order of their ids, without Lightleak, the rarest.
OCCURS = (1, 0.45, 0.3, 0.05, 0.3, 0.06, 0.35, 0.12, 0.12, 0.3, 0.4, 0.1, 0.04, 0.15, 0.05)
COVERS = (1, 0.08, 0.05, 4e-3, 3e-3, 1e-3, 0.04, 0.01, 0.02, 6e-3, 0.06, 0.01, 0.02, 2e-3, 0.01)
FOUND = (0.97, 0.8, 0.67, 0.13, 0.31, 0.07, 0.42, 0.57, 0.57, 0.42, 0.57, 0.57, 0.67, 0.37, 0.13)


def simulated_photographs(number: int, generator: np.random.Generator) -> Counts:
    """Returns the counts of a model on photographs that are each a source group of their own."""
    classes = tuple(entry.name for entry in ARTEFACT.classes[: len(OCCURS)])
    side = len(classes)
    occurs = generator.random((number, side)) < np.array(OCCURS)
    shares = occurs * np.array(COVERS) * generator.lognormal(0, 0.8, (number, side))
    shares[:, 0] = np.maximum(0.3, 1 - shares[:, 1:].sum(axis=1))
    shares /= shares.sum(axis=1, keepdims=True)
    pixels = (shares * generator.lognormal(13, 0.4, (number, 1))).astype(np.int64)
    found = np.array(FOUND)
    hard = generator.normal(0, 0.9, (number, side))
    recall = 1 / (1 + np.exp(-np.log(found / (1 - found)) - hard))
    # What is missed is mostly called Clean, else another class that is there, or Dirt.
    confused = np.repeat(0.1 * occurs[:, None, :], side, axis=1)
    confused[..., 0], confused[..., 6] = 4, confused[..., 6] + 0.05
    confused[:, np.arange(side), np.arange(side)] = 0
    confused /= confused.sum(axis=2, keepdims=True)
    right = np.rint(recall * pixels).astype(np.int64)
    confusion = generator.multinomial(pixels - right, confused)
    confusion[:, np.arange(side), np.arange(side)] += right
    ids = tuple(f"{i:05d}" for i in range(number))
    return Counts(
        classes=classes,
        palette=np.array([entry.color for entry in ARTEFACT.classes[:side]], dtype=np.uint8),
        ids=ids,
        groups=ids,
        materials=("",) * number,
        contents=("",) * number,
        confusion=confusion,
        levels=derived_levels(classes),
    )


def coverage(population: Counts, images: int, generator: np.random.Generator) -> dict[str, float]:
    """Returns, in percent, how often 95 % intervals of test sets hold the truth."""
    truth = {k: v[0] for k, v in {**all_means(population), **class_ious(population)}.items()}
    held: dict[str, list[bool]] = {}
    for trial in range(TEST_SETS):
        chosen = np.sort(generator.choice(len(population.ids), images, replace=False))
        counts = population.select(chosen)
        resamples = resample_groups(counts.groups, RESAMPLES, seed=trial)
        ious = class_ious(counts, resamples)
        of_classes = [truth[f"IoU.{name}"] for name in counts.classes]
        over = np.array(of_classes)[supported(counts)].mean()
        expected = {**truth, "supported_mIoU": over}
        for key, values in all_means(counts, resamples).items():
            if key in MEANS:
                held.setdefault(key, []).append(_holds(values, expected[key]))
        for index, name in enumerate(counts.classes):
            groups = int((counts.confusion[:, index].sum(axis=1) > 0).sum())
            if groups >= MIN_GROUPS:
                size = "10-19" if groups < 20 else "20-39" if groups < 40 else "40 or more"
                values = _holds(ious[f"IoU.{name}"], truth[f"IoU.{name}"])
                held.setdefault(f"class in {size} groups", []).append(values)
    return {key: 100 * float(np.mean(values)) for key, values in sorted(held.items())}


def _holds(values: np.ndarray, truth: float) -> bool:
    low, high = percentiles(values)
    return low is not None and high is not None and low <= truth <= high


def false_alarms(groups: int, generator: np.random.Generator) -> float:
    """Returns, in percent, how often p is below 0.05 for two models that do not differ."""
    names = [str(i // 2) for i in range(2 * groups)]
    alarms = 0
    for trial in range(PAIRS):
        pixels = generator.integers(500, 5000, len(names))
        hard = np.repeat(generator.uniform(0.2, 0.8, groups), 2)
        resamples = resample_groups(names, RESAMPLES, seed=trial)
        recalls = []
        for _ in range(2):
            of_group = np.repeat(generator.normal(0, 0.08, groups), 2)
            recall = np.clip(hard + of_group + generator.normal(0, 0.02, len(names)), 0, 1)
            recalls.append(resamples.totals(recall * pixels) / resamples.totals(pixels))
        alarms += paired_p(recalls[1] - recalls[0]) < 0.05
    return 100 * alarms / PAIRS


def main() -> None:
    """Prints what was found."""
    generator = np.random.default_rng(0)
    population = simulated_photographs(POPULATION, generator)
    for images in (64, 150):
        found = coverage(population, images, generator)
        text = ", ".join(f"{key} {value:.0f}" for key, value in found.items())
        print(f"{images} images; intervals that hold the truth, percent: {text}")
    for groups in (10, 20, 40, 80):
        print(f"{groups} groups; p < 0.05 without a difference, percent: "
              f"{false_alarms(groups, generator):.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
