"""Training and testing on a data set of mmsegmentation itself."""

import pytest

from mmseg_heritage.apis import test as run_test
from mmseg_heritage.apis import train
from mmseg_heritage.dataprep.layout import read_folder
from mmseg_heritage.evaluation.summary import load_metrics
from mmseg_heritage.taxonomy import ARTEFACT

# ``_delete_`` puts this data set in the place of ours; its list of files is a text file.
CHILD = """
_base_ = [{base!r}]
__dataset = dict(
    _delete_=True, type='BaseSegDataset', data_root={root!r}, ann_file='list.txt',
    img_suffix='.png', seg_map_suffix='.png', reduce_zero_label=False,
    metainfo=dict(classes={classes!r}, palette={palette!r}),
    data_prefix=dict(img_path='images', seg_map_path='annotations'))
__load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_dataloader = dict(dataset=dict(
    **__dataset, pipeline=__load + _base_.train_dataloader.dataset.pipeline[2:]))
val_dataloader = test_dataloader = dict(dataset=dict(
    **__dataset, pipeline=__load + [_base_.test_pipeline[-1]]))
"""


@pytest.fixture
def config(tiny_config, copied_sample_set, tmp_path):
    ids = [sample.id for sample in read_folder(copied_sample_set)]
    (copied_sample_set / "list.txt").write_text("\n".join(ids))
    path = tmp_path / "other.py"
    palette = [list(color) for color in ARTEFACT.colors]
    path.write_text(
        CHILD.format(
            base=str(tiny_config),
            root=str(copied_sample_set),
            classes=ARTEFACT.names,
            palette=palette,
        )
    )
    return path


@pytest.mark.slow
def test_it_trains_and_tests_and_says_what_it_goes_without(config, tmp_path):
    folder = train(config, str(tmp_path / "run"), cfg_options={"max_iters": 2})
    [log] = folder.glob("*/*.log")
    lines = [line for line in log.read_text().splitlines() if "without: " in line]
    assert len(lines) == 2  # the split and checks; samples that are seeded
    assert "BaseSegDataset): no split by source object" in lines[0]
    scores = load_metrics(run_test(folder / "iter_2.pth"))
    assert scores["images"] == 12
    assert scores["run"]["split"] is None
    assert not (folder / "split.json").exists()


def test_a_resumed_run_needs_the_same_classes(tiny_run, tmp_path):
    child = tmp_path / "child.py"
    child.write_text(
        f"_base_ = [{str(tiny_run.config)!r}]\n"
        "__names = tuple(f'Class {i}' for i in range(16))\n"
        "train_dataloader = val_dataloader = test_dataloader = dict(\n"
        "    dataset=dict(metainfo=dict(classes=__names)))\n"
    )
    options = {"max_iters": 4}
    with pytest.raises(ValueError, match="trained on other classes") as caught:
        train(child, str(tmp_path / "run"), resume=str(tiny_run.checkpoint), cfg_options=options)
    assert "id 0: 'Clean' in the checkpoint, 'Class 0' in the data set" in str(caught.value)
