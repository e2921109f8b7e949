"""Every operation has one row; a product with weights is never a quiet nothing."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from analysis.counting import operations
from analysis.counting.inputs import tensors_in
from analysis.counting.operations import (
    bound,
    elements_of_work,
    is_composite,
    is_foreign,
    is_quiet,
    operation_of,
    register_operation,
    run_parts,
    written,
)
from analysis.counting.rules import RULES, rule_of
from analysis.errors import InputError

aten = torch.ops.aten
X, W = torch.ones(2, 3), torch.ones(3)


def is_w(x):
    return x is W


def kind(func):
    return operation_of(func).kind


def test_each_name_stands_in_the_table_once():
    names = Counter(name for _, names in operations._TABLE for name in names.split())
    assert [name for name, times in names.items() if times > 1] == []


NEWEST = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 15),
    reason="the tables name operations of torch 2.15; older ones lack some, and crash on odd calls",
)


@NEWEST
def test_each_name_in_the_tables_is_one_of_torch():
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}
    forms = known | {name.removesuffix("_") for name in known}
    ours = {name.partition(".")[0] for name in operations._ROWS if "::" not in name} | set(RULES)
    assert {name for name in ours if f"aten::{name}" not in forms} == set()


def test_what_has_a_rule_is_a_product():
    assert {n for n in RULES if n != "linear" and operations._ROWS[n].kind != "product"} == set()


def test_all_forms_of_an_operation_share_its_row():
    forms = (aten.add.Tensor, aten.add_.Tensor, aten.add.out, aten._foreach_add_.List)
    assert len({id(operation_of(func)) for func in forms}) == 1
    assert operation_of(aten.add.out).work == "addition"
    assert rule_of(aten.addmm_.default) is rule_of(aten.addmm.out) is rule_of(aten.addmm.default)
    if hasattr(aten, "_foreach_mm"):
        assert rule_of(aten._foreach_mm.default) is None  # lists of matrices
    assert rule_of(aten.linear.default) is None  # counted by its parts
    assert rule_of(aten.linear.out) is not None  # which has none


def test_an_overload_may_differ_from_the_others():
    assert (kind(aten.max.dim), kind(aten.max.other)) == ("reduces", "elementwise")
    assert (kind(aten.bernoulli.default), kind(aten.bernoulli.p)) == ("elementwise", "makes")
    assert (kind(aten.fill_.Scalar), kind(aten.fill_.Tensor)) == ("makes", "moves")
    assert (kind(aten.normal_.default), kind(aten.normal.Tensor_Tensor)) == ("makes", "elementwise")


def test_operations_without_a_row_are_told_by_what_torch_says_of_them():
    assert operation_of(aten.select.int).views
    assert operation_of(aten.unsqueeze_.default).views
    assert kind(aten.permute_copy.default) == "moves"
    assert operation_of(aten.celu_.default).work == operation_of(aten.exp.out).work == "other"
    assert kind(aten._local_scalar_dense.default) == "makes"
    assert kind(aten._foobar.default) == kind(torch.ops.higher_order.cond) == "unknown"


def test_composite_operations_are_what_they_are_made_of_unless_they_have_a_row():
    assert is_composite(aten.linear.default)
    assert is_composite(aten.dropout.default)
    assert not is_composite(aten.mm.default)
    assert not is_composite(aten.unsafe_chunk.default)
    assert not is_composite(torch.ops.higher_order.cond)


def test_what_is_done_to_zeros_and_ones():
    binary = {
        "keeps": [aten.cat.default, aten.flip.default, aten.index.Tensor, aten.view.default,
                  aten.max_pool2d_with_indices.default, aten.relu_.default],
        "gives": [aten.gt.Scalar_out, aten.bernoulli_.Tensor, aten.logical_not.default],
        "converts": [aten._to_copy.default],
        None: [aten.mul_.Tensor, aten.copy_.default, aten.where.self, aten.scatter.src],
    }  # fmt: skip
    assert all(operation_of(func).binary == how for how, funcs in binary.items() for func in funcs)


def test_reductions_touch_what_they_read_and_others_what_they_write():
    wide, index = torch.ones(4, 3), torch.zeros(4, dtype=torch.long)
    work = {
        aten.sum.dim_IntList: ((wide, [0]), wide.sum(0), ("pooling", 12)),
        aten.add.Tensor: ((wide, W), wide + W, ("addition", 12)),
        aten.max.other: ((W, wide), wide, ("other", 12)),
        aten.index_add.default: ((X, 0, index, wide), X, ("addition", 12)),
    }
    for func, (args, result, (name, elements)) in work.items():
        found, touched = elements_of_work(func, args, result)
        assert (found, touched.numel()) == (name, elements)
    assert elements_of_work(aten.clone.default, (X,), X) is None


def test_arguments_are_found_by_name_however_they_were_given():
    by_place = bound(aten.addmm.default, (W, X, X.mT), {"alpha": 2})
    by_name = bound(aten.addmm.default, (), {"self": W, "mat1": X, "mat2": X.mT, "alpha": 2})
    assert [*by_place] == [*by_name] == ["self", "mat1", "mat2", "beta", "alpha"]
    assert by_place["mat1"] is by_name["mat1"] is X
    assert by_place["beta"] == by_name["beta"] == 1
    assert bound(aten.mm.out, (X, X), {"out": W})["out"] is W


def test_what_an_operation_writes_to_is_told_by_its_schema():
    assert written(aten.add.Tensor, (X, W), {}) == []
    assert [x is X for x in written(aten.add_.Tensor, (X, W), {})] == [True]
    assert [x is W for x in written(aten.mm.out, (X, X), {"out": W})] == [True]
    assert len(written(aten._foreach_mul_.Scalar, ([X, W], 2), {})) == 2


# A product with weights is never a quiet nothing ----------------------------------------------

LOUD = {
    "a transform": (aten._fft_r2c.default, (X, [1], 0, True)),
    "a product without a rule": (aten._cdist_forward.default, (X, X, 2.0, None)),
    "a reduction of values with weights": (aten.dist.default, (X, W)),
    "weights in what nobody knows": (aten._spdiags.default, (W, X.long(), [3, 3])),
    "two tensors in what nobody knows": (aten._dirichlet_grad.default, (X, X, X)),
}
QUIET = {
    "a reduction of weights alone": (aten.var.correction, (W, None)),
    "a reduction without weights": (aten.sum.default, (X,)),
    "what moves weights": (aten.embedding.default, (W, X.long())),
    "what works element by element": (aten.mul.Tensor, (X, W)),
    "what makes another tensor": (aten.new_zeros.default, (W, [3])),
    "one tensor in what nobody knows": (aten._cslt_compress.default, (X,)),
}


@pytest.mark.parametrize("what", LOUD)
def test_listed_as_uncounted(what):
    assert not is_quiet(*LOUD[what], {}, is_w)


@pytest.mark.parametrize("what", QUIET)
def test_not_listed_as_uncounted(what):
    assert is_quiet(*QUIET[what], {}, is_w)


def test_a_single_learned_number_is_no_weights():
    number = torch.ones(())
    assert is_quiet(aten._cslt_compress.default, (number,), {}, lambda x: True)


@torch.library.custom_op("gac_test::spike_conv", mutates_args=())
def spike_conv(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return x * w


def test_an_operation_of_another_library_is_listed_until_somebody_says_what_it_does():
    func = torch.ops.gac_test.spike_conv.default
    assert is_foreign(func)
    assert not is_quiet(func, (X, W), {}, is_w)
    register_operation("gac_test::spike_conv", kind="elementwise", work="product")
    assert is_quiet(func, (X, W), {}, is_w)
    assert operation_of(func).work == "product"
    for form in (spike_conv, torch.ops.gac_test.spike_conv, func):
        register_operation(form, kind="product", rule=lambda flow, result, *, x, w: [])
        assert not is_quiet(func, (X, W), {}, is_w)
        assert rule_of(func)(None, None, **bound(func, (X,), {"w": W})) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("spike_conv", {"kind": "moves"}, "needs its library's name"),
        ("my::op", {"kind": "multiplies"}, "kind 'multiplies' is none of moves, makes"),
        ("my::op", {"kind": "elementwise", "work": "much"}, "work 'much' is none of norm"),
        ("my::op", {"kind": "moves", "rule": print}, "only a product has a rule"),
    ],
)
def test_what_cannot_be_registered_is_said_in_one_line(name, options, message):
    with pytest.raises(InputError, match=message):
        register_operation(name, **options)


# All operations of torch that take two tensors or more, told by their numbers -----------------

SHAPES = [(3, 3), (3,), (2, 3, 3), (1, 2, 3, 3), (1, 2, 3, 3, 3), (1, 3, 3, 2), ()]
CRASHES = {"embedding_bag", "_transform_bias_rescale_qkv"}  # with arguments that make no sense
ELSEWHERE = re.compile("backward|sparse|nested|padded|jagged|quantize|cudnn|miopen|mkldnn|mps")
INDICES = ("index", "indices", "offsets", "lengths", "sorter")
NUMBERS = {"N": 2, "C": 3, "HxW": 3, "group": 1, "groups": 1, "num_groups": 1, "reduction": 2}
LISTS = {"padding": 0, "output_padding": 0}


class Unfit(Exception):
    """No small arguments are found for an operation."""


def other_argument(argument, tensors):
    """Something for an argument that is no tensor."""
    name, type_ = argument.name, str(argument.type)
    if argument.has_default_value() and name != "reduction":
        return argument.default_value
    if type_.startswith("Optional"):
        return None
    if name in ("kernel_size", "normalized_shape"):
        return [3] * (tensors[0].dim() - 2)
    plain = {"int": NUMBERS.get(name, 0), "SymInt": NUMBERS.get(name, 0), "float": 0.5,
             "bool": False, "number": 1.0, "Scalar": 1.0, "str": "sum"}  # fmt: skip
    if type_ in plain:
        return plain[type_]
    if type_ in ("List[int]", "List[SymInt]"):
        return [LISTS.get(name, 1)] * max(1, tensors[0].dim() - 2)
    raise Unfit("arguments of other types")


def filled(argument, shape, dtype, seed):
    """A small tensor for an argument; indices, classes and masks by their name."""
    if argument.name in INDICES or (argument.name == "target" and dtype == torch.float32):
        return torch.zeros(shape, dtype=torch.long)
    if argument.name in ("mask", "condition"):
        return torch.ones(shape, dtype=torch.bool)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=dtype) * 0.3 + 0.2


class Call:
    """An operation with small arguments; called with others in the place of its numbers."""

    def __init__(self, func, places, tensors):
        self.func, self.places, self.tensors = func, places, tensors
        self.fixed = {
            a.name: other_argument(a, tensors)
            for n, a in enumerate(func._schema.arguments)
            if n not in places
        }
        self.names = [func._schema.arguments[n].name for n in places]

    def arguments(self, tensors):
        named = dict(zip(self.names, (t.clone() for t in tensors), strict=True))
        return self.fixed | named

    def __call__(self, tensors):
        """All numbers that come out, as one line."""
        torch.default_generator.manual_seed(0)  # the public way looks for other devices too
        found = self.func(**self.arguments(tensors))
        lines = [x.flatten().double() for x in tensors_in(found)
                 if x.layout is torch.strided and x.is_floating_point()]  # fmt: skip
        if not lines or not sum(map(len, lines)):
            raise Unfit("no numbers come out")
        return torch.cat(lines)

    def with_(self, changes):
        return self([changes.get(n, t) for n, t in enumerate(self.tensors)])

    def numbers(self):
        return [n for n, t in enumerate(self.tensors) if t.is_floating_point()]


def forms_of(func):
    """Shapes and types to try for the tensors of an operation, with and without optional ones."""
    types = [str(a.type) for a in func._schema.arguments]
    required = tuple(n for n, type_ in enumerate(types) if type_ == "Tensor")
    every = tuple(n for n, type_ in enumerate(types) if type_ in ("Tensor", "Optional[Tensor]"))
    for places in dict.fromkeys((every, required)):
        if not 1 < len(places) < 8:
            continue
        uniform = [(shape,) * len(places) for shape in SHAPES]
        lead = [(a, *(b,) * (len(places) - 1)) for a in SHAPES for b in SHAPES]
        varied = itertools.product(SHAPES[:4], repeat=3) if len(places) == 3 else ()
        shapes = dict.fromkeys(itertools.chain(uniform, lead, varied))
        yield from ((places, s, torch.float64) for s in shapes)
        yield from ((places, s, torch.float32) for s in (*uniform, *lead[:14]))


def call_of(func, places, shapes, dtype):
    """An operation with arguments of that form, if it can be called with them and be surveyed."""
    arguments = func._schema.arguments
    pairs = zip(places, shapes, strict=True)
    call = Call(func, places, [filled(arguments[n], shape, dtype, n) for n, shape in pairs])
    try:
        line = call(call.tensors)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        raise Unfit("does not run on small dense tensors here") from None
    if len(call.numbers()) < 2:
        raise Unfit("fewer than two tensors of numbers")
    if not line.isfinite().all():
        raise Unfit("no finite numbers come out")
    if not torch.equal(line, call(call.tensors)):
        raise Unfit("random")
    return call


def calls_of(func, most=2):
    """A few calls of an operation that work."""
    works, why = [], Unfit("fewer than two tensors")
    for form in forms_of(func):
        try:
            works.append(call_of(func, *form))
        except Unfit as unfit:
            keep = str(why).startswith(("no ", "fewer than two tensors of"))
            why = why if keep else unfit
        if len(works) == most:
            break
    if not works:
        raise why
    return works


def multiplies_and_sums(call, one, other):
    """Whether the result is linear in both of two inputs and sums what they make together."""
    a, b = call.tensors[one], call.tensors[other]
    da, db = (torch.linspace(0.05, 0.2, x.numel(), dtype=x.dtype).view_as(x) for x in (a, b))
    near = {"atol": 1e-9, "rtol": 1e-9} if a.dtype == torch.float64 else {"atol": 1e-5}
    for place, x, d in ((one, a, da), (other, b, db)):
        ends = call.with_({place: x}) + call.with_({place: x + 2 * d})
        if not torch.allclose(ends / 2, call.with_({place: x + d}), **near):
            return False
    meets = torch.zeros_like(call.with_({}))
    for n in range(a.numel()):
        changed = a.clone()
        changed.view(-1)[n] += 0.25
        before, after = (
            call.with_({one: changed, other: y}) - call.with_({other: y}) for y in (b, b + db)
        )
        meets += (before - after).abs() > (1e-7 if a.dtype == torch.float64 else 1e-4)
    return bool((meets > 1).any())


class Parts(TorchDispatchMode):
    """Whether anything that runs is counted by a rule, or would be listed."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.loud = weight, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if is_composite(func):
            return run_parts(self, func, args, kwargs or {})
        self.loud |= rule_of(func) is not None or not is_quiet(func, args, kwargs or {}, is_w)
        self.loud |= kind(func) == "unknown"
        return func(*args, **(kwargs or {}))


