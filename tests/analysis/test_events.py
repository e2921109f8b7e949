"""Event data at the input: what they are taken for, what they cost, and who says so."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis
from analysis.energy.conventions import PRESETS

STEPS = 4


class Fire(nn.Module):
    def forward(self, x):
        return (x > 0.3).to(x.dtype)


class Network(nn.Module):
    """Weight layers and neurons in a row; every forward pass is of all samples and steps."""

    def __init__(self, *layers):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(layers)

    def forward(self, x):  # (T, B, ...)
        flat = x.flatten(0, 1)
        for layer in self.layers:
            flat = layer(flat)
        return flat.unflatten(0, x.shape[:2]).mean(0)


def events(*shape, share=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator) < share).float()


def fan_out(layer, frames):
    """Weights that each input element meets: the layer of ones, backwards."""
    ones = frames.flatten(0, 1).clone().requires_grad_()
    weight = torch.ones_like(layer.weight)
    if isinstance(layer, nn.Linear):
        result = functional.linear(ones, weight)
    else:
        result = functional.conv2d(ones, weight, None, layer.stride, layer.padding)
    (grad,) = torch.autograd.grad(result.sum(), ones)
    return grad, result.numel() * layer.weight[0].numel()


SPEECH = events(STEPS, 3, 70, share=0.02)  # as SHD: few of many channels fire
CAMERA = events(STEPS, 2, 2, 8, 8)  # as a DVS: two polarities
POISSON = (torch.rand(STEPS, 5, 64, generator=torch.Generator().manual_seed(1))
           < torch.linspace(0, 1, 64)).float()  # fmt: skip
BINARY = {
    "speech": (SPEECH, lambda: [nn.Linear(70, 20), Fire(), nn.Linear(20, 5)]),
    "camera": (
        CAMERA,
        lambda: [nn.Conv2d(2, 4, 3, padding=1, stride=2), Fire(), nn.Flatten(), nn.Linear(64, 3)],
    ),
    "digits as Poisson spikes": (POISSON, lambda: [nn.Linear(64, 10), Fire(), nn.Linear(10, 10)]),
}


def first(report):
    return report.sites.iloc[0]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("case", BINARY)
def test_a_first_layer_that_reads_spikes_costs_what_the_preset_says(case, name):
    clip, layers = BINARY[case]
    network = Network(*layers())
    grad, dense = fan_out(network.layers[0], clip)
    samples, met = clip.shape[1], float((grad * clip.flatten(0, 1)).sum())
    rate = float(clip.mean())
    report = analysis.analyze(
        network, [clip], steps=STEPS, convention=name, time_layout="TB", neurons=[Fire]
    )
    assert (first(report).operand, first(report).origin) == ("spike", "events")
    expected = {
        "eq17": (0, rate * dense), "eq17-upstream": (0, rate * dense),
        "eq17+dE": (0, rate * dense), "sew-table": (0, rate * dense),
        "all-ac": (rate * dense, 0), "folk": (0, dense),
    }.get(name, (met, 0))  # fmt: skip
    assert (first(report).acs * samples, first(report).macs * samples) == pytest.approx(expected)


CHARGED_ONCE = ("operand-once", "sew-table")  # for what is equal at all steps, else refused


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in CHARGED_ONCE])
def test_the_same_values_called_an_image_cost_what_images_cost(name):
    clip, layers = BINARY["camera"]
    network = Network(*layers())
    _, dense = fan_out(network.layers[0], clip)
    settings = {"steps": STEPS, "time_layout": "TB", "neurons": [Fire], "convention": name}
    found = analysis.analyze(network, [clip], inputs="image", **settings)
    assert first(found).origin == "image"
    picture = analysis.analyze(network, [clip + torch.rand(clip.shape)], **settings)
    (known,) = found.run.inputs
    assert (known.kind, known.said_by, known.values) == ("image", "user", "spike")
    assert first(picture).origin == "image"
    if name == "operand-sparse":  # the zeros are there, whatever they are called
        assert first(found).macs < first(picture).macs == dense / 2 - border(network, clip) / 2
    else:
        assert (first(found).acs, first(found).macs) == (first(picture).acs, first(picture).macs)


def border(network, clip):
    """Dense MACs with the zeros of the padding."""
    grad, dense = fan_out(network.layers[0], clip)
    return dense - float(grad.sum())


class TwoStreams(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.frames = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.camera = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.fire, self.last = Fire(), nn.Linear(4, 3)

    def forward(self, frames, camera):
        now = self.frames(frames)
        steps = [self.fire(now + self.camera(step)) for step in camera.unbind(1)]
        return self.last(torch.stack(steps).mean((0, 3, 4)))


@pytest.mark.parametrize("order", [("frames", "camera"), ("camera", "frames")])
def test_each_of_two_streams_is_what_it_is(order):
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    clip = events(2, STEPS, 2, 8, 8)
    inputs = {"frames": picture, "camera": clip}
    report = analysis.analyze(
        TwoStreams(), [{name: inputs[name] for name in order}], steps=STEPS, neurons=[Fire],
        time_layout="BT",
    )  # fmt: skip
    sites = report.sites.set_index("site")
    assert sites.origin[["frames", "camera"]].tolist() == ["image", "events"]
    assert sites.macs["frames"] == STEPS * 64 * 4 * 27
    grad, _ = fan_out(TwoStreams().camera, clip)
    assert sites.acs["camera"] == float((grad * clip.flatten(0, 1)).sum()) / 2
    assert sites.macs["camera"] == sites.acs["frames"] == 0
    kinds = {one.name: (one.kind, one.rate) for one in report.run.inputs}
    assert kinds == {
        "frames": ("image", pytest.approx(1, abs=0.01)),
        "camera": ("events", float(clip.mean())),
    }


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, views):
        return self.left(views["left"]) + self.right(views["right"][0])


def test_inputs_of_a_nest_have_the_names_of_their_places():
    batch = ({"left": events(4, 6, share=0.5), "right": [torch.rand(4, 6)]},)
    report = analysis.analyze(
        Nested(), [{"views": batch[0]}], steps=1, inputs={"views.left": "image"}
    )
    assert [(one.name, one.kind, one.said_by) for one in report.run.inputs] == [
        ("views.left", "image", "user"),
        ("views.right[0]", "image", "values"),
    ]


@pytest.mark.parametrize(
    ("values", "kind", "is_said"),
    [
        ([0.0, 1.0, 1.0], "events", "spike"),
        ([0.0, 0.5, 0.5], "events", "spike"),
        ([-1.0, 0.0, 1.0], "events", "ternary"),
        ([0.0, 1.0, 3.0], "events", "graded"),
        ([0.0, 0.0, 0.0], "events", "silent"),
        ([0.0, 0.25, 0.75], "image", "graded"),  # grey levels are no counts
        ([0.1, 0.37, 0.9], "image", "real"),
        ([0.0, 1.0, 77.0], "image", "real"),  # too many levels to be told from a picture's
    ],
)
def test_values_over_the_whole_run_decide(values, kind, is_said):
    rows = [torch.tensor([[value, 0.0]]) for value in values]
    (found,) = analysis.analyze(nn.Linear(2, 1), rows, steps=1).run.inputs
    assert (found.kind, found.said_by, found.values) == (kind, "values", is_said)
    assert (found.nonzeros, found.elements) == (sum(v != 0 for v in values), 6)


def test_integers_of_an_event_camera_are_events():
    clip = events(3, 8).to(torch.uint8) * 2
    (found,) = analysis.analyze(nn.Linear(8, 2), [clip], steps=1).run.inputs
    assert (found.kind, found.values, found.unit) == ("events", "spike", 2)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("wrap", [lambda clip: clip, lambda clip: {"x": clip}])
def test_events_that_the_model_turns_into_numbers_are_events(wrap, dtype):
    class Casts(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 2)

        def forward(self, x):
            return self.first(x.float())

    clip = events(3, 8, share=0.5).to(dtype)
    report = analysis.analyze(Casts(), [wrap(clip)], steps=1)
    assert first(report).origin == "events"
    assert (report.totals.acs, report.totals.macs) == (2 * int(clip.sum()) / 3, 0)


def test_real_values_that_are_called_events_keep_their_price_and_take_their_rate():
    frames = torch.rand(2, 8) * events(2, 8, share=0.5)  # brightness at the time of each event
    settings = {"steps": 1, "inputs": "events", "neurons": [Fire]}
    network = nn.Sequential(nn.Linear(8, 4), Fire(), nn.Linear(4, 2))
    report = analysis.analyze(network, [frames], **settings)
    assert first(report).macs == 32  # numbers have to be multiplied
    rate = float((frames != 0).float().mean())
    assert first(report.under("eq17")).macs == pytest.approx(32 * rate)


def test_a_coded_picture_is_events_from_where_the_model_codes_it():
    class Coded(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 4)

        def forward(self, x):
            return self.first(torch.bernoulli(x))

    report = analysis.analyze(Coded(), [torch.rand(5, 8)], steps=1, inputs="image")
    assert (report.totals.macs, first(report).operand) == (0, "spike")


def test_channels_of_one_input_are_what_the_site_reads():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.frames, self.camera = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            return self.frames(x[:, :3]) + self.camera(x[:, 3:])

    both = torch.cat([torch.rand(2, 3, 4, 4), events(2, 2, 4, 4)], 1)
    sites = analysis.analyze(Split(), [both], steps=1).sites.set_index("site")
    assert sites.origin.to_dict() == {"frames": "image", "camera": "events"}
    said = analysis.analyze(Split(), [both], steps=1, inputs="image").sites
    assert said.origin.tolist() == ["image", "image"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("pictures", "unknown kind of input 'pictures'; known: auto, events, image"),
        ({"y": "events"}, "no input is called 'y'; inputs: input"),
    ],
)
def test_a_wrong_word_about_inputs_is_refused_before_anything_runs(inputs, message):
    class Ran(nn.Linear):
        def forward(self, input):  # noqa: A002 - as its parent
            raise AssertionError

    with pytest.raises(analysis.InputError) as caught:
        analysis.analyze(Ran(2, 1), [torch.rand(3, 2)], steps=1, inputs=inputs)
    assert str(caught.value) == message


def test_a_first_layer_called_spiking_is_no_stem_under_any_preset():
    clip, layers = BINARY["camera"]
    for name in ("eq17", "folk", "all-ac", "operand"):
        report = analysis.analyze(
            Network(*layers()), [clip], steps=STEPS, convention=name, time_layout="TB",
            neurons=[Fire], roles={"layers.0": "spiking"},
        )  # fmt: skip
        assert first(report).macs == 0
        assert first(report).acs > 0


def test_an_estimate_of_an_event_network_takes_a_rate_of_its_events():
    network = nn.Sequential(nn.Linear(8, 4, bias=False), Fire(), nn.Linear(4, 2, bias=False))
    settings = {"steps": 1, "neurons": [Fire], "inputs": "events"}
    report = analysis.estimate(network, (8,), {"0": 0.25, "2": 0.5}, **settings)
    assert report.sites.acs.tolist() == [8, 4]
    with pytest.raises(analysis.InputError, match="no rate for the layer 0"):
        analysis.estimate(network, (8,), {"2": 0.5}, **settings)
    said = analysis.estimate(network, (8,), 0.5, steps=1, neurons=[Fire], roles={"0": "spiking"})
    assert said.sites.acs.tolist() == [16, 4]


# Integers and virtual steps -----------------------------------------------------------------


class IntegerFire(nn.Module):
    """Emits 0 to D spikes at once, as k or as k / D."""

    def __init__(self, most, scaled):
        super().__init__()
        self.most, self.scaled = most, scaled

    def forward(self, x):
        k = x.round().clamp(0, self.most)
        return k / self.most if self.scaled else k


class UnrolledFire(nn.Module):
    """The same in D virtual steps: k ones, then zeros."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def forward(self, x):  # (B, F) -> (D, B, F)
        k = x.round().clamp(0, self.most)
        return torch.stack([(k > step).to(x.dtype) for step in range(self.most)])


