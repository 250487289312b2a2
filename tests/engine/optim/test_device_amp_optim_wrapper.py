"""Mixed precision on the device at hand."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.engine.optim import device_amp_optim_wrapper
from mmseg_heritage.engine.optim.device_amp_optim_wrapper import DeviceAmpOptimWrapper
from mmseg_heritage.errors import InputError

cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")


def make(dtype: str = "float32", lr: float = 0.1, **kwargs):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return model, DeviceAmpOptimWrapper(dtype=dtype, optimizer=optimizer, **kwargs)


def step(model, wrapper, inputs):
    with wrapper.optim_context(model):
        output = model(inputs)
    wrapper.update_params(output.float().square().mean())
    return output


def test_configs_find_it_by_name():
    assert OPTIM_WRAPPERS.get("DeviceAmpOptimWrapper") is DeviceAmpOptimWrapper


@cpu_only
def test_bfloat16_on_a_cpu():
    model, wrapper = make("bfloat16")
    assert step(model, wrapper, torch.randn(8, 4)).dtype is torch.bfloat16
    assert model.weight.dtype is torch.float32
    assert torch.isfinite(model.weight).all()


@cpu_only
def test_float32_steps_exactly_as_the_plain_wrapper():
    model, wrapper = make("float32", clip_grad={"max_norm": 0.1})
    torch.manual_seed(0)
    reference = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9)
    plain = OptimWrapper(optimizer, clip_grad={"max_norm": 0.1})
    for seed in range(3):
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))
        assert step(model, wrapper, inputs).dtype is torch.float32
        step(reference, plain, inputs)
    assert torch.equal(model.weight, reference.weight)
    assert not torch.equal(model.weight, make()[0].weight)


@cpu_only
def test_accumulation_steps_once_for_all_batches():
    batches = torch.randn(4, 8, 4)
    model, wrapper = make("float32", accumulative_counts=4)
    wrapper.initialize_count_status(model, 0, 4)
    start = model.weight.detach().clone()
    for i, batch in enumerate(batches):
        step(model, wrapper, batch)
        assert torch.equal(model.weight, start) == (i < 3)
    reference, plain = make("float32")
    step(reference, plain, batches.reshape(-1, 4))
    torch.testing.assert_close(model.weight, reference.weight)


@cpu_only
def test_float16_needs_a_gpu():
    with pytest.raises(InputError, match=r"float16 needs a CUDA device; use dtype='auto'"):
        make("float16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"dtype": "half"}, "dtype must be"), ({"loss_scale": "512"}, "loss_scale must be")],
)
def test_unknown_values_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        make(**arguments)


@cpu_only
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_state_makes_a_round_trip(dtype):
    model, wrapper = make(dtype)
    step(model, wrapper, torch.randn(8, 4))
    state = wrapper.state_dict()
    _, other = make(dtype, lr=0.5)
    other.load_state_dict(state)
    assert other.get_lr() == wrapper.get_lr()
    before = wrapper.optimizer.state_dict()["state"][0]["momentum_buffer"]
    assert torch.equal(other.optimizer.state_dict()["state"][0]["momentum_buffer"], before)
    assert "loss_scaler" in state  # what was given is left as it was


@cpu_only
def test_a_run_in_bfloat16_can_go_on_with_loss_scaling():
    _, wrapper = make("bfloat16")
    state = wrapper.state_dict()
    _, other = make("float32")

    class Scaler:
        def load_state_dict(self, state):
            if not state:
                raise RuntimeError("The source state dict is empty")  # as torch's does

    other.loss_scaler = Scaler()
    other.load_state_dict(state)


@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="scaling on a CPU: torch 2.3")
@pytest.mark.parametrize("clip", [None, {"max_norm": 1.0}])
def test_steps_with_overflowing_gradients_are_skipped_and_counted(clip):
    model, wrapper = make("float32", clip_grad=clip)
    wrapper.loss_scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    skipped = 0
    for i, value in enumerate((1.0, float("inf"), 1.0, float("nan"), 2.0)):
        before = model.weight.detach().clone()
        step(model, wrapper, torch.full((2, 4), value))
        skipped += i in (1, 3)
        assert torch.equal(model.weight, before) == (i in (1, 3))
        assert wrapper.skipped_steps == skipped
    _, other = make("float32")
    other.loss_scaler = torch.amp.GradScaler("cpu")
    other.load_state_dict(wrapper.state_dict())
    assert other.skipped_steps == 2


@cpu_only
def test_gradients_that_wait_for_their_step_are_part_of_the_state():
    batches = torch.randn(3, 8, 4)
    model, wrapper = make("float32", accumulative_counts=3)
    wrapper.initialize_count_status(model, 0, 3)
    for batch in batches[:2]:
        step(model, wrapper, batch)
    other, resumed = make("float32", accumulative_counts=3)
    resumed.load_state_dict(wrapper.state_dict())
    resumed.initialize_count_status(other, 2, 3)
    for one, its_wrapper in ((model, wrapper), (other, resumed)):
        step(one, its_wrapper, batches[2])
        assert "gradients" not in its_wrapper.state_dict()
    assert torch.equal(model.weight, other.weight)


@cpu_only
def test_the_choice_is_logged_once_for_a_run(monkeypatch):
    messages = []
    monkeypatch.setattr(
        device_amp_optim_wrapper, "print_log", lambda message, **_: messages.append(message)
    )
    model, wrapper = make("bfloat16")
    wrapper.initialize_count_status(model, 0, 9)
    for _ in range(3):
        step(model, wrapper, torch.randn(8, 4))
    assert messages == ["the model computes in bfloat16 on cpu"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_on_a_gpu(dtype):
    model, wrapper = make(dtype)
    model.cuda()
    output = step(model, wrapper, torch.randn(8, 4, device="cuda"))
    assert output.dtype is getattr(torch, dtype)
    assert bool(wrapper.loss_scaler.is_enabled()) == (dtype == "float16")
