"""What belongs to the caller stays as it was, whatever the model does while it is counted."""

from __future__ import annotations

import random
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as global_hooks
from torch.nn.utils import prune, weight_norm

from analysis.undisturbed import Held, fresh, hooks_apart, modules_of, undisturbed


class Holder(nn.Module):
    """Holds one thing, and does something with it in each forward pass."""

    def __init__(self, thing, change):
        super().__init__()
        self.thing, self.change = thing, change

    def forward(self, x):
        self.change(self)
        return x


@dataclass
class Membrane:
    volts: float = 0.0
    past: list = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    steps: int = 0


class Node:
    """Refers to itself."""

    def __init__(self):
        self.me, self.n = self, 0


class Locked:
    def __init__(self):
        self.lock, self.n = threading.Lock(), 0


def set_attribute(name, value):
    return lambda holder: setattr(holder, name, value)


# What is held, what a pass does to it, and how to see it.
CHANGES = {
    "a number": (0, lambda h: setattr(h, "thing", h.thing + 1), lambda h: h.thing),
    "a list": ([1], lambda h: h.thing.append(2), lambda h: list(h.thing)),
    "an empty list": ([], lambda h: h.thing.append(2), lambda h: list(h.thing)),
    "a list in a list": ([[1]], lambda h: h.thing[0].append(2), lambda h: str(h.thing)),
    "a dictionary": ({"v": 1}, lambda h: h.thing.update(v=2, w=3), lambda h: str(h.thing)),
    "the order of a dictionary": (
        OrderedDict(a=1, b=2), lambda h: h.thing.move_to_end("a"), lambda h: str(h.thing)
    ),
    "a dictionary with defaults": (
        defaultdict(list), lambda h: h.thing["a"].append(1), lambda h: str(h.thing)
    ),
    "a counter": (Counter("aab"), lambda h: h.thing.update("a"), lambda h: str(h.thing)),
    "a set": ({1}, lambda h: h.thing.add(2), lambda h: set(h.thing)),
    "a queue": (deque([1, 2], maxlen=2), lambda h: h.thing.append(3), lambda h: list(h.thing)),
    "a tensor": (torch.zeros(2), lambda h: h.thing.add_(1), lambda h: h.thing.tolist()),
    "a tensor's data": (
        torch.zeros(2), lambda h: h.thing.data.add_(1), lambda h: h.thing.tolist()
    ),
    "the memory of a tensor": (
        torch.zeros(2), lambda h: setattr(h.thing, "data", torch.ones(3)),
        lambda h: h.thing.tolist(),
    ),
    "the size of a tensor": (
        torch.ones(2), lambda h: h.thing.resize_(4).zero_(), lambda h: h.thing.tolist()
    ),
    "an expanded tensor": (
        torch.zeros(1).expand(3), lambda h: h.thing[0].add_(1), lambda h: h.thing.tolist()
    ),
    "a tensor in a dictionary": (
        {"v": torch.zeros(2)}, lambda h: h.thing["v"].add_(1), lambda h: str(h.thing)
    ),
    "an array": (np.zeros(2), lambda h: h.thing.__iadd__(1), lambda h: h.thing.tolist()),
    "an object": (Membrane(), lambda h: setattr(h.thing, "volts", 1.0), lambda h: str(h.thing)),
    "a list in an object": (
        Membrane(), lambda h: h.thing.past.append(1), lambda h: str(h.thing)
    ),
    "an object with slots": (
        Slotted(), lambda h: setattr(h.thing, "steps", 1), lambda h: str(h.thing)
    ),
    "an object that refers to itself": (
        Node(), lambda h: setattr(h.thing, "n", 1), lambda h: h.thing.n
    ),
    "a layer in a plain list": (
        [nn.BatchNorm1d(1)],
        lambda h: h.thing[0].running_mean.add_(1),
        lambda h: h.thing[0].running_mean.tolist(),
    ),
    "random numbers of Python": (
        random.Random(0), lambda h: h.thing.random(), lambda h: str(h.thing.getstate())  # noqa: S311
    ),
    "random numbers of NumPy": (
        np.random.default_rng(0), lambda h: h.thing.random(),
        lambda h: str(h.thing.bit_generator.state),
    ),
    "random numbers of torch": (
        torch.Generator(), lambda h: torch.rand(1, generator=h.thing),
        lambda h: h.thing.get_state().tolist(),
    ),
    "what was not there": (0, set_attribute("more", 1), lambda h: hasattr(h, "more")),
    "what is deleted": (0, lambda h: delattr(h, "thing"), lambda h: hasattr(h, "thing")),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_a_pass_leaves_nothing_behind(kind):
    thing, change, look = CHANGES[kind]
    model = nn.Sequential(Holder(thing, change))
    before = look(model[0])
    for _ in range(2):
        with fresh(model):
            model(torch.ones(1))
            assert look(model[0]) != before
        assert look(model[0]) == before
        assert model[0].thing is thing


def test_a_pass_that_fails_leaves_nothing_behind():
    def fail(holder):
        holder.thing.append(1)
        raise RuntimeError("in the middle")

    model = Holder([], fail)
    with pytest.raises(RuntimeError, match="middle"), fresh(model):
        model(torch.ones(1))
    assert model.thing == []


def test_each_pass_starts_from_the_state_the_caller_left_and_a_reset():
    model = Holder([3, 4], lambda h: h.thing.append(5))
    seen = []
    with fresh(model, [lambda: model.thing.pop()]):
        seen += model.thing
        model(torch.ones(1))
    assert (seen, model.thing) == ([3], [3, 4])


def test_buffers_keep_identity_and_every_bit():
    model = nn.BatchNorm1d(3)
    model.running_mean.copy_(torch.tensor([float("nan"), -0.0, 1.5]))
    buffer, bits = model.running_mean, model.running_mean.view(torch.int32).tolist()
    with fresh(model):
        model.train()(torch.rand(4, 3))
        buffer[1] = 0.0
        model.register_buffer("more", torch.ones(1))
        model.running_var = torch.zeros(3)
    assert model.running_mean is buffer
    assert buffer.view(torch.int32).tolist() == bits
    assert list(model.state_dict()) == [
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked"
    ]  # fmt: skip
    assert model.running_var.tolist() == [1, 1, 1]


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_buffers_of_a_scripted_model_keep_their_values():
    model = torch.jit.script(nn.Sequential(nn.BatchNorm1d(3)))
    with fresh(model), hooks_apart(model, lambda: None, lambda _: None):
        model(torch.rand(4, 3))
    values = {name: value.tolist() for name, value in model.named_buffers()}
    assert values["0.running_mean"] == [0, 0, 0]
    assert values["0.num_batches_tracked"] == 0


def test_a_buffer_that_did_not_change_is_not_written_to():
    model = nn.BatchNorm1d(3).eval()
    version = model.running_mean._version
    with fresh(model):
        model(torch.rand(4, 3))
    assert model.running_mean._version == version


def test_what_holds_a_lock_is_in_use_elsewhere_and_left_alone():
    model = Holder(Locked(), lambda h: setattr(h.thing, "n", 1))
    with fresh(model):
        model(torch.ones(1))
    assert model.thing.n == 1


def test_a_lazy_layer_stays_what_it_became():
    model = nn.Sequential(nn.LazyLinear(3))
    with fresh(model):
        model(torch.ones(2, 4))
    assert type(model[0]) is nn.Linear
    assert model(torch.ones(2, 4)).shape == (2, 3)


def test_layers_in_plain_lists_and_dictionaries_are_modules_of_the_model():
    inner, other, child = nn.Linear(1, 1), nn.ReLU(), nn.Tanh()
    model = nn.Sequential(child)
    model.plain = {"a": [inner, nn.Sequential(other)], "b": None}
    found = modules_of(model)
    assert found[:2] == [model, child]
    assert {inner, other} <= set(found)


class Merging(nn.Linear):
    """A low-rank adapter, which is part of the weights in evaluation mode."""

    def __init__(self):
        super().__init__(6, 6, bias=False)
        self.low = nn.Parameter(torch.randn(2, 6))
        self.high = nn.Parameter(torch.randn(6, 2))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if mode == self.merged:
            self.weight.data += (-1 if mode else 1) * (self.high @ self.low)
            self.merged = not mode
        return self


def test_modes_go_back_through_train_and_weights_to_the_bit():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(), nn.Sequential(Merging()), Merging().eval())
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    assert modes == [True, True, False, False, False]
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        assert model[1][0].merged
    assert [module.training for module in model.modules()] == modes
    assert model[1][0].merged
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_layer_that_merges_is_apart_again_where_it_was():
    torch.manual_seed(1)
    model = nn.Sequential(Merging()).train()
    before = model[0].weight.clone()
    with undisturbed(model):
        assert not torch.equal(model[0].weight, before)
    assert not model[0].merged
    assert torch.equal(model[0].weight, before)


