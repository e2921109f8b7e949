"""What can't be counted is refused in words; what has no rule is named, however it is batched."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import analysis
from tests.analysis.models import OnTheEdge

X = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))


def test_a_compiled_model_is_counted_under_its_own_names():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    plain = analysis.analyze(model, [X], steps=1).run
    assert analysis.analyze(torch.compile(model), [X], steps=1).run.sites == plain.sites
    model.compile()
    assert analysis.analyze(model, [X], steps=1).run.sites == plain.sites


class Sparse(nn.Module):
    def forward(self, x):
        return torch.sparse.mm(x.to_sparse(), torch.ones(4, 3))


class SparseWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4).to_sparse())


class Mapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return torch.vmap(self.layer)(x)


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (SparseWeight(), X, "parameter 'weight' is sparse_coo"),
        (nn.Linear(4, 3, device="meta"), X, "parameter 'weight' is on the meta device"),
        (nn.Linear(4, 3, dtype=torch.complex64), X, "parameter 'weight' is complex"),
        (nn.Identity(), X.to_sparse(), "the inputs are sparse_coo"),
        (nn.Identity(), torch.empty(2, 3, device="meta"), "the inputs are on the meta device"),
        (Sparse(), X, "no storage of their own"),
    ],
)
def test_tensors_whose_values_can_not_be_read_are_refused_in_words(model, inputs, words):
    with pytest.raises(analysis.InputError, match=words):
        analysis.analyze(model, [inputs], steps=1)


def test_truth_values_are_events():
    layer = nn.Linear(4, 3, bias=False)
    events = X > 0.5
    (site,) = analysis.analyze(layer, [events], steps=1).run.sites
    assert (site.operand, site.synops) == ("spike", 3 * int(events.sum()))


class Solves(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return torch.linalg.solve(self.layer.weight, x.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("size", [1, 2, 6])
def test_an_operation_without_a_rule_is_named_once_whatever_the_batches(size):
    run = analysis.analyze(Solves(), X.split(size), steps=1).run
    assert run.uncounted == {"aten._linalg_solve_ex.default": 1}
    assert run.never_ran == ()  # it ran, though nobody can say what it did
    assert any("aten._linalg_solve_ex.default (1 in a forward pass)" in w for w in run.warnings)


@pytest.mark.filterwarnings("ignore")  # torch calls this way of quantising old
def test_operations_of_other_libraries_may_hold_weights_and_are_named():
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)), {nn.Linear})
    run = analysis.analyze(model, [X], steps=1).run
    assert list(run.uncounted) == ["quantized.linear_dynamic.default"]


def test_samples_that_have_other_counts_in_float64_are_told():
    x = torch.arange(1.0, 41).unsqueeze(1) / 7
    single = x / 3 * 3 > x
    double = x.double() / 3 * 3 > x.double()
    expected = int((single != double).sum())
    assert 0 < expected < 40
    for size in (1, 7, 40):
        run = analysis.analyze(OnTheEdge(), x.split(size), steps=1, flips=True).run
        assert run.flipped == expected
    assert analysis.analyze(OnTheEdge(), [x], steps=1).run.flipped is None
    assert analysis.analyze(OnTheEdge().double(), [x], steps=1, flips=True).run.flipped == 0


def test_a_forward_of_ones_own_knows_no_copy_in_float64():
    with pytest.raises(analysis.InputError, match="flips=True"):
        analysis.analyze(nn.Identity(), [X], steps=1, forward=lambda x: x, flips=True)


def test_an_operand_that_changes_its_kind_is_told_and_stays_the_widest():
    layer, spikes, reals = nn.Linear(4, 3), (X > 0.5).float(), X * 0.37
    run = analysis.analyze(layer, [spikes, reals, torch.zeros(1, 4)], steps=1).run
    assert [site.operand for site in run.sites] == ["real"]
    assert any(w.endswith("other values at another: (model) (real)") for w in run.warnings)
    calm = analysis.analyze(layer, [spikes, torch.zeros(1, 4), spikes], steps=1).run
    assert not any("at another" in w for w in calm.warnings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"roles": {"stem": "stem"}}, "no module fits the pattern 'stem' of a role"),
        ({"roles": ["stem"]}, "roles are a dictionary of patterns and roles"),
        ({"neurons": ["spike"]}, "neurons names 'spike', but the model has no such module"),
        ({"neurons": [3]}, "neurons takes classes and paths of modules, not 3"),
        ({"time_layout": "XX"}, "unknown time_layout 'XX'; known: BT, TB, loop"),
    ],
)
def test_arguments_that_fit_nothing_are_refused(changes, words):
    with pytest.raises(analysis.InputError, match=words):
        analysis.analyze(nn.Sequential(nn.Linear(4, 3)), [X], steps=1, **changes)


class Recordings(nn.Module):
    """Gives out spikes and membranes, as networks of snnTorch do."""

    def forward(self, x):
        return (x > 0.5).to(x.dtype), x


def test_labels_without_logits_are_told():
    labels = torch.zeros(6, dtype=torch.long)
    run = analysis.analyze(Recordings(), [(X, labels)], steps=1).run
    assert any("the outputs are no tensor of logits" in warning for warning in run.warnings)
    model = Recordings()
    run = analysis.analyze(model, [(X, labels)], steps=1, forward=lambda x: model(x)[0]).run
    assert not any("no tensor of logits" in warning for warning in run.warnings)
    assert run.correct is not None


def test_a_tensor_is_no_list_of_batches():
    with pytest.raises(analysis.InputError, match=r"write \[tensor\]"):
        analysis.analyze(nn.Linear(4, 3), X, steps=1)


def test_a_function_is_no_model():
    with pytest.raises(analysis.InputError, match="must be a torch module, got function"):
        analysis.analyze(lambda x: x, [X], steps=1)


def test_a_path_of_a_neuron_layer_may_stand_alone():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    (neurons,) = analysis.analyze(model, [X], steps=1, neurons="1").run.neurons
    assert (neurons.site, neurons.found_by) == ("1", "known")


def test_a_batch_without_samples_is_passed_over():
    model = nn.Sequential(nn.Linear(4, 3))
    whole = analysis.analyze(model, [X], steps=1).run
    assert analysis.analyze(model, [X[:0], X, X[:0]], steps=1).run.sites == whole.sites
    with pytest.raises(analysis.InputError, match="no batch had a sample"):
        analysis.analyze(model, [X[:0]], steps=1)


def test_labels_are_one_class_per_sample_or_no_accuracy_is_known():
    """A single label for six samples would count as the label of each."""
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(analysis.InputError, match="6 samples came with 1 labels"):
        analysis.analyze(model, [(X, torch.tensor([0]))], steps=1)
    for targets in (torch.rand(6, 3), torch.rand(6)):
        report = analysis.analyze(model, [(X, targets)], steps=1)
        assert report.run.correct is None


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return torch.cond(x.sum() > 0, self.layer, torch.relu, (x,))


@pytest.mark.skipif(
    not hasattr(TorchDispatchMode, "supports_higher_order_operators"),
    reason="this torch refuses such operators by itself, under any mode",
)
def test_operators_that_run_functions_of_their_own_are_refused_in_words():
    with pytest.raises(analysis.InputError, match="torch's operator cond"):
        analysis.analyze(Branches(), [X], steps=1)


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (nn.LazyLinear(3), X, "'weight' is not initialised yet"),
        (nn.GRU(4, 3), nn.utils.rnn.pack_padded_sequence(torch.rand(5, 2, 4), [5, 3]), "packed"),
    ],
)
def test_layers_and_sequences_without_a_shape_are_refused_in_words(model, inputs, words):
    with pytest.raises(analysis.InputError, match=words):
        analysis.analyze(model, [inputs], steps=1)


@pytest.mark.filterwarnings("ignore:.*nested tensors.*:UserWarning")
def test_nested_tensors_are_refused_in_words():
    nested = torch.nested.nested_tensor([X[:2], X[:3]])
    with pytest.raises(analysis.InputError, match="the inputs are nested"):
        analysis.analyze(nn.Linear(4, 3), [nested], steps=1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16])
def test_small_integers_are_events_in_the_precision_of_the_model(dtype):
    layer = nn.Linear(4, 3, bias=False).double()
    (site,) = analysis.analyze(layer, [(X > 0.5).to(dtype)], steps=1).run.sites
    assert (site.operand, site.synops) == ("spike", 3 * int((X > 0.5).sum()))


def test_a_tuple_holds_as_many_inputs_as_the_model_wants():
    model, (left, right) = nn.Bilinear(3, 4, 2, bias=False), (torch.rand(5, 3), torch.rand(5, 4))
    (first, second) = analysis.analyze(model, [(left, right)], steps=1).run.sites
    assert (first.dense_macs, second.dense_macs) == (5 * 3 * 4 * 2, 5 * 4 * 2)
