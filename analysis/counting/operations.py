"""What every operation does to the elements it gets: one row each, in one table.

An operation is looked up by its name, so all its forms share a row: `add`, `add_`, `add.out`,
`_foreach_add`. Where one overload differs from the others it has a row of its own, such as
``max.other``. `register_operation` adds the operations of other libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from analysis.counting.inputs import tensors_in
from analysis.errors import InputError
from analysis.records import Work
from analysis.torch_internals import (
    TorchDispatchMode,
    has_composite_kernel,
    run_composite,
    without_view_tracking,
)

Kind = Literal[
    "moves", "makes", "elementwise", "reduces", "product", "transform", "unknown"
]  # fmt: skip
Rule = Callable[..., Any]  # (flow, result, **arguments by name) -> products, see `rules`

_TORCHS_OWN = ("aten", "prim", "prims")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one operation does.

    Attributes:
        kind: ``moves``: values are only placed elsewhere, some of them or all;
            ``makes``: the result holds nothing of the inputs;
            ``elementwise``: each element from those at its place, broadcast, or from its
            neighbours along a dimension that stays (softmax, norms, cumulative sums);
            ``reduces``: sums, extremes, pools and interpolations: several elements make one;
            ``product``: two inputs are multiplied and summed;
            ``transform``: as a product, but with numbers nobody passes in, or by a solver;
            ``unknown``: nobody said.
        work: The elementwise work that it is; None: none that counts.
        binary: What it does to zeros and ones: ``keeps`` those of its first input, ``gives``
            them whatever it gets, ``converts`` truth values to numbers.
        placed_by: What decides where a moved value goes; labels have to follow it.
        broadcasts: Whether dimensions are counted from the last.
        views: Whether the result shares the memory of an input.
        rule: Finds its products, if somebody registered one; torch's own are in `rules`.
    """

    kind: Kind
    work: Work | None = None
    binary: Literal["keeps", "gives", "converts"] | None = None
    placed_by: Literal["shape", "index", "values"] = "shape"
    broadcasts: bool = False
    views: bool = False
    rule: Rule | None = None

    @property
    def computes_nothing(self) -> bool:
        """Whether no arithmetic is done: views, copies, factories."""
        return self.kind in ("moves", "makes") and self.work is None


def _elementwise(work: Work | None, **more: Any) -> Operation:
    return Operation(kind="elementwise", work=work, broadcasts=True, **more)


def _reduces(work: Work, **more: Any) -> Operation:
    return Operation(kind="reduces", work=work, **more)


_MOVES = Operation(kind="moves")
_MOVES_BINARY = replace(_MOVES, binary="keeps")
_BY_INDEX = replace(_MOVES, placed_by="index")
_SPREADS = replace(_MOVES, broadcasts=True)
_MAKES = Operation(kind="makes")
_PRODUCT = Operation(kind="product")
_TRANSFORM = Operation(kind="transform")
_UNKNOWN = Operation(kind="unknown")