def test_a_layer_that_refuses_a_mode_has_its_flag_again():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    model = nn.Sequential(Frozen(1))
    assert (model.training, model[0].training) == (True, True)
    with undisturbed(model):
        assert not model[0].training
    assert (model.training, model[0].training) == (True, True)


def test_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Dropout())
    with pytest.raises(KeyError), undisturbed(model):
        raise KeyError
    assert model[0].training
    assert torch.is_grad_enabled()


def test_random_numbers_are_those_of_a_program_that_counted_nothing():
    def seed():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)

    def draw():
        return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002, S311

    model = nn.Linear(1, 1)
    seed()
    expected = draw()
    seed()
    with undisturbed(model):
        draw()
    assert draw() == expected


@pytest.mark.parametrize("inside", [undisturbed, fresh])
def test_global_settings_are_as_before(inside):
    def settings():
        return (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = settings()
    with inside(nn.Linear(1, 1)):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.backends.mha.set_fastpath_enabled(False)
        torch.use_deterministic_algorithms(True)
    assert settings() == before


def test_gradients_that_a_model_switches_on_are_off_again_in_the_next_pass():
    model = Holder(0, lambda _: torch.set_grad_enabled(True))
    with undisturbed(model):
        for _ in range(2):
            with fresh(model):
                assert not torch.is_grad_enabled()
                model(torch.ones(1))


def test_mixed_precision_of_the_caller_still_gives_gradients():
    layer = nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        with undisturbed(layer):
            assert layer(torch.ones(1, 2)).dtype is torch.bfloat16
        layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None


def counted(model, x):
    """What was counted by the layers: their calls, without those inside hooks."""
    log = []

    def rewind(length):
        del log[length:]

    with hooks_apart(model, lambda: len(log), rewind):
        handle = global_hooks.register_module_forward_hook(
            lambda module, _inputs, _output: log.append(type(module).__name__)
        )
        try:
            output = model(x)
        finally:
            handle.remove()
    return log, output


def test_what_only_looks_on_is_not_counted():
    probe, ran = nn.ReLU(), []
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    model[0].register_forward_hook(lambda _m, _i, output: ran.append(probe(output)) or None)
    model[1].register_forward_pre_hook(lambda _m, inputs: ran.append(probe(inputs[0])) or None)
    assert counted(model, torch.ones(1, 2))[0] == ["Linear", "Tanh", "Sequential"]
    assert len(ran) == 2


def test_a_hook_that_gives_something_back_is_part_of_the_model():
    probe = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda _m, _i, output: probe(output) + 1)
    log, output = counted(model, torch.ones(1, 2))
    assert log == ["ReLU", "Linear", "Sequential"] or log == ["Linear", "ReLU", "Sequential"]
    assert (output >= 1).all()


