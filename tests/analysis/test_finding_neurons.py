"""Which modules are neurons, and which of the tensors they give out are the spikes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.modules import module as global_hooks

from analysis import frameworks as frameworks_file
from analysis.counting.neurons import Neurons, OperandReader
from analysis.errors import InputError
from analysis.frameworks import Framework, register_framework

X = torch.tensor([[0.2, 0.4, 0.6, 1.0]])  # three values above 0.3


@dataclass
class Call:
    module: nn.Module
    name: str
    call: int


class Watch:
    """Calls `Neurons` as a count of a model does; keeps the layers found as {name: spikes}."""

    def __init__(self, model, *named, **options):
        self.model, self.neurons = model, Neurons(model, named, **options)
        self.reader = OperandReader()
        self.log = {}  # (name, call) -> (spikes, cells)
        self.calls, self.open, self.spikes = {}, [], set()
        self.names = {module: name for name, module in model.named_modules()}

    def run(self, *args):
        enter = global_hooks.register_module_forward_pre_hook(self.enter)
        leave = global_hooks.register_module_forward_hook(self.leave)
        self.neurons.begin()
        try:
            with torch.no_grad():
                self.model(*args)
        finally:
            enter.remove()
            leave.remove()
            self.spikes.clear()
            self.reader.forget()
        return self

    def enter(self, module, _inputs):
        name = self.names[module]
        self.calls[name] = self.calls.get(name, -1) + 1
        self.open.append(Call(module, name, self.calls[name]))
        self.neurons.entering(self.open[-1])

    def leave(self, _module, inputs, output):
        call = self.open.pop()
        if any(self.neurons.is_neuron(outer.module) for outer in self.open):
            return
        found = self.neurons.leaving(
            call, inputs, output, self.reader, lambda x: x.data_ptr() in self.spikes
        )
        if found is None:
            return
        for key in found.replaces:
            del self.log[key]
        self.log[call.name, call.call] = (int(found.spikes.sum()), found.spikes.numel())
        if self.neurons.emits_spikes(call):
            self.spikes.add(found.spikes.data_ptr())

    @property
    def found(self):
        dropped, layers = self.neurons.no_neurons(), {}
        for (name, _), (spikes, cells) in self.log.items():
            if name not in dropped:
                before = layers.get(name, (0, 0))
                layers[name] = (before[0] + spikes, before[1] + cells)
        return layers


class Fire(nn.Module):
    """The surrogate function, in the forward pass a threshold."""

    def forward(self, x):
        return (x > 0.3).to(x.dtype)


class LIF(nn.Module):
    """A hand-written neuron with a membrane and a function that fires."""

    def __init__(self, fire=None):
        super().__init__()
        self.fire = fire or Fire()
        self.decay = nn.Parameter(torch.tensor(0.5))
        self.v = None

    def forward(self, x):
        self.v = x if self.v is None else self.v * self.decay + x
        spikes = self.fire(self.v)
        self.v = self.v * (1 - spikes)
        return spikes


class Block(nn.Module):
    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


def same():
    """A layer with weights that makes 0.9 of a spike."""
    layer = nn.Linear(4, 4, bias=False)
    layer.weight.data = 0.9 * torch.eye(4)
    return layer


def test_a_function_that_fires_is_a_neuron():
    assert Watch(nn.Sequential(same(), Fire())).run(X).found == {"1": (3, 4)}


def test_a_hand_written_neuron_is_one_not_the_function_inside():
    watch = Watch(nn.Sequential(same(), LIF(), same())).run(X)
    assert watch.found == {"1": (3, 4)}
    assert watch.neurons.source("1") == "behaviour"


def test_neurons_that_share_a_function_are_layers_of_their_own():
    fire = Fire()
    model = nn.Sequential(same(), LIF(fire), same(), LIF(fire), same(), LIF(fire))
    assert Watch(model).run(X).found == {"1": (3, 4), "3": (3, 4), "5": (3, 4)}


def test_a_function_shared_between_layers_is_one_neuron_layer_that_runs_often():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.fire = same(), same(), Fire()

        def forward(self, x):
            return self.b(self.fire(self.a(self.fire(self.a(x)) * 0.7)))

    assert Watch(Shared()).run(X).found == {"fire": (6, 8)}


@pytest.mark.parametrize(
    "make", [nn.Sequential, lambda *layers: Block(conv=layers[0], lif=layers[1])]
)
@pytest.mark.parametrize("lif", [Fire, LIF])
def test_the_neuron_is_found_not_the_block_it_is_in(make, lif):
    block = make(same(), lif())
    model = nn.Sequential(block, same())
    found = Watch(model).run(X).found
    assert list(found.values()) == [(3, 4)]
    assert list(found) in (["0.1"], ["0.lif"])


def test_a_silent_neuron_is_not_counted_with_its_block_either():
    model = nn.Sequential(Block(conv=same(), lif=LIF()), same(), Fire())
    watch = Watch(model)
    watch.run(0 * X)
    assert list(watch.found) == []
    model[0].lif.v = None
    assert watch.run(X).found == {"0.lif": (3, 8), "2": (3, 8)}


def test_a_neuron_that_walks_over_the_steps_is_one_layer():
    class Walking(LIF):
        def forward(self, x):
            return torch.stack([super(Walking, self).forward(step) for step in x])

    fire = Fire()
    watch = Watch(nn.Sequential(Walking(fire), same(), Walking(fire)))
    watch.run(torch.stack([X, 0 * X]))
    assert watch.found["0"] == (3, 8)  # 0.2 is left, which decays


def test_a_matrix_inside_makes_a_module_more_than_a_neuron():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.fire = nn.Parameter(torch.eye(4)), Fire()

        def forward(self, x):
            return self.fire(x @ self.weight)

    assert list(Watch(nn.Sequential(Layer())).run(X).found) == ["0.fire"]


def test_two_functions_in_one_module_are_two_layers():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = Fire(), Fire()

        def forward(self, x):
            return torch.cat([self.one(x), self.other(x / 2)])

    assert Watch(nn.Sequential(Both())).run(X).found == {"0.one": (3, 4), "0.other": (1, 4)}


def test_a_layer_that_never_fires_is_a_neuron_if_another_of_its_class_is():
    class Zeros(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    model = nn.Sequential(LIF(), Zeros(), nn.Linear(4, 4), LIF())
    model[2].weight.data.zero_()
    model[2].bias.data.fill_(0.1)
    assert Watch(model).run(X).found == {"0": (3, 4), "3": (0, 4)}


def test_a_layer_that_once_gives_out_something_else_is_none():
    class Rectified(nn.Module):
        def forward(self, x):
            return x.relu()

    watch = Watch(nn.Sequential(Rectified()))
    watch.run(torch.tensor([[1.0, -0.5]]))
    assert watch.found == {"0": (1, 2)}
    assert watch.run(X).found == {}


def test_what_passes_spikes_on_is_no_neuron():
    class Flat(nn.Module):
        def forward(self, x):
            return x.flatten(1) + 0

    events = (X > 0.3).float()
    assert Watch(nn.Sequential(Flat(), nn.Identity(), nn.Flatten())).run(events).found == {}
    assert Watch(nn.Sequential(Fire(), Flat(), nn.Dropout(), Block(a=nn.Identity()))).run(
        X
    ).found == {"0": (3, 4)}


def test_a_neuron_of_events_is_known_by_its_class_from_the_first_batch():
    class Double(nn.Module):  # fires where two events fell
        def forward(self, x):
            return (x + x.roll(1, 1) > 1.5).float()

    model = nn.Sequential(Double(), nn.Linear(4, 4, bias=False), Double())
    model[1].weight.data.fill_(0.9)
    watch = Watch(model)
    watch.run(torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    assert watch.found == {"0": (1, 4), "2": (4, 4)}


def test_nothing_is_looked_for_where_that_is_switched_off():
    assert Watch(nn.Sequential(Fire()), by_behaviour=False).run(X).found == {}


class Giving(nn.Module):
    """Gives out what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def fires(x):
    return (x > 0.3).to(x.dtype)


