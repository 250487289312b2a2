"""Mixed precision that fits the device it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.precision import dtype_of


@OPTIM_WRAPPERS.register_module()
class DeviceAmpOptimWrapper(AmpOptimWrapper):
    """Automatic mixed precision on CUDA and on CPU.

    mmengine's :class:`AmpOptimWrapper` refuses to start without an accelerator and uses
    ``torch.cuda.amp``, which torch has deprecated. Gradient accumulation and clipping are
    inherited; gradients that wait for their step are part of the state, so that a run of one
    process can be resumed between them.

    Args:
        dtype: 'auto' (see :func:`mmseg_heritage.utils.precision.automatic_dtype`), 'bfloat16',
            'float16' (CUDA only, with loss
            scaling) or 'float32' (no mixed precision).
        loss_scale: 'dynamic', a number, or arguments of ``GradScaler``. Only float16 is scaled.
        **kwargs: See :class:`mmengine.optim.OptimWrapper`.

    Raises:
        InputError: If the dtype or the loss scale is unknown, or the dtype is float16 on a CPU.
    """

    def __init__(
        self,
        dtype: str = "auto",
        loss_scale: str | float | dict[str, Any] = "dynamic",
        **kwargs: Any,
    ) -> None:
        OptimWrapper.__init__(self, **kwargs)  # not AmpOptimWrapper's, which asserts on a GPU
        self.device_type = "cuda" if torch.cuda.is_available() else "cpu"
        self.cast_dtype = dtype_of(dtype, self.device_type)
        if isinstance(loss_scale, str) and loss_scale != "dynamic":
            raise InputError(
                f"loss_scale must be 'dynamic', a number or a dict, found '{loss_scale}'"
            )
        self._scale_update_param = loss_scale if isinstance(loss_scale, (int, float)) else None
        scaler_args: dict[str, Any] = dict(loss_scale) if isinstance(loss_scale, dict) else {}
        if self._scale_update_param is not None:
            scaler_args["init_scale"] = float(self._scale_update_param)
        self._skipped: int | torch.Tensor = 0
        # A disabled scaler passes losses through, so that the inherited steps serve every dtype.
        self.loss_scaler = _grad_scaler(
            self.device_type, enabled=self.cast_dtype is torch.float16, **scaler_args
        )

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Runs the forward pass in mixed precision."""
        # Not autocast(enabled=False): on CPU torch 2.1 refuses float32 even there.
        autocast: AbstractContextManager[Any] = (
            nullcontext()
            if self.cast_dtype is torch.float32
            else torch.autocast(self.device_type, dtype=self.cast_dtype)
        )
        with OptimWrapper.optim_context(self, model), autocast:
            yield

    @property
    def skipped_steps(self) -> int:
        """Steps left out so far because gradients overflowed; reading it waits for the device."""
        return int(self._skipped)

    def initialize_count_status(
        self, model: torch.nn.Module, init_counts: int, max_counts: int
    ) -> None:
        """Prepares counting the batches of accumulation, and logs the dtype once for the run."""
        super().initialize_count_status(model, init_counts, max_counts)
        scaling = " with loss scaling" if self.cast_dtype is torch.float16 else ""
        name = str(self.cast_dtype).removeprefix("torch.")
        print_log(f"the model computes in {name}{scaling} on {self.device_type}", logger="current")

    def step(self, **kwargs: Any) -> None:
        """Steps the optimizer, unless gradients overflowed, and counts where they did."""
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        if self.loss_scaler.is_enabled():
            # Added up on the device: asking for the number would wait for it at every step.
            found = self.loss_scaler._found_inf_per_device(self.optimizer).values()
            self._skipped = self._skipped + torch.stack([f.detach() for f in found]).amax()
        self.loss_scaler.update(self._scale_update_param)

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of optimizer, loss scale and accumulation."""
        state = super().state_dict()
        state["skipped_steps"] = self.skipped_steps
        if self._inner_count % self._accumulative_counts and get_world_size() == 1:
            state["gradients"] = [parameter.grad for parameter in self._parameters()]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads the optimizer, waiting gradients and, where both runs scale losses, the scale.

        A run that does not scale (bfloat16, float32) saves an empty loss scale, which a GradScaler
        refuses: a run that goes on in float16 starts with its own.
        """
        state_dict = dict(state_dict)
        self._skipped = state_dict.pop("skipped_steps", 0)
        gradients = state_dict.pop("gradients", [])
        for parameter, gradient in zip(self._parameters(), gradients, strict=False):
            parameter.grad = None if gradient is None else gradient.to(parameter, copy=True)
        if not state_dict.get("loss_scaler"):
            state_dict.pop("loss_scaler", None)
        super().load_state_dict(state_dict)

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.param_groups for p in group["params"]]


def _grad_scaler(device_type: str, **kwargs: Any) -> Any:
    """Returns a GradScaler; ``torch.amp.GradScaler`` exists from torch 2.3 on."""
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device_type, **kwargs)
    return torch.cuda.amp.GradScaler(**kwargs)
