"""Importing this module registers everything of the package into mmsegmentation's registries.

In a config: ``custom_imports = dict(imports=['mmseg_heritage.plugin'], allow_failed_imports=False)``.
"""

from importlib.util import find_spec

if find_spec("mmseg") is None:
    raise ImportError(
        "mmseg_heritage is a plugin of mmsegmentation, which is not installed. Install one of\n"
        '  pip install "mmseg_heritage[official]"   (the OpenMMLab releases)\n'
        '  pip install "mmseg_heritage[onedl]"      (the maintained forks)\n'
        "and not both: they share their module names."
    )

from mmseg_heritage import compat

compat.stub_missing_mmcv_ops()  # before mmseg.models, which imports mmcv.ops

from mmseg_heritage import datasets, engine, evaluation, models  # noqa: E402  registration

__all__ = ["datasets", "engine", "evaluation", "models"]