def is_loud(call):
    with torch.inference_mode(), Parts(None) as parts:
        call.func(**call.arguments(call.tensors))
    return parts.loud


def all_operations():
    """Every operation of torch that takes two tensors or more and may be quiet, by its row."""
    names = sorted({schema.name for schema in torch._C._jit_get_all_schemas()})
    for name in names:
        library, _, plain = name.partition("::")
        packet = getattr(aten, plain, None) if library == "aten" else None
        for overload in packet.overloads() if hasattr(packet, "overloads") else ():
            func = getattr(packet, overload)
            tensors = sum("Tensor" in str(a.type) for a in func._schema.arguments)
            here = plain not in CRASHES and not ELSEWHERE.search(plain)
            runs = here and torch._C._dispatch_has_kernel(func.name())
            if tensors > 1 and runs and not func._schema.is_mutable and may_be_quiet(func):
                yield func


def may_be_quiet(func):
    return is_composite(func) or kind(func) not in ("product", "transform", "unknown")


# These multiply element by element and then sum, by operations of their own, which are counted as
# the elementwise work that they are.
BY_ELEMENT = {
    "linalg_vecdot", "trapezoid", "trapz", "cumulative_trapezoid", "cross_entropy_loss",
}  # fmt: skip


def survey():
    """What was tried, what of it multiplies and sums but is quiet, and why the rest was skipped."""
    tried, quiet, skipped = set(), set(), {}
    for func in all_operations():
        name = func._schema.name.removeprefix("aten::")
        try:
            calls = calls_of(func)
        except Unfit as unfit:
            skipped[name] = str(unfit)
            continue
        tried.add(name)
        pairs = ((c, *pair) for c in calls for pair in itertools.permutations(c.numbers(), 2))
        if any(multiplies_and_sums(*pair) and not is_loud(pair[0]) for pair in pairs):
            quiet.add(name)
    return tried, quiet, {name: why for name, why in skipped.items() if name not in tried}


@NEWEST
@pytest.mark.filterwarnings("ignore")
def test_nothing_that_multiplies_and_sums_two_tensors_is_quiet():
    tried, quiet, skipped = survey()
    assert quiet == BY_ELEMENT
    assert len(tried) > 150
    assert tried >= {"add", "lerp", "addcmul", "native_layer_norm", "native_group_norm", "dist",
                     "linear", "matmul", "bilinear", "grid_sampler_2d", "index_add"}  # fmt: skip
    assert set(skipped.values()) == {
        "arguments of other types",
        "does not run on small dense tensors here",
        "fewer than two tensors",
        "fewer than two tensors of numbers",
        "no finite numbers come out",
        "no numbers come out",
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "dot", "addmm", "linalg_cross",
                                  "_compute_linear_combination", "conv_tbc"])  # fmt: skip
def test_the_survey_knows_a_product_when_it_sees_one(name):
    calls = calls_of(getattr(aten, name).default)
    found = {pair for call in calls for pair in itertools.permutations(call.numbers(), 2)
             if multiplies_and_sums(call, *pair)}  # fmt: skip
    assert found