class Integers(nn.Module):
    def __init__(self, fire, unrolled):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.fire, self.last = nn.Linear(6, 8), fire, nn.Linear(8, 3, bias=False)
        self.unrolled = unrolled

    def forward(self, x):
        spikes = self.fire(4 * self.first(x))
        return self.last(spikes.sum(0) if self.unrolled == "summed" else spikes)


@pytest.mark.parametrize("most", [2, 4])
def test_integer_neurons_and_their_unrolled_twin_have_the_same_spikes_and_accumulates(most):
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(5))
    found = []
    for fire, steps in ((IntegerFire(most, scaled=False), 1), (IntegerFire(most, scaled=True), 1),
                        (UnrolledFire(most), most)):  # fmt: skip
        report = analysis.analyze(
            Integers(fire, None), [x], steps=steps, neurons=[IntegerFire, UnrolledFire],
            levels=True, convention="operand, graded repeat-ac",
        )  # fmt: skip
        (neuron,) = report.run.neurons
        last = report.sites.set_index("site").loc["last"]
        found.append((neuron.spikes, last.acs, last.macs))
    integers, scaled, unrolled = found
    by_hand = int((4 * Integers(None, None).first(x)).round().clamp(0, most).sum())
    assert integers == scaled == unrolled == (by_hand, by_hand * 3 / 7, 0)