SEVERAL = {
    "the membrane first": (lambda x: (x, fires(x)), 3),
    "spikes first": (lambda x: (fires(x), x), 3),
    "a dictionary": (lambda x: {"v": x, "s": fires(x)}, 3),
    "a membrane of zeros": (lambda x: (0 * x, fires(x)), 3),
    "spikes of another size": (lambda x: (x, 2 * fires(x)), 6),
    "spikes of both signs": (lambda x: (x, fires(x) - (x < 0.3).to(x.dtype)), 2),
    "no spikes yet": (lambda x: (x, 0 * x), 0),
    "numbers of spikes": (lambda x: (x, (x * 5).floor()), 1 + 2 + 3 + 5),
    "a loss beside them": (lambda x: (torch.tensor(0.0), x, fires(x)), 3),
    "truth values": (lambda x: (x, x > 0.3), 3),
    "a single tensor": (lambda x: x, None),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_the_spikes_of_a_named_neuron_are_told_by_their_values(kind):
    function, spikes = SEVERAL[kind]
    watch = Watch(nn.Sequential(Giving(function)), Giving).run(X)
    assert watch.neurons.source("0") == "known"
    if spikes is not None:
        assert watch.found == {"0": (spikes, 4)}
    else:
        assert list(watch.found) == ["0"]


def test_spikes_stay_in_their_place_when_they_are_silent():
    function = iter([lambda x: (x, fires(x)), lambda x: (0 * x, 0 * x[:, :2])])
    watch = Watch(nn.Sequential(Giving(lambda x: next(function)(x))), "0")
    watch.run(X)
    assert watch.run(X).found == {"0": (3, 6)}


@pytest.mark.parametrize("kind", [k for k in SEVERAL if k in (
    "the membrane first", "spikes first", "a dictionary", "a membrane of zeros",
    "a loss beside them",
)])  # fmt: skip
def test_all_outputs_are_looked_at_where_nobody_named_the_neuron(kind):
    watch = Watch(nn.Sequential(Giving(SEVERAL[kind][0]))).run(X)
    assert watch.found == {"0": (3, 4)}


def test_a_module_nobody_named_is_no_neuron_where_no_output_is_spikes():
    assert Watch(nn.Sequential(Giving(lambda x: (x, 2 * x)))).run(X).found == {}


def test_a_named_neuron_without_any_spikes_is_refused_in_one_line():
    watch = Watch(nn.Sequential(Giving(lambda x: (x.sqrt(), x.exp()))), Giving)
    with pytest.raises(InputError, match="none of them can be spikes") as error:
        watch.run(X)
    message = str(error.value)
    assert "\n" not in message
    assert "'0' (Giving) gave out 2 tensors" in message
    assert "1 x 4 of real values, 1 x 4 of real values" in message
    with pytest.raises(InputError, match="'0' gave out no tensor"):
        Watch(nn.Sequential(Giving(lambda x: None)), Giving).run(X)


@pytest.mark.parametrize(
    ("named", "paths"),
    [
        ((LIF,), "0.lif 2"),
        (("2",), "2"),
        (("*lif",), "0.lif"),
        (("?",), "0 1 2"),
        (("LIF",), "0.lif 2"),
        ((f"{LIF.__module__}.LIF",), "0.lif 2"),
        (("Block", "2", "2"), "0 2"),
        (("torch.nn.modules.linear.Linear",), "1"),
        (("Fire", LIF), "0.lif 0.lif.fire 2 2.fire"),
    ],
)
def test_neurons_are_named_by_class_path_and_pattern(named, paths):
    model = nn.Sequential(Block(lif=LIF()), nn.Linear(4, 4), LIF())
    neurons = Neurons(model, named)
    assert [n for n, m in model.named_modules() if neurons.is_neuron(m)] == paths.split()


def test_a_class_is_also_named_by_one_it_comes_from_but_not_by_what_all_are():
    class Special(LIF):
        pass

    model = nn.Sequential(Special())
    assert Neurons(model, "LIF").is_neuron(model[0])
    with pytest.raises(InputError):
        Neurons(model, "Module")


@pytest.mark.parametrize("name", ["lif", "3.*", "other.LIF"])
def test_a_name_that_means_nothing_is_refused_with_what_there_is(name):
    with pytest.raises(InputError) as error:
        Neurons(nn.Sequential(nn.Linear(1, 1), LIF()), [LIF, name])
    assert str(error.value) == (
        f"neurons names {name!r}, but the model has no such module, nor pattern of modules or "
        f"class; classes of its layers: Fire, Linear"
    )


def test_what_is_no_name_is_refused_in_one_line():
    with pytest.raises(
        InputError, match="neurons takes classes and paths of modules, not Seq"
    ) as e:
        Neurons(nn.Sequential(), [nn.Sequential(nn.ReLU())])
    assert "\n" not in str(e.value)


@pytest.fixture
def registered():
    before = list(frameworks_file._from_outside)
    yield register_framework
    frameworks_file._from_outside[:] = before


class Lab(nn.Module):
    """A neuron of a framework from outside: voltages first, so that its adapter has to know."""

    def __init__(self):
        super().__init__()
        self.resets = 0

    def forget(self):
        self.resets += 1

    def forward(self, x):
        return fires(x) * 5, x


def test_a_framework_from_outside_is_registered_once(registered):
    framework = Framework(
        neurons=(f"{__name__}.Lab",), reset="forget", counts=True, time_axis=lambda neuron: 2
    )
    size = len(frameworks_file._from_outside)
    registered(framework)
    registered(framework)
    assert len(frameworks_file._from_outside) == size + 1
    model = nn.Sequential(Lab())
    neurons = Neurons(model)
    assert neurons.is_neuron(model[0])
    assert neurons.counts(model[0])
    assert neurons.time_axis(model[0]) == 2
    assert not neurons.looped
    with neurons.fresh():
        assert model[0].resets == 1
    assert model[0].resets == 0
    with pytest.raises(InputError, match="takes a Framework"):
        registered("Lab")


def test_a_framework_from_outside_goes_before_those_that_are_built_in(registered):
    from gac.config import CIFAR_NEURON
    from gac.neurons import LIF as Ours

    model = nn.Sequential(Ours(CIFAR_NEURON))
    assert Neurons(model).time_axis(model[0]) == 1
    registered(Framework(neurons=("gac.neurons.LIF",), time_axis=lambda neuron: 0))
    assert Neurons(model).time_axis(model[0]) == 0


def test_modules_that_are_no_neurons_have_no_axis_of_steps():
    model = nn.Sequential(nn.Linear(1, 1))
    neurons = Neurons(model)
    assert neurons.time_axis(model[0]) is neurons.rows(model[0]) is None
    assert not neurons.counts(model[0])


def test_steps_of_sinabs_lie_in_dimension_1_or_with_the_samples_in_dimension_0():
    layers = pytest.importorskip("sinabs.layers")
    model = nn.ModuleList([
        layers.IAF(), layers.LIF(tau_mem=9.0), layers.ExpLeak(tau_mem=9.0),
        layers.IAFSqueeze(num_timesteps=4), layers.LIFSqueeze(tau_mem=9.0, batch_size=2),
    ])  # fmt: skip
    neurons = Neurons(model)
    assert [neurons.is_neuron(m) for m in model] == [True, True, False, True, True]
    assert [neurons.counts(m) for m in model] == [True, True, False, True, True]
    assert [neurons.time_axis(m) for m in model] == [1, 1, 1, None, None]
    assert [neurons.rows(m) for m in model] == [None, None, None, (-1, 4), (2, -1)]
    assert not neurons.looped


@pytest.mark.filterwarnings("ignore")  # raised by the peer itself
def test_steps_of_spikingjelly_lie_in_front_in_its_multi_step_mode():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    model = nn.ModuleList([
        neuron.IFNode(), neuron.IFNode(step_mode="m"), neuron.PSN(T=4), neuron.DSRIFNode(T=4),
        neuron.ILIFNode(step_mode="m"), neuron.LIAFNode(act=nn.ReLU(), threshold_related=False),
    ])  # fmt: skip
    neurons = Neurons(model)
    assert [neurons.is_neuron(m) for m in model] == [True, True, True, True, True, False]
    assert [neurons.counts(m) for m in model] == [False, False, False, False, True, False]
    assert [neurons.time_axis(m) for m in model] == [None, 0, 0, 0, 0, None]
    assert neurons.looped


@pytest.mark.filterwarnings("ignore")  # raised by the peer itself
def test_steps_of_snntorch_lie_in_front_of_what_takes_them_all():
    snn = pytest.importorskip("snntorch")
    model = nn.ModuleList([snn.Leaky(beta=0.9), snn.LeakyParallel(2, 3), snn.StateLeaky(0.9, 2)])
    neurons = Neurons(model)
    assert all(neurons.is_neuron(m) for m in model)
    assert [neurons.time_axis(m) for m in model] == [None, 0, 0]


@pytest.mark.filterwarnings("ignore")  # raised by the peer itself
def test_steps_of_norse_lie_in_front_of_its_sequences():
    norse = pytest.importorskip("norse.torch")
    model = nn.ModuleList([
        norse.LIFCell(), norse.LIF(), norse.LSNNRecurrent(2, 2), norse.LICell(), norse.LI()
    ])  # fmt: skip
    neurons = Neurons(model)
    assert [neurons.is_neuron(m) for m in model] == [True, True, True, False, False]
    assert [neurons.time_axis(m) for m in model] == [None, 0, 0, None, 0]
