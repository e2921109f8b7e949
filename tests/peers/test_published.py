"""Networks in the manner of published families, against hooks, each sample alone.

The hooks see the uncounted model: what each layer reads, what each neuron layer gives out, and at
which step, by the outermost axis of a sample alone or by the turns of the model's own loop.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, partial

import pytest
import torch
from torch import nn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # raised by the peers themselves
]
for framework in ("snntorch", "spikingjelly", "norse", "sinabs"):
    pytest.importorskip(framework)

from spikingjelly.activation_based import neuron  # noqa: E402
from spikingjelly.activation_based.functional import reset_net  # noqa: E402

import analysis  # noqa: E402
from tests.peers.published import (  # noqa: E402
    FAMILIES,
    SAMPLES,
    Delays,
    Product,
    StepConv,
    alone,
    made,
)  # fmt: skip

NAMES = list(FAMILIES)
LAYERS = (nn.Linear, nn.modules.conv._ConvNd, Product, neuron.PSN)


def reset(model):
    reset_net(model)
    for module in model.modules():
        if hasattr(module, "reset_states") and hasattr(module, "is_state_initialised"):
            module.reset_states()  # of sinabs


@dataclass
class Count:
    """What one layer did: the same fields for all it read, and for each step."""

    dense: int = 0
    synops: int = 0
    nonzeros: int = 0
    elements: int = 0
    runs: int = 0
    spikes: int = 0
    outputs: int = 0
    by_step: dict[int | None, int] = field(default_factory=lambda: defaultdict(int))


@dataclass
class Pairs:
    """The same of two activations; which count holds depends on all values of the run."""

    levels: tuple[set, set] = field(default_factory=lambda: (set(), set()))
    dense: int = 0
    nonzeros: list[int] = field(default_factory=lambda: [0, 0])
    by_step: dict[str, dict] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def rules(self):
        """Names of the counts that may be right: several where integers meet others."""
        kinds = [kind(values) for values in self.levels]
        if kinds[0] == kinds[1]:
            return ("pairs",)
        if "integer" in kinds:
            return ("pairs", "first", "second")
        return ("first",) if kinds[0] == "spikes" else ("second",)


def kind(values):
    values = values - {0.0}
    if len(values) < 2 or (len(values) == 2 and sum(values) == 0):
        return "spikes"
    unit = min(abs(value) for value in values)
    multiples = [value / unit for value in values]
    whole = all(abs(one - round(one)) < 1e-9 and abs(one) < 17 for one in multiples)
    return "integer" if whole else "real"


def fan_out(layer, read):
    """How many synops each non-zero of ``(N, ...)`` makes, as a function of a part of it."""
    if isinstance(layer, nn.Linear):
        return int((read != 0).sum()) * layer.out_features
    if isinstance(layer, Delays):
        met = nn.functional.pad(
            (read != 0).double().permute(1, 2, 0), (layer.kernel_size[0] - 1, 0)
        )
        return int(nn.functional.conv1d(met, torch.ones_like(layer.weight)).sum())
    axes = layer.weight.dim() - 2
    met = (read != 0).double().flatten(0, -axes - 2)
    function = getattr(nn.functional, f"conv{axes}d")
    ones, options = torch.ones_like(layer.weight).double(), (layer.stride, layer.padding)
    return int(function(met, ones, None, *options, layer.dilation, layer.groups).sum())


def products(layer, outputs):
    weights = layer.weight[0].numel() if not isinstance(layer, nn.Linear) else layer.in_features
    return outputs.numel() * weights


class Watch:
    """Hooks on layers and neurons, and the step each of them is at."""

    def __init__(self, model, family):
        self.model, self.family = model, family
        self.counts, self.pairs, self.turn = defaultdict(Count), defaultdict(Pairs), None

    def run(self, batch):
        """Name -> count of each layer and neuron layer in one pass; ``pairs`` of products."""
        self.turn, self.counts, handles = None, defaultdict(Count), []
        self.pairs = defaultdict(Pairs)
        if self.family.time not in (None, "rows"):
            clock = self.model.get_submodule(self.family.time)
            handles.append(clock.register_forward_pre_hook(self.tick))
        for name, module in self.model.named_modules():
            if isinstance(module, (*LAYERS, *self.family.neurons)):
                handles.append(module.register_forward_hook(partial(self.see, name)))
        reset(self.model)
        with torch.no_grad():
            self.model(batch.clone())
        reset(self.model)
        for handle in handles:
            handle.remove()
        return self.counts, self.pairs

    def tick(self, *_):
        self.turn = 0 if self.turn is None else self.turn + 1

    def parts(self, x):
        """The step and the part of ``x`` that belongs to it; None: to all of them."""
        steps = self.family.steps
        if self.family.time != "rows":
            return [(self.turn, x)]
        if x.shape[0] == steps:
            return [(t, x[t : t + 1]) for t in range(steps)]
        if x.dim() > 2 and x.shape[:2] == (1, steps):  # (B, T, C) of one sample
            return [(t, x[:, t]) for t in range(steps)]
        return [(None, x)]

    def see(self, name, module, inputs, output):
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(module, Product):
            return self.see_product(name, *inputs)
        found = self.counts[name]
        if isinstance(module, self.family.neurons):
            unit = dict(self.family.unit).get(name, 1.0)
            found.outputs += output.numel()
            for step, part in self.parts(output):
                spikes = round(float(part.abs().sum()) / unit)
                found.spikes += spikes
                found.by_step[step] += spikes
        if not isinstance(module, LAYERS):
            return None
        (x,) = inputs
        found.runs += 1
        found.elements += x.numel()
        found.nonzeros += int((x != 0).sum())
        if isinstance(module, neuron.PSN):  # its weights are (T, T)
            found.dense += module.T * x.numel()
            found.synops += module.T * int((x != 0).sum())
            return None
        found.dense += products(module, output)
        mixes = isinstance(module, Delays)
        for step, part in [(None, x)] if mixes else self.parts(x):
            synops = fan_out(module, part)
            found.synops += synops
            found.by_step[step] += synops
        return None

    def see_product(self, name, a, b):
        found = self.pairs[name]
        for values, x in zip(found.levels, (a, b), strict=True):
            values.update(x.unique().tolist())
        found.dense += (a @ b).numel() * a.shape[-1]
        for side, x in enumerate((a, b)):
            found.nonzeros[side] += int((x != 0).sum())
        a, b = (a != 0).double(), (b != 0).double()
        counts = {
            "pairs": lambda a, b: a @ b,
            "first": lambda a, b: a @ torch.ones_like(b),
            "second": lambda a, b: torch.ones_like(a) @ b,
        }
        for rule, function in counts.items():
            for (step, part), (_, other) in zip(self.parts(a), self.parts(b), strict=True):
                found.by_step[rule][step] += int(function(part, other).sum())


@cache
def reference(name):
    """Counts of each sample alone, and of all of them at once."""
    model, batch, family = made(name)
    watch = Watch(model, family)
    samples = range(batch.shape[family.axis])
    return [watch.run(alone(batch, sample, family)) for sample in samples], watch.run(batch)


@cache
def counted(name):
    model, batch, family = made(name)
    options = {"steps": family.steps, "neurons": list(family.own), "per_sample": True}
    return analysis.analyze(model, [batch], **options).run


def by_name(records, *fields):
    """Sums over all records of a layer."""
    found = {}
    for one in records:
        name = one.key.name
        values = [getattr(one, what) for what in fields]
        found[name] = tuple(map(sum, zip(found.get(name, (0,) * len(fields)), values, strict=True)))
    return found


def total(counts, *fields):
    found = defaultdict(lambda: (0,) * len(fields))
    for one in counts:
        for name, count in one.items():
            values = [getattr(count, what) for what in fields]
            found[name] = tuple(map(sum, zip(found[name], values, strict=True)))
    return dict(found)


def joined(parts):
    """`Pairs` of all samples together."""
    found = defaultdict(Pairs)
    for pairs in parts:
        for name, one in pairs.items():
            mine = found[name]
            mine.dense += one.dense
            for side in (0, 1):
                mine.levels[side].update(one.levels[side])
                mine.nonzeros[side] += one.nonzeros[side]
            for rule, steps in one.by_step.items():
                for step, n in steps.items():
                    mine.by_step[rule][step] += n
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_hooks_find_in_a_batch_what_they_find_in_its_samples(name):
    singles, (whole, pairs) = reference(name)
    fields = ("dense", "synops", "nonzeros", "elements", "spikes", "outputs")
    assert total([counts for counts, _ in singles], *fields) == total([whole], *fields)
    parts = joined([products for _, products in singles])
    for product, one in pairs.items():
        assert one.dense == parts[product].dense
        assert one.nonzeros == parts[product].nonzeros
        for rule in one.by_step:
            assert sum(one.by_step[rule].values()) == sum(parts[product].by_step[rule].values())
    fired = {k: (v.spikes, v.outputs) for k, v in whole.items() if v.outputs}
    assert all(spikes > 0 for spikes, _ in fired.values()), fired


@pytest.mark.parametrize("name", NAMES)
def test_layers_count_what_they_count_sample_by_sample(name):
    singles, _ = reference(name)
    expected = total([counts for counts, _ in singles], "dense", "synops", "nonzeros", "elements")
    expected = {layer: counts for layer, counts in expected.items() if counts[0]}
    pairs = joined([products for _, products in singles])
    run = counted(name)
    found = by_name(run.sites, "dense_macs", "synops", "nonzeros", "elements")
    assert found.keys() == expected.keys() | pairs.keys()
    assert {layer: found[layer] for layer in expected} == expected
    for product, one in pairs.items():
        assert found[product][0] == one.dense
        assert found[product][1] in {sum(one.by_step[rule].values()) for rule in one.rules()}
    assert run.samples == SAMPLES
    assert run.constants == ()
    assert not run.uncounted


@pytest.mark.parametrize("name", NAMES)
def test_neurons_count_what_they_give_out_sample_by_sample(name):
    singles, _ = reference(name)
    expected = total([counts for counts, _ in singles], "spikes", "outputs")
    expected = {layer: counts for layer, counts in expected.items() if counts[1]}
    run = counted(name)
    found = by_name(run.neurons, "spikes", "outputs")
    assert found == expected
    for record in run.neurons:
        assert record.firing_rate == record.spikes / record.outputs


def known_steps(records, field):
    """By name, the sum over records; None if that of one is not known."""
    found = {}
    for one in records:
        steps = getattr(one, field)
        before = found.get(one.key.name, (0,) * len(steps or ()))
        known = steps is not None and before is not None
        found[one.key.name] = (
            tuple(map(sum, zip(before, steps, strict=True))) if known else None
        )  # fmt: skip
    return found


def steps_of(name):
    """By name, what hooks find at each step; None: they can't tell."""
    family, (singles, _) = FAMILIES[name], reference(name)
    found = defaultdict(lambda: defaultdict(int))
    neurons = set()
    for counts, _ in singles:
        for layer, count in counts.items():
            neurons |= {layer} if count.outputs else set()
            for step, n in count.by_step.items():
                found[layer][step] += n
    steps = {
        layer: None if None in known else tuple(known.get(t, 0) for t in range(family.steps))
        for layer, known in found.items()
    }
    of_products = {
        layer: {
            tuple(one.by_step[rule].get(t, 0) for t in range(family.steps)) for rule in one.rules()
        }
        for layer, one in joined([products for _, products in singles]).items()
    }
    layers = {k: v for k, v in steps.items() if k not in neurons}
    return layers, {k: v for k, v in steps.items() if k in neurons}, of_products


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_single_steps_is_right_or_absent(name):
    layers, neurons, of_products = steps_of(name)
    run = counted(name)
    sites = known_steps(run.sites, "synops_by_step")
    for layer, steps in layers.items():
        assert sites[layer] in (None, steps), layer
    for site in run.sites:  # where a layer is several sites, and only some of them are known
        whole, known = layers.get(site.key.name), site.synops_by_step
        if known is not None and whole is not None:
            assert all(part <= all_of_it for part, all_of_it in zip(known, whole, strict=True)), (
                f"{site.key} says {known} of {whole}"
            )
    for product, possible in of_products.items():
        assert sites[product] is None or sites[product] in possible, product
    for layer, steps in known_steps(run.neurons, "spikes_by_step").items():
        assert steps in (None, neurons[layer]), layer