# Beside networks without spikes --------------------------------------------------------------


def test_the_counterpart_of_an_event_network_reads_each_frame_or_their_sum():
    clip, layers = BINARY["camera"]
    report = analysis.analyze(
        Network(*layers()), [clip], steps=STEPS, time_layout="TB", neurons=[Fire]
    )
    table = report.counterpart(0.5).set_index("network")
    dense = 16 * 4 * 18 + 64 * 3  # of one frame
    first_layer = 16 * 4 * 18
    half = first_layer + 64 * 3 / 2
    assert table.macs.to_dict() | {"this network": 0} == {
        "this network": 0,
        "ReLU on each frame of events, dense": STEPS * dense,
        "ReLU on the sum of the events, dense": dense,
        "ReLU on each frame of events, 50 % zeros skipped": STEPS * half,
        "ReLU on the sum of the events, 50 % zeros skipped": half,
        "3-bit values, dense": dense,
    }
    assert table.steps["ReLU on each frame of events, dense"] == STEPS


@pytest.mark.parametrize("name", PRESETS)
def test_a_network_of_relus_costs_what_the_counterpart_costs_under_every_preset(name):
    relu = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    fires = nn.Sequential(nn.Linear(6, 8), Fire(), nn.Linear(8, 3))
    x = [torch.rand(7, 6) + 0.1]
    ann = analysis.analyze(relu, x, steps=1, convention=name)
    snn = analysis.analyze(fires, x, steps=1, convention=name, neurons=[Fire])
    left_out = 48 if name == "all-ac" else 0  # the stem
    dense = snn.counterpart().macs[1] - left_out
    assert ann.totals.acs == 0
    if name == "operand-sparse":
        assert ann.totals.macs <= dense
    else:
        assert ann.totals.macs == dense