def test_hooks_with_keywords_and_those_always_called_work_as_usual():
    seen = []
    model = nn.Linear(2, 2)
    model.register_forward_pre_hook(lambda _m, _a, kw: seen.append(list(kw)), with_kwargs=True)
    model.register_forward_hook(
        lambda _m, _a, kw, _o: seen.append(list(kw)), with_kwargs=True, always_call=True
    )
    with hooks_apart(model, lambda: None, lambda _: None):
        model(input=torch.ones(1, 2))
        with pytest.raises(RuntimeError):
            model(input=torch.ones(1, 3))
    assert seen == [["input"]] * 4


def test_hooks_are_the_same_in_the_same_order_afterwards():
    model = nn.Sequential(nn.Linear(1, 1))
    hooks = [lambda *_: None for _ in range(3)]
    handles = [model[0].register_forward_hook(hook, prepend=True) for hook in hooks]
    anywhere = global_hooks.register_module_forward_hook(hooks[0])
    inside, everywhere = model[0]._forward_hooks, dict(global_hooks._global_forward_hooks)
    try:
        with hooks_apart(model, lambda: None, lambda _: None):
            assert list(inside.values()) != hooks[::-1]
        with pytest.raises(KeyError), hooks_apart(model, lambda: None, lambda _: None):
            raise KeyError
        assert dict(global_hooks._global_forward_hooks) == everywhere
    finally:
        anywhere.remove()
    assert model[0]._forward_hooks is inside
    assert list(inside.values()) == hooks[::-1]
    for handle in handles:
        handle.remove()
    assert not inside


def test_a_hook_that_removes_itself_is_gone_afterwards():
    model, seen = nn.Linear(1, 1), []
    handle = model.register_forward_hook(lambda *_: (seen.append(1), handle.remove())[1])
    with hooks_apart(model, lambda: None, lambda _: None):
        model(torch.ones(1, 1))
        model(torch.ones(1, 1))
    assert (seen, len(model._forward_hooks)) == ([1], 0)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "parametrized", [weight_norm, lambda layer: prune.l1_unstructured(layer, "weight", 0.5)]
)
def test_weights_that_a_hook_makes_are_still_made(parametrized):
    torch.manual_seed(0)
    model = nn.Sequential(parametrized(nn.Linear(4, 3)))
    expected, weight = model(torch.ones(1, 4)), model[0].weight
    with undisturbed(model), fresh(model):
        model[0].weight = torch.zeros(3, 4)  # so that only the hook can bring it
        log, output = counted(model, torch.ones(1, 4))
    assert torch.equal(output, expected)
    assert log == ["Linear", "Sequential"]
    assert model[0].weight is weight


def test_a_snapshot_can_be_put_back_more_than_once():
    model = Holder([1], lambda h: h.thing.append(2))
    held = Held(model)
    for _ in range(2):
        model(torch.ones(1))
        held.put_back()
        assert model.thing == [1]