# What `operation_of` says of names without a row is in its docstring: views, elementwise ones.
_TABLE: tuple[tuple[Operation, str], ...] = (
    (_MOVES, """
        _lazy_clone _reshape_from_tensor _pin_memory _stack _chunk_cat _unsafe_view unsafe_split
        unsafe_chunk unsafe_split_with_sizes split_with_sizes as_strided_scatter diagonal_scatter
        select_scatter slice_scatter resize resize_as set lift _to_dense _to_sparse _to_sparse_csr
        _to_sparse_csc _to_sparse_bsr _to_sparse_bsc to_mkldnn _mkldnn_reshape _mkldnn_transpose
        _coalesce _nested_tensor_from_tensor_list _nested_from_padded to_padded_tensor block_diag
        _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward _pack_padded_sequence
        complex _conj_copy int_repr _copy_from _values_copy _indices_copy"""),
    (_MOVES_BINARY, """
        cat clone stack constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d
        replication_pad1d replication_pad2d replication_pad3d roll flip rot90 tril triu im2col
        pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle diag_embed
        upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
        _upsample_nearest_exact2d _upsample_nearest_exact3d"""),
    (replace(_MOVES_BINARY, broadcasts=True), "repeat"),
    (replace(_MOVES, binary="converts"), "_to_copy"),
    (_SPREADS, "copy masked_fill where fill.Tensor fill_.Tensor expand_copy"),
    (replace(_MOVES_BINARY, placed_by="index"), """
        index _unsafe_index index_select gather take repeat_interleave max_unpool2d max_unpool3d
        masked_select _unsafe_masked_index"""),
    (_BY_INDEX, """
        embedding scatter index_copy index_fill masked_scatter index_put.hacked_twin index_put
        _index_put_impl _unsafe_index_put put take_along_dim"""),
    (replace(_MOVES, placed_by="values"), """
        nonzero nonzero_static _unique _unique2 unique_dim unique_consecutive
        unique_dim_consecutive"""),
    (replace(_MOVES, placed_by="values", work="other", binary="keeps"), "sort topk"),
    (_MAKES, """
        empty empty_like empty_strided empty_permuted empty_quantized _efficientzerotensor eye full
        zeros ones new_empty new_empty_strided new_full new_zeros new_ones zeros_like ones_like
        full_like rand rand_like randn randn_like randint randint_like randperm arange range
        linspace logspace scalar_tensor tril_indices triu_indices bartlett_window blackman_window
        hamming_window hann_window kaiser_window fft_fftfreq fft_rfftfreq fill zero normal
        normal_functional uniform exponential geometric cauchy log_normal random bernoulli.p
        bernoulli_.float _new_zeros_with_same_feature_meta from_file _cudnn_init_dropout_state"""),
    (_elementwise("addition"), "add sub rsub"),
    (_elementwise("product"), "mul div"),
    (_elementwise("activation"), """
        sigmoid tanh gelu silu glu _softmax _log_softmax softmax log_softmax
        _safe_softmax _masked_softmax _prelu_kernel hardswish log_sigmoid_forward"""),
    (_elementwise("activation", binary="keeps"), "relu"),
    (_elementwise("normalisation"), """
        native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit
        _native_batch_norm_legit_no_training _native_batch_norm_legit_functional
        _batch_norm_no_update _batch_norm_with_update _batch_norm_with_update_functional
        batch_norm_elemt quantized_batch_norm native_layer_norm native_group_norm
        _fused_rms_norm renorm embedding_renorm _weight_norm_interface"""),
    (_elementwise(None, binary="gives"), "bernoulli"),
    (_elementwise("other", binary="gives"), """
        gt ge lt le eq ne logical_and logical_or logical_xor logical_not isnan isinf isfinite
        isposinf isneginf signbit isin gac::fire"""),
    (_elementwise("other"), """
        max.other min.other cumsum cumprod cummax cummin _cummax_helper _cummin_helper
        logcumsumexp _logcumsumexp native_dropout _fused_dropout _masked_scale rrelu_with_noise
        rrelu_with_noise_functional poisson binomial _standard_gamma _sample_dirichlet
        normal.Tensor_Tensor normal.Tensor_float normal.float_Tensor bucketize searchsorted
        floor_divide polar glu_jvp _thnn_fused_lstm_cell _thnn_fused_gru_cell
        _transform_bias_rescale_qkv _add_relu
        quantize_per_tensor quantize_per_tensor_dynamic quantize_per_channel dequantize
        _make_per_tensor_quantized_tensor _make_per_channel_quantized_tensor
        fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
        _fake_quantize_per_tensor_affine_cachemask_tensor_qparams
        _fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_channel_affine
        __irshift__ __ilshift__ __lshift__ __rshift__ __xor__ __ixor__"""),
    (_reduces("pooling"), """
        mean sum min amin adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
        _adaptive_avg_pool2d _adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d
        mkldnn_adaptive_avg_pool2d"""),
    (_reduces("pooling", binary="keeps"), """
        amax max max_pool1d max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d
        adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d quantized_max_pool1d
        quantized_max_pool2d quantized_max_pool3d mkldnn_max_pool2d mkldnn_max_pool3d"""),
    (_reduces("addition"), """
        index_add scatter_add scatter_reduce index_reduce _unsafe_masked_index_put_accumulate
        segment_reduce col2im"""),
    (_reduces("other"), """
        aminmax _aminmax nansum prod var var_mean std std_mean norm native_norm median nanmedian
        mode kthvalue argmax argmin logsumexp count_nonzero linalg_vector_norm trace
        linalg__powsum _foreach_powsum batch_norm_stats batch_norm_gather_stats
        batch_norm_gather_stats_with_counts batch_norm_update_stats multinomial histc
        upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
        _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa grid_sampler_2d
        grid_sampler_3d _grid_sampler_2d_cpu_fallback cudnn_grid_sampler dist mse_loss
        smooth_l1_loss huber_loss soft_margin_loss bincount histogram
        multilabel_margin_loss_forward _ctc_loss _cudnn_ctc_loss miopen_ctc_loss"""),
    (_reduces("other", binary="gives"), "any all _is_all_true _is_any_true"),
    (replace(_PRODUCT, work="addition"), "_embedding_bag _embedding_bag_forward_only"),
    (_PRODUCT, """
        mm bmm mv dot vdot addmm addmv addbmm baddbmm addr linear.out _int_mm _grouped_mm _scaled_mm
        _scaled_mm_v2 _scaled_addmm _scaled_grouped_mm _scaled_grouped_mm_v2 _addmm_activation
        _foreach_mm _weight_int8pack_mm _weight_int4pack_mm _weight_int4pack_mm_for_cpu
        _weight_int4pack_mm_with_scales_and_zeros _dyn_quant_matmul_4bit _mixed_dtypes_linear
        mkldnn_linear fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation
        fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation
        convolution _convolution convolution_overrideable conv_tbc cudnn_convolution
        cudnn_convolution_relu cudnn_convolution_add_relu cudnn_convolution_transpose
        miopen_convolution miopen_convolution_relu miopen_convolution_add_relu
        miopen_convolution_transpose miopen_depthwise_convolution mkldnn_convolution
        _mps_convolution _mps_convolution_transpose _nnpack_spatial_convolution
        _slow_conv2d_forward slow_conv3d_forward slow_conv_dilated2d slow_conv_dilated3d
        slow_conv_transpose2d slow_conv_transpose3d _conv_depthwise2d conv_depthwise3d
        _trilinear _cdist_forward _euclidean_dist _pdist_forward linalg_cross
        _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math_for_mps
        _flash_attention_forward _flash_attention_forward_no_dropout_inplace
        _efficient_attention_forward _cudnn_attention_forward
        _cudnn_attention_forward_no_dropout_inplace _triton_scaled_dot_attention
        _triton_multi_head_attention _native_multi_head_attention _transformer_encoder_layer_fwd
        mkldnn_rnn_layer _cudnn_rnn miopen_rnn _lstm_mps quantized_lstm quantized_gru
        quantized_lstm_cell quantized_gru_cell quantized_rnn_relu_cell quantized_rnn_tanh_cell
        sparse_sampled_addmm sspaddmm hspmm _sparse_addmm _sparse_sparse_matmul
        _sparse_mm_reduce_impl _cslt_sparse_mm _sparse_semi_structured_linear
        _sparse_semi_structured_mm _sparse_semi_structured_addmm
        convolution_backward _convolution_double_backward
        linear_backward matmul_backward mkldnn_linear_backward conv_tbc_backward
        nll_loss_forward nll_loss2d_forward multi_margin_loss binary_cross_entropy
        binary_cross_entropy_with_logits _compute_linear_combination"""),
    (_TRANSFORM, """
        _fft_c2c _fft_c2r _fft_r2c affine_grid_generator cudnn_affine_grid_generator
        cholesky_inverse cholesky_solve _cholesky_solve_helper geqrf ormqr lu_unpack
        triangular_solve _spsolve linalg_cholesky_ex linalg_eig linalg_eigvals _linalg_eigvals
        _linalg_eigh _linalg_svd _linalg_det _linalg_slogdet _linalg_solve_ex linalg_inv_ex
        linalg_pinv linalg_qr linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_ldl_factor_ex
        linalg_ldl_solve linalg_lstsq linalg_matrix_exp linalg_matrix_sqrth linalg_polar
        linalg_householder_product linalg_solve_triangular"""),
)  # fmt: skip
_ROWS = {name: row for row, names in _TABLE for name in names.split()}
_REGISTERED: dict[str, Operation] = {}  # by qualified name, such as mylib::spike_conv


