"""Configs on the pages build; docs/reference/models.md has the numbers of the models."""

import re
from pathlib import Path

import pytest

pytest.importorskip("mmseg")

from mmseg_heritage.runs.build import build_parts
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.config.variables import VARIABLES
from mmseg_heritage.runs.model_stats import CONVENTION, measure_model, measure_models
from mmseg_heritage.runs.model_tables import backbone_table, check_tables, config_table

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
MODELS = ROOT / "docs" / "reference" / "models.md"
TEXT = MODELS.read_text(encoding="utf-8")
HOW_TO = [ROOT / "docs" / "how-to" / f"{name}.md" for name in ("prepare-data", "write-config")]
HOW_TO.append(ROOT / "docs" / "transfer.md")
SNIPPETS = [
    snippet
    for path in (MODELS, *HOW_TO)
    for snippet in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
]


def table_below(heading):
    """Returns the rows of the first table below a heading, as lists of cells."""
    lines = TEXT.split(f"\n{heading}\n")[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return [[c.strip() for c in row.strip("|").split("|")] for row in lines[start:end]][2:]


def setting(cfg, variable):
    """Returns what a config has in the fields that a variable of --cfg-options stands for."""
    node, key = VARIABLES[variable].places(cfg)[0]
    return node[key]


def build_snippet(snippet, folder):
    path = folder / "snippet.py"
    path.write_text(re.sub(r"'(?:\./|(?=_base_/))", f"'{CONFIGS.as_posix()}/", snippet))
    cfg = load_config(path)
    return cfg, build_parts(cfg, ("train", "val", "test"))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_its_configs_build(number, tmp_path):
    build_snippet(SNIPPETS[number], tmp_path)


def snippet_below(heading):
    [found] = re.findall(r"```python\n(.*?)```", re.split(r"\n##+ ", TEXT.split(heading)[1])[0],
                         re.DOTALL)  # fmt: skip
    return found


@pytest.mark.slow
def test_five_lines_add_a_backbone(tmp_path):
    snippet = snippet_below("### Adding a backbone in five lines")
    lines = [line for line in snippet.splitlines() if line.strip() and line[0] != "#"]
    assert len(lines) <= 5
    _, model = build_snippet(snippet, tmp_path)
    assert model.backbone.model_name == "efficientnet_b3"
    assert model.backbone.pixel_mean == pytest.approx(model.data_preprocessor.mean.flatten())
    assert model.backbone.pixel_std == pytest.approx(model.data_preprocessor.std.flatten())


def test_its_tree_is_read_as_it_says(tmp_path):
    _, model = build_snippet(snippet_below("### Adding a tree of classes"), tmp_path)
    levels = model.decode_head.levels
    assert levels["damage"].classes == ("Sound", "Damaged")
    assert levels["kind"].classes == ("Carrier", "Surface", "Added")
    assert model.decode_head.level_weights == {"damage": 0.2, "kind": 0.3, "fine": 1.0}


def test_its_table_lists_every_config():
    rows = table_below("## Size of every config")
    assert [row[0].strip("`") for row in rows] == sorted(path.stem for path in CONFIGS.glob("*.py"))


@pytest.mark.parametrize(
    "name", ["quickstart_artefact", "unet_timm_artefact", "upernet_convnext-tiny_artefact-aux"]
)
def test_some_rows_are_those_of_the_models(name):
    stats = [measure_model(CONFIGS / f"{name}.py")]
    rendered = [" ".join(row.split()) for row in TEXT.splitlines()]
    for table in (config_table(stats), backbone_table(stats)):
        assert " ".join(table.splitlines()[-1].split()) in rendered


@pytest.mark.slow
def test_its_tables_are_those_of_the_models():
    check_tables(MODELS, measure_models(sorted(CONFIGS.glob("*.py"))))


@pytest.mark.slow
def test_the_width_of_upernet_costs_what_it_says():
    path = CONFIGS / "upernet_convnext-tiny_artefact.py"
    sentence = " ".join(TEXT.split("UPerNet's usual width")[1].split("here.")[0].split())
    for channels in (512, 256):
        stats = measure_model(path, options={"model.decode_head.channels": channels})
        parameters, flops = sum(stats.parameters.values()), sum(stats.flops.values())
        assert f"{parameters / 1e6:.1f} M" in sentence
        assert f"{flops / 1e9:.1f}" in sentence


def test_it_states_the_convention():
    assert "2 x the multiply-adds" in CONVENTION
    assert "FLOPs are twice the multiply-adds" in TEXT


def test_the_experiments_have_the_settings_that_it_says():
    rows = table_below("## Experiments of the predecessor")
    assert len(rows) == 10
    for _, config, size, batch, rate, schedule in rows:
        cfg = load_config(CONFIGS / f"{re.match('`([^`]+)`', config).group(1)}.py")
        assert (setting(cfg, "crop_size"), setting(cfg, "batch_size")) == (int(size), int(batch))
        assert setting(cfg, "lr") == pytest.approx(float(rate), rel=1e-3)
        assert f"{setting(cfg, 'max_epochs')} epochs" in schedule
        first = cfg.param_scheduler[0].type
        words = {"PerGroupOneCycleLR": "one cycle", "LinearLR": "warm-up 8"}
        assert schedule.startswith(words[first])


def test_the_curriculum_is_the_default_one():
    cfg = load_config(CONFIGS / "hierarchical_convnext-tiny_artefact-curriculum.py")
    rows = table_below("## Curriculum")
    for (end, *weights), stage in zip(rows, cfg.custom_hooks[0].stages, strict=True):
        assert float(end.removesuffix("%")) / 100 == pytest.approx(stage.end)
        assert [float(weight) for weight in weights] == list(stage.level_weights.values())


def test_the_default_level_weights_are_those_of_the_config():
    cfg = load_config(CONFIGS / "hierarchical_convnext-tiny_artefact.py")
    default = next(line for line in TEXT.splitlines() if line.startswith("| default | "))
    found = [float(cell) for cell in default.strip("| ").split("|")[1:]]
    assert found == list(setting(cfg, "level_weights").values())


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([\w-]+\.py)`", TEXT))), ids=lambda name: name
)
def test_base_files_that_it_names_exist(name):
    assert list((CONFIGS / "_base_").rglob(name))
