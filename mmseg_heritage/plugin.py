"""Importing this module registers everything of the package into mmsegmentation's registries.

In a config::

    custom_imports = dict(imports=['mmseg_heritage.plugin'], allow_failed_imports=False)
"""

import warnings
from importlib.util import find_spec

_missing = [name for name in ("mmengine", "mmcv", "mmseg") if find_spec(name) is None]
if _missing:
    raise ImportError(
        "mmseg_heritage is a plugin of mmsegmentation; not installed here: "
        f"{', '.join(_missing)}. Install one of\n"
        '  pip install "mmseg_heritage[official]"   (the OpenMMLab releases)\n'
        '  pip install "mmseg_heritage[onedl]"      (the maintained forks)\n'
        "and not both: they share their module names."
    )

with warnings.catch_warnings():  # of the forks' mmcv; nothing here needs the op
    warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformableAttention")
    from mmseg_heritage import datasets, domains, engine, models  # registration
    from mmseg_heritage.inference import window_inference
from mmseg_heritage.compat import fix_checkpoint_loading  # noqa: E402
from mmseg_heritage.evaluation import metric  # noqa: E402  registration

fix_checkpoint_loading()

__all__ = ["datasets", "domains", "engine", "metric", "models", "window_inference"]