def register_operation(
    name_or_func: Any, *, kind: Kind, work: Work | None = None, rule: Rule | None = None
) -> None:
    """Says what an operation of another library does, so that it is counted and not listed.

    Args:
        name_or_func: Its qualified name (``"mylib::spike_conv"``), or the operation itself.
        kind: What it does to elements, as in `Operation`.
        work: The elementwise work that it is, if it is.
        rule: Finds the products of a ``product``: called as ``rule(flow, result, **arguments)``
            with the arguments by the names in the schema, it returns a list of products; None if
            it can't tell, which lists the operation as uncounted.

    Raises:
        InputError: If the name, the kind or the work is none that is allowed.
    """
    name = _qualified_name(name_or_func)
    if name.count("::") != 1:
        raise InputError(f"operation {name!r} needs its library's name: 'mylib::{name}'")
    for what, value, allowed in (("kind", kind, get_args(Kind)), ("work", work, get_args(Work))):
        if value is not None and value not in allowed:
            raise InputError(f"{name}: {what} {value!r} is none of {', '.join(allowed)}")
    if rule is not None and kind != "product":
        raise InputError(f"{name}: only a product has a rule, not a {kind!r} operation")
    row = Operation(kind=kind, work=work, rule=rule, broadcasts=kind == "elementwise")
    _REGISTERED[name] = row
    operation_of.cache_clear()
    is_composite.cache_clear()


