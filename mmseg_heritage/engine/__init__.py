"""What drives a run: launch, mixed precision, checkpoints, hooks."""

from mmseg_heritage.engine import checkpoint, csv_vis_backend, hooks, loops, optim

checkpoint.register_safe_loader()

__all__ = ["checkpoint", "csv_vis_backend", "hooks", "loops", "optim"]
