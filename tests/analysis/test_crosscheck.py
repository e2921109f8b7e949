"""Dense counts beside those of FlopCounterMode, fvcore and thop."""

from __future__ import annotations

import copy
from fractions import Fraction

import pytest
import torch
from torch import nn

import analysis
import gac
from analysis.crosscheck import COLUMNS, Layer, crosscheck, explain

TOOLS = ("FlopCounterMode", "fvcore", "thop")


def compare(model, inputs, steps=1):
    return crosscheck(model, inputs, analysis.analyze(model, [inputs], steps=steps).run)


def of(table, tool, layer="(total)"):
    (row,) = table[(table.tool == tool) & (table.layer == layer)].itertuples()
    return row


@pytest.fixture(scope="module")
def released():
    """A GAC MS-ResNet with T = 4, and one picture."""
    torch.manual_seed(0)
    return compare(gac.build("msresnet8"), torch.randn(1, 3, 16, 16), steps=None)


def test_a_linear_layer_is_the_same_for_everybody():
    table = compare(nn.Sequential(nn.Linear(4, 3)), torch.ones(5, 4))
    for tool in TOOLS:  # 4 inputs x 3 outputs, whatever the batch
        assert of(table, tool, "0")[2:] == ("0", 12, 12, 0, "")
        assert of(table, tool)[2:] == ("(total)", 12, 12, 0, "")


def test_every_layer_of_a_gac_network_is_confirmed_by_every_tool(released):
    assert tuple(released.columns) == COLUMNS
    layers = released[(released.ours > 0) & (released.layer != "(total)")]
    assert (layers.ours == layers.theirs).all()
    assert layers.groupby("tool").size().to_dict() == dict.fromkeys(TOOLS, 15)


def test_a_stem_that_serves_all_steps_is_multiplied_by_them(released):
    # 3 channels x 3 x 3 x 16 outputs x 16 x 16 pixels, at each of 4 steps
    stem = of(released, "FlopCounterMode", "encoder.stem.conv")
    assert stem.theirs == 3 * 9 * 16 * 256 * 4
    assert stem.reason == "runs once for all 4 steps: its figure x 4"
    assert "what runs once counted once" in of(released, "FlopCounterMode").reason


def test_batch_norm_explains_what_fvcore_and_thop_have_more():
    # 2 channels of 4 x 4 pixels behind the layer; fvcore counts 2 each, thop 4
    table = compare(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)), torch.ones(1, 1, 4, 4))
    assert of(table, "FlopCounterMode").difference == 0
    for tool, each in (("fvcore", 2), ("thop", 4)):
        assert of(table, tool, "1")[2:] == ("1", 0, 32 * each, 32 * each, "counts normalisation")


def test_thop_knows_no_subclasses(released):
    assert of(released, "fvcore", "encoder.stem.norm").theirs == 8192  # one per element
    assert released[(released.tool == "thop") & (released.layer == "encoder.stem.norm")].empty


def test_fvcore_says_that_it_skips_same_padding():
    table = compare(nn.Conv2d(1, 2, 3, padding="same"), torch.ones(1, 1, 4, 4))
    row = of(table, "fvcore", "(model)")
    assert (row.ours, row.theirs) == (16 * 9 * 2, 0)
    assert row.reason == "has no rule for aten::_convolution_mode (padding='same')"
    assert of(table, "FlopCounterMode").theirs == of(table, "thop").theirs == 288


def test_a_shared_layer_with_two_names_and_calls_is_one_row():
    class Block(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)

    shared = nn.Linear(2, 2)
    table = compare(nn.Sequential(Block(shared), Block(shared)), torch.ones(1, 2))
    for tool in TOOLS:  # thop: two hooks at two calls, each summed under both names
        assert of(table, tool, "0.layer").theirs == (2 * 2 if tool == "thop" else 1) * 2 * 4
        assert set(table[table.tool == tool].layer) == {"0.layer", "(total)"}
    assert of(table, "thop", "0.layer").reason.startswith("hooks a module once for each of its")


def test_fused_attention_and_recurrence_are_never_a_silent_zero():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.memory = nn.LSTM(4, 4, batch_first=True)

        def forward(self, x):
            return self.memory(self.attention(x, x, x)[0])[0]

    table = compare(Sequence(), torch.randn(2, 3, 4))
    # 4 projections of 3 tokens, 4 x 4 each, and two products 3 x 3 x 4
    assert of(table, "fvcore", "attention").ours == 4 * 3 * 16 + 2 * 36
    # 4 gates, each 4 x 4 from the input and 4 x 4 from the state, 3 tokens
    assert of(table, "fvcore", "memory").ours == 3 * 4 * 2 * 16
    for layer, operation in (
        ("attention", "aten::_native_multi_head_attention"), ("memory", "aten::lstm")
    ):  # fmt: skip
        assert of(table, "fvcore", layer).reason == f"has no rule for {operation}"
        assert of(table, "FlopCounterMode", layer).reason == "can't look into a fused operation"
    assert of(table, "thop", "attention").theirs == 0
    assert "has no rule for this class" in of(table, "thop", "attention").reason
    assert of(table, "thop", "memory").reason == "counts the elementwise work of the gates"


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = nn.Module()
        self.part.weight = nn.Parameter(torch.ones(3, 2))
        self.part.forward = lambda x: nn.functional.linear(x, self.part.weight)

    def forward(self, x):
        return self.part(x)