def _qualified_name(name_or_func: Any) -> str:
    """Of a name, an overload, a packet of overloads, or what `torch.library.custom_op` returns."""
    for found in ("_qualified_op_name", "_qualname"):
        name = getattr(name_or_func, found, None)
        if isinstance(name, str):
            return name
    schema = getattr(name_or_func, "_schema", None)
    return str(name_or_func if schema is None else schema.name)


@cache
def operation_of(func: Any) -> Operation:
    """What an operation does, by its row.

    Without one, a view moves values, and so does the copy of a view (``view_copy``); what torch
    calls pointwise is elementwise; what returns no tensor makes none; all else is unknown.

    Example:
        >>> operation_of(torch.ops.aten.add_.Tensor).work
        'addition'
        >>> operation_of(torch.ops.aten.max.dim).kind, operation_of(torch.ops.aten.max.other).kind
        ('reduces', 'elementwise')
    """
    row = _row(func)
    if row is not None or not hasattr(func, "_schema"):
        return row or _UNKNOWN
    forms = _forms(func)
    if func.is_view or (func._schema.is_mutable and any(f.is_view for f in forms)):
        return replace(_MOVES_BINARY, views=True)
    if any(torch.Tag.pointwise in f.tags for f in forms):  # of ``celu``, not all have the tag
        return _elementwise("other")
    schema = func._schema
    if schema.name.startswith("aten::") and schema.name.endswith("_copy"):
        return _MOVES
    if not schema.is_mutable and not any("Tensor" in str(r.type) for r in schema.returns):
        return _MAKES
    return _UNKNOWN