@pytest.mark.parametrize("name", [name for name in NAMES if FAMILIES[name].told])
def test_steps_that_a_framework_or_a_loop_tells_are_known(name):
    layers, neurons, _ = steps_of(name)
    run = counted(name)
    sites = known_steps(run.sites, "synops_by_step")
    untold = FAMILIES[name].untold
    layers = {layer: steps for layer, steps in layers.items() if layer not in untold}
    assert {layer: sites[layer] for layer in layers} == layers
    assert known_steps(run.neurons, "spikes_by_step") == neurons


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_has_the_counts_it_has_alone(name):
    singles, _ = reference(name)
    pairs = joined([products for _, products in singles])
    found = defaultdict(lambda: defaultdict(int))
    for one in counted(name).per_sample:
        assert len(one.counts) == SAMPLES
        for sample, row in enumerate(one.counts):
            found[sample, one.kind][one.key.name] += sum(row)
    for sample, (counts, products) in enumerate(singles):
        layers = {layer: count for layer, count in counts.items() if count.dense}
        sites, inputs = found[sample, "site"], found[sample, "input"]
        assert {n: sites[n] for n in layers} == {n: c.synops for n, c in layers.items()}
        assert {n: inputs[n] for n in layers} == {n: c.nonzeros for n, c in layers.items()}
        neurons = {layer: count.spikes for layer, count in counts.items() if count.outputs}
        assert found[sample, "neuron"] == neurons
        for product, one in products.items():
            possible = {sum(one.by_step[rule].values()) for rule in pairs[product].rules()}
            assert sites[product] in possible