def test_thop_has_no_rule_for_a_functional_product():
    table = compare(Functional(), torch.ones(1, 2))
    assert of(table, "FlopCounterMode", "part").theirs == 6
    assert of(table, "thop", "part").theirs == 0
    assert "functional product" in of(table, "thop", "part").reason
    assert of(table, "thop").difference == -6


def test_a_tool_that_fails_is_a_row_in_words(monkeypatch):
    def broken(model, inputs):
        raise RuntimeError("no graph\nand much more")

    monkeypatch.setitem(analysis.crosscheck.TOOLS, "fvcore", broken)
    table = compare(nn.Linear(2, 2), torch.ones(1, 2))
    row = of(table, "fvcore")
    assert row.reason == "failed: RuntimeError: no graph"
    assert row.ours == 4
    assert table[table.tool == "fvcore"][["theirs", "difference"]].isna().all(axis=None)
    assert of(table, "thop").theirs == 4


def test_a_model_that_runs_for_nobody_fails_in_words_for_all_of_them():
    model = nn.Linear(2, 2)
    run = analysis.analyze(model, [torch.ones(1, 2)], steps=1).run
    table = crosscheck(model, torch.ones(1, 3), run)
    assert len(table) == 3
    assert table.reason.str.startswith("failed: RuntimeError").all()


def test_the_model_and_the_inputs_are_left_as_they_were():
    model, inputs = gac.build("msresnet8", steps=2).train(), torch.randn(1, 3, 16, 16)
    run = analysis.analyze(model, [inputs]).run
    state, kept = copy.deepcopy(model.state_dict()), inputs.clone()
    names = {name: set(vars(module)) for name, module in model.named_modules()}
    crosscheck(model, inputs, run)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.state_dict().keys() == state.keys()
    assert {name: set(vars(module)) for name, module in model.named_modules()} == names
    assert all(module.training for module in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(inputs, kept)


def test_steps_in_front_are_no_samples():
    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):  # (T, B, F)
            return self.layer(x)

    model, clip = Clip(), torch.ones(5, 2, 4)
    options = {"steps": 5, "time_layout": "TB"}
    table = crosscheck(model, clip, analysis.analyze(model, [clip], **options).run,
                       time_layout="TB")  # fmt: skip
    for tool in TOOLS:  # 5 steps x 4 inputs x 3 outputs
        assert (of(table, tool).ours, of(table, tool).theirs) == (60, 60)


@pytest.mark.filterwarnings("default")  # of a package that is not ours
def test_spikingjelly_in_multi_step_mode_is_confirmed():
    neurons = pytest.importorskip("spikingjelly.activation_based.neuron")
    layers = pytest.importorskip("spikingjelly.activation_based.layer")
    model = nn.Sequential(
        layers.Conv2d(1, 2, 3, step_mode="m"), neurons.IFNode(step_mode="m"),
        nn.Flatten(2), nn.Linear(8, 3),
    )  # fmt: skip
    table = compare(model, torch.ones(5, 2, 1, 4, 4), steps=5)
    for tool in ("FlopCounterMode", "fvcore"):  # 5 steps x (9 x 2 x 4 pixels + 8 x 3)
        assert of(table, tool).theirs == 5 * (72 + 24)
    assert of(table, "thop").theirs == 5 * 24
    assert "has no rule for this class" in of(table, "thop", "0").reason  # a subclass of torch's


def test_inputs_by_name_are_passed_by_position():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x, y):
            return self.layer(x) + y

    table = compare(Two(), {"x": torch.ones(3, 2), "y": torch.ones(3, 2)})
    assert [of(table, tool).theirs for tool in TOOLS] == [4, 4, 4]


@pytest.mark.parametrize("inputs", [torch.ones(0, 2), {}, {"x": torch.ones(0, 2)}])
def test_a_batch_without_samples_is_bad_input(inputs):
    class Any(nn.Module):
        def forward(self, x=None):
            return x

    run = analysis.analyze(Any(), [torch.ones(1, 2)], steps=1).run
    with pytest.raises(analysis.InputError, match="at least one sample"):
        crosscheck(Any(), inputs, run)


@pytest.mark.parametrize(
    ("tool", "layer", "theirs", "words"),
    [
        ("thop", Layer(name="c", ours=Fraction(8), bias=Fraction(2)), 10, "counts the bias"),
        ("thop", Layer(name="c", ours=Fraction(8), names=2), 32, "once for each of its names"),
        ("fvcore", Layer(name="c", ours=Fraction(8)), 9, "unknown"),
        ("FlopCounterMode", Layer(name="c", ours=Fraction(8)), 0, "unknown"),
        ("thop", Layer(name="p", module=nn.AvgPool2d(2)), 4, "counts elementwise work"),
        ("thop", Layer(name="b", module=nn.Bilinear(2, 2, 1)), 6, "we counted nothing of"),
    ],
)
def test_a_difference_has_a_reason_or_is_called_unknown(tool, layer, theirs, words):
    assert words in explain(tool, layer, Fraction(theirs))