def _row(func: Any) -> Operation | None:
    """The row that somebody wrote for an operation."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        return None
    found = (
        _REGISTERED.get(name) or _ROWS.get(name.removeprefix("aten::"))
        for name in _names(schema.name, schema.overload_name)
    )
    return next(filter(None, found), None)


def _forms(func: Any) -> list[Any]:
    """An operation and its other forms: in place, into a tensor that is given, of lists."""
    forms = [func]
    for name in list(_names(func._schema.name, ""))[1:]:
        library, _, plain = name.partition("::")
        packet = getattr(getattr(torch.ops, library), plain, None)
        forms += [getattr(packet, overload) for overload in packet.overloads()] if packet else []
    return forms


def _names(name: str, overload: str) -> Iterator[str]:
    """The names an operation may be listed by, the most particular one first.

    Example:
        >>> list(_names("aten::fill_", "Tensor"))
        ['aten::fill_.Tensor', 'aten::fill_', 'aten::fill']
    """
    yield f"{name}.{overload.removesuffix('_out')}"
    yield name
    base = name
    if name.endswith("_") and not name.endswith("__"):
        base = name[:-1]
        yield base
    if "::_foreach_" in name:
        yield base.replace("::_foreach_", "::")


@cache
def is_composite(func: Any) -> bool:
    """Whether an operation is made of others, which are what counts: it has no row of its own."""
    if _row(func) is not None or not hasattr(func, "_schema"):
        return False
    return has_composite_kernel(func)


def run_parts(mode: TorchDispatchMode, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Runs the operations that a composite one is made of, in a mode that sees each.

    A model that is counted has to compute what it computes alone. The public ``func.decompose``
    may take a decomposition written in Python, which adds in another order; and views have to be
    made as outside of any mode, since ``matmul`` chooses its way by whether they need gradients.
    """
    # A composite view is made to one when it leaves the mode, as any other.
    with without_view_tracking(func), mode:
        return run_composite(func, args, kwargs)


def is_quiet(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], is_weight: Callable[[Tensor], bool]
) -> bool:
    """Whether an operation in which no product was found may go unmentioned.

    A product with weights is never a quiet nothing. What moves or makes values, or works element
    by element, sums no products. A reduction sums, and is quiet over weights alone or without any.
    A product without a rule and a transform are listed always, and what nobody knows if it takes
    weights or two tensors of numbers, or is of another library and takes any: that one may hold
    weights of its own. A single learned number is no weights.
    """
    kind = operation_of(func).kind
    if kind in ("moves", "makes", "elementwise"):
        return True
    if kind in ("product", "transform"):
        return False
    tensors = tensors_in(args) + tensors_in(kwargs)
    numbers = [x for x in tensors if x.is_floating_point() or x.is_complex()]
    weights = [x for x in tensors if x.dim() and is_weight(x)]
    if kind == "reduces":
        return not weights or all(map(is_weight, numbers))
    return not (weights or len(numbers) > 1 or (tensors and is_foreign(func)))


def is_foreign(func: Any) -> bool:
    """Whether an operation is of somebody else's library."""
    return getattr(func, "namespace", None) not in _TORCHS_OWN


def elements_of_work(func: Any, args: tuple[Any, ...], result: Any) -> tuple[Work, Tensor] | None:
    """What kind of elementwise work an operation is, and the tensor whose elements it touches.

    A reduction touches all it reads, the others what they write. What adds or spreads elements to
    places told by an index touches what is added, its last input.
    """
    row = operation_of(func)
    if row.work is None:
        return None
    adds = row.kind == "reduces" and row.work == "addition"
    touched = tensors_in(args if row.kind == "reduces" else result)
    return (row.work, touched[-1 if adds else 0]) if touched else None


@cache
def _arguments(func: Any) -> tuple[tuple[str, ...], dict[str, Any], frozenset[str]]:
    """The names of an operation's arguments, their defaults, and those that it writes to."""
    found = func._schema.arguments
    return (
        tuple(a.name for a in found),
        {a.name: a.default_value for a in found if a.has_default_value()},
        frozenset(a.name for a in found if a.alias_info is not None and a.alias_info.is_write),
    )


def bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operation by their names in its schema, with those left out.

    Example:
        >>> x = torch.ones(2, 2)
        >>> found = bound(torch.ops.aten.addmm.default, (x, x), {"mat2": x})
        >>> list(found), found["beta"]
        (['self', 'mat1', 'mat2', 'beta', 'alpha'], 1)
    """
    names, defaults, _ = _arguments(func)
    given = dict(zip(names, args, strict=False)) | kwargs
    return {name: given.get(name, defaults.get(name)) for name in names}


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes to."""
    names, _, writes = _arguments(func)
    if not writes:
        return []
    given = dict(zip(names, args, strict=False)) | kwargs
    return [leaf for name in names if name in writes for leaf in tensors_in(given.get(name))]
