"""What drives a run: launch, mixed precision, checkpoints, hooks."""

from mmseg_heritage.engine import checkpoint, hooks, optim

checkpoint.register_safe_loader()

__all__ = ["checkpoint", "hooks", "optim"]