# Outputs -------------------------------------------------------------------------------------


def test_every_output_says_what_the_inputs_were_taken_for(tmp_path):
    from analysis.reporting.html.page import html_page
    from analysis.reporting.method import PLAIN, paragraph

    clip, layers = BINARY["camera"]
    report = analysis.analyze(
        Network(*layers()), [clip], steps=STEPS, time_layout="TB", neurons=[Fire]
    )
    share = f"{100 * float(clip.mean()):.3g} % not zero"
    told = f"Input: x, by its values events (0 and one other value, {share})"
    assert told in paragraph(report, PLAIN)
    assert told in html_page(report).replace("&#39;", "'")
    report.to_json(tmp_path / "report.json")
    assert analysis.read_report(tmp_path / "report.json").run.inputs == report.run.inputs
    said = analysis.analyze(
        Network(*layers()), [clip], steps=STEPS, time_layout="TB", inputs="image"
    )
    assert "Input: x, said to hold an image (0 and one other value" in paragraph(said, PLAIN)


@pytest.mark.parametrize("unit", [1.0, 0.25])
def test_counts_that_are_called_events_cost_the_same_in_any_unit(unit):
    counts = torch.tensor([[0.0, 1.0, 3.0]]) * unit
    report = analysis.analyze(
        nn.Linear(3, 5, bias=False), [counts], steps=1, levels=True, inputs="events",
        convention="operand, graded repeat-ac",
    )  # fmt: skip
    assert (report.totals.acs, report.totals.macs) == (20, 0)
    assert report.run.inputs[0].unit == unit


def test_whole_numbers_that_are_read_can_be_called_an_image_and_names_of_tokens_are_no_input():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.first = nn.Embedding(9, 8), nn.Linear(8, 2)

        def forward(self, frames, tokens):
            return self.first(frames.float()) + self.first(self.words(tokens))

    batch = {"frames": events(3, 8, share=0.5).long(), "tokens": torch.randint(0, 9, (3,))}
    (found,) = analysis.analyze(Reads(), [batch], steps=1).run.inputs
    assert (found.name, found.kind, found.values) == ("frames", "events", "spike")
    said = analysis.analyze(Reads(), [batch], steps=1, inputs={"frames": "image"})
    assert [one.kind for one in said.run.inputs] == ["image"]
    assert said.sites.macs.tolist() == [16, 16]
