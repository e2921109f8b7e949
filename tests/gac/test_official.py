"""Released state dicts: every key of all 18 models, in and out, and what is refused."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gac
from gac.config import NeuronConfig
from gac.errors import InputError
from gac.registry import ARCHITECTURES
from gac.state import listed
from gac.training import fresh_model

MODELS = sorted(path.stem for path in (Path(__file__).parents[1] / "golden" / "keys").iterdir())
ONE_STEP = [name for name in MODELS if name.startswith("imagenet") and name.endswith("_t1")]
LOADABLE = [name for name in MODELS if name not in ONE_STEP]


def _steps(model):
    return int(model.rsplit("_t", 1)[1]) if "plain" in model else None


@pytest.fixture
def small(tiny_config):
    """A released CIFAR state dict, three stages, a few thousand weights."""
    config = replace(
        ARCHITECTURES["msresnet8"], stem_width=4, widths=(4, 6, 8), blocks=(2, 1, 1), steps=4
    )
    return gac.export_official(fresh_model(config, seed=3))


def test_eighteen_released_models_are_known():
    assert len(MODELS) == 18


@pytest.mark.parametrize("model", LOADABLE)
def test_a_round_trip_keeps_every_key_in_order_and_every_bit(golden_keys, model):
    rows, state = golden_keys(model)
    written = gac.export_official(gac.load_state(state, steps=_steps(model)))
    assert list(written) == [row["key"] for row in rows]
    for row in rows:
        tensor = written[row["key"]]
        assert list(tensor.shape) == row["shape"]
        assert str(tensor.dtype) == f"torch.{row['dtype']}"
        assert torch.equal(tensor, state[row["key"]])


@pytest.mark.parametrize("model", ONE_STEP)
def test_empty_temporal_attention_of_one_step_is_refused(golden_keys, model):
    _, state = golden_keys(model)
    with pytest.raises(InputError, match=r"the gac encoder needs at least 2 steps .* got 1"):
        gac.load_state(state)


@pytest.mark.parametrize(
    "model", ["cifar_gac_c100_t4", "cifar_plain_c10_t6", "imagenet_resnet34_t4"]
)
def test_the_configuration_follows_from_keys_and_shapes(golden_keys, model):
    _, state = golden_keys(model)
    name, changes = {
        "cifar_gac_c100_t4": ("msresnet18-cifar", {"steps": 4}),
        "cifar_plain_c10_t6": ("msresnet18-cifar", {"classes": 10, "encoder": "direct"}),
        "imagenet_resnet34_t4": ("msresnet34", {}),
    }[model]
    network = gac.load_state(state, steps=_steps(model))
    assert network.config == replace(ARCHITECTURES[name], **changes)
    assert not network.training


def test_names_of_one_tensor_share_its_memory_when_exported(small):
    assert small["conv1.weight"].data_ptr() == small["conv1_s.layer.module.weight"].data_ptr()


def test_an_exported_dict_is_a_copy(tiny_model):
    before = gac.export_official(tiny_model)["fc1.bias"].clone()
    exported = gac.export_official(tiny_model)
    exported["fc1.bias"].add_(1)
    assert torch.equal(tiny_model.head.bias, before)


def test_a_small_network_survives_the_official_format(small):
    again = gac.export_official(gac.load_state(small))
    assert all(torch.equal(again[key], small[key]) for key in small)


def test_the_callers_dict_and_tensors_stay_as_they_are(small):
    before = copy.deepcopy(small)
    model = gac.load_state(small)
    for parameter in model.parameters():
        parameter.data.add_(1)
    assert list(small) == list(before)
    assert all(torch.equal(small[key], before[key]) for key in small)


def test_loading_draws_no_random_numbers(small):
    before = torch.get_rng_state()
    gac.load_state(small)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_leading_module_is_dropped_where_every_key_has_it(small):
    model = gac.load_state({f"module.{key}": value for key, value in small.items()})
    assert torch.equal(model.head.bias, small["fc1.bias"])


def test_a_leading_module_on_some_keys_only_is_an_error(small):
    mixed = {("module." if "fc1" in key else "") + key: value for key, value in small.items()}
    with pytest.raises(InputError, match=r"missing: fc1.weight, .*unexpected: module\.fc1\.weight"):
        gac.load_state(mixed)


def test_the_order_of_keys_does_not_matter(small):
    model = gac.load_state(dict(reversed(small.items())))
    assert torch.equal(model.head.bias, small["fc1.bias"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bit_weights_are_widened_to_float32(small, dtype):
    narrow = {k: v.to(dtype) if v.is_floating_point() else v for k, v in small.items()}
    model = gac.load_state(narrow)
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, narrow["fc1.weight"].float())


def test_float64_weights_stay_float64(small):
    wide = {k: v.double() if v.is_floating_point() else v for k, v in small.items()}
    assert gac.load_state(wide).head.weight.dtype == torch.float64


def _without(key):
    return lambda state: state.pop(key)


def _set(key, change):
    return lambda state: state.update({key: change(state[key])})


def _poke(key, value):
    def change(tensor):
        changed = tensor.clone()
        changed.view(-1)[0] = value
        return changed

    return _set(key, change)


NORM = "layer2.0.bn2.seqbn.module.weight"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without("conv1.weight"), r"missing: conv1\.weight$"),
        (_without(NORM), rf"missing: {NORM}$"),
        (_without("layer3.0.conv1.weight"), r"missing: layer3\.0\.conv1\.weight$"),
        (
            _without("encoding.TA.sharedMLP.2.weight"),
            r"missing: encoding\.TA\.sharedMLP\.2\.weight$",
        ),
        (lambda s: s.update(extra=torch.zeros(1)), r"unexpected: extra$"),
        (
            lambda s: [s.pop(key) for key in list(s) if key.startswith("layer1.0.")],
            r"missing: layer1\.0\..* more; unexpected: layer1\.1\..* more$",
        ),
        (_poke(NORM, 7.0), rf"disagree: {NORM} \(differs from layer2\.0\.bn2\.bn\.weight\)$"),
        (_poke(NORM, float("nan")), rf"NaN or infinite values in {NORM}$"),
        (_poke("conv1.weight", float("inf")), r"NaN or infinite values in conv1\.weight$"),
        (_poke("bn1.bn.running_var", -1.0), r"negative variance in bn1\.bn\.running_var$"),
        (
            _set("conv1.weight", lambda t: t[:3]),
            r"wrongly shaped: conv1\.weight \(3x3x3x3 instead of 4x3x3x3\)$",
        ),
        (
            _set("fc1.weight", lambda t: t.T),
            r"wrongly shaped: fc1\.weight \(8x10 instead of 10x8\)$",
        ),
        (
            _set("encoding.TA.sharedMLP.2.weight", lambda t: t.sum()),
            r"wrongly shaped: encoding\.TA\.sharedMLP\.2\.weight \(scalar instead of 4x2x1x1x1\)$",
        ),
        (_set("fc1.bias", lambda t: t.to(torch.int32)), r"wrong dtype: fc1\.bias \(int32\); "),
        (
            _set("fc1.bias", lambda t: t.to(torch.complex64)),
            r"wrong dtype: fc1\.bias \(complex64\)",
        ),
        (
            _set("bn1.bn.num_batches_tracked", lambda t: t.float()),
            r"wrong dtype: bn1\.bn\.num_batches_tracked \(float32\)",
        ),
        (_set("fc1.bias", lambda t: t.tolist()), r"not plain tensors .*: fc1\.bias$"),
        (_set("fc1.bias", lambda t: t.to_sparse()), r"not plain tensors .*: fc1\.bias$"),
        (_set("fc1.bias", lambda t: t.to("meta")), r"not plain tensors .*: fc1\.bias$"),
        (
            _set("fc1.bias", lambda t: t[:1].clone().expand(10**10)),
            r"not plain tensors .*: fc1\.bias$",
        ),
        (lambda s: s.update({3: torch.zeros(1)}), r"not plain tensors .*: 3$"),
        (lambda s: s.clear(), r"not a GAC MS-ResNet: .* its keys are none; a network of your own"),
    ],
)
def test_a_spoilt_state_dict_is_refused_by_the_name_of_the_key(small, spoil, message):
    spoil(small)
    with pytest.raises(InputError, match=message) as caught:
        gac.load_state(small)
    assert "\n" not in str(caught.value)


def test_many_missing_keys_are_counted_after_the_first_few(small):
    for key in [key for key in small if key.startswith("layer3.0.downsample.bn.")]:
        del small[key]
    with pytest.raises(InputError, match=r"missing: [\w.]+, [\w.]+, [\w.]+ and 7 more$"):
        gac.load_state(small)


def test_another_network_is_refused_with_its_first_keys():
    from torchvision.models import resnet18

    with pytest.raises(InputError, match=r"not a GAC MS-ResNet: .*its keys are conv1\.weight, bn1"):
        gac.load_state(resnet18().state_dict())


@pytest.mark.parametrize("thing", [[], torch.zeros(3), None])
def test_what_is_no_state_dict_is_refused(thing):
    with pytest.raises(InputError, match="expected a state dict, got "):
        gac.load_state(thing)


def test_without_the_encoder_the_steps_have_to_be_said(golden_keys):
    _, state = golden_keys("cifar_plain_c10_t4")
    with pytest.raises(InputError, match="--steps"):
        gac.load_state(state)


@pytest.mark.parametrize(("steps", "fine"), [(4, True), (6, False)])
def test_steps_that_contradict_the_weights_are_refused(small, steps, fine):
    if fine:
        assert gac.load_state(small, steps=steps).steps == 4
    else:
        with pytest.raises(InputError, match="the weights are for 4 steps, asked for 6"):
            gac.load_state(small, steps=steps)


def test_zero_steps_are_refused(golden_keys):
    _, state = golden_keys("cifar_plain_c10_t4")
    with pytest.raises(InputError, match="steps must be at least 1, got 0"):
        gac.load_state(state, steps=0)


def test_a_neuron_the_released_code_does_not_have_cannot_be_exported(tiny_config):
    neuron = NeuronConfig(threshold=0.7, decay=0.5, surrogate="triangle", detach_reset=True)
    with pytest.raises(InputError, match="the official format knows two neurons"):
        gac.export_official(fresh_model(replace(tiny_config, neuron=neuron), seed=0))


def test_strides_the_released_code_does_not_have_cannot_be_exported(tiny_config):
    model = fresh_model(replace(tiny_config, strides=(2,)), seed=0)
    with pytest.raises(InputError, match=r"implies strides \(1,\)"):
        gac.export_official(model)


def test_a_list_of_three_names_has_no_rest():
    assert listed(["a", "b", "c"]) == "a, b, c"