@pytest.mark.parametrize("name", NAMES)
def test_one_execution_stands_for_all_steps_where_it_is_repeated_for_the_first_neurons(name):
    family = FAMILIES[name]
    stands = {site.key.name: site.stands_for for site in counted(name).sites}
    assert stands == {layer: family.steps if layer in family.once else 1 for layer in stands}


@pytest.mark.parametrize("name", [n for n in NAMES if FAMILIES[n].time not in (None, "rows")])
def test_a_layer_ran_as_often_as_the_loop_called_it(name):
    singles, _ = reference(name)
    runs = {layer: count.runs for layer, count in singles[0][0].items() if count.runs}
    found = by_name(counted(name).sites, "executions")
    assert {layer: times for layer, (times,) in found.items()} == runs


@pytest.mark.parametrize("name", NAMES)
def test_batches_of_one_sample_count_what_one_batch_counts(name):
    model, batch, family = made(name)
    options = {"steps": family.steps, "neurons": list(family.own), "per_sample": True}
    run = analysis.analyze(model, batch.split(1, family.axis), **options).run
    whole = counted(name)
    for fields in (("dense_macs", "inside_macs", "synops", "nonzeros", "elements"),):
        assert by_name(run.sites, *fields) == by_name(whole.sites, *fields)
    assert by_name(run.neurons, "spikes", "outputs") == by_name(whole.neurons, "spikes", "outputs")
    work = [{(w.site, w.work): w.elements for w in one.elementwise} for one in (run, whole)]
    assert work[0] == work[1]


def test_neurons_that_are_told_a_batch_of_one_are_counted_one_sample_at_a_time():
    singles, _ = reference("sinabs")
    _, batch, family = made("sinabs")
    torch.manual_seed(0)
    model = type(made("sinabs")[0])(batch_size=1).eval()
    model.load_state_dict(made("sinabs")[0].state_dict(), strict=False)
    run = analysis.analyze(model, batch.split(1), steps=family.steps).run
    expected = total([counts for counts, _ in singles], "synops")
    found = by_name(run.sites, "synops")
    assert found == {layer: expected[layer] for layer in found}
    assert len(found) == 3


def test_the_decay_of_neurons_and_what_folds_are_no_products():
    assert all(site.op in ("conv2d", "linear") for site in counted("learnable decay").sites)
    assert {site.op for site in counted("language model").sites} == {"linear"}
    assert issubclass(StepConv, nn.Conv2d)
