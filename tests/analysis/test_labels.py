"""Labels of samples and steps against a table with an entry for every single element."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counting import labels as label
from analysis.counting.labels import MIXED, NONE, STEP, UNKNOWN, LabelStore

SIZE = 48
SHAPES = [(48,), (2, 24), (3, 16), (2, 3, 8), (8, 3, 2), (2, 2, 12)]


@st.composite
def views(draw):
    """A function that makes a view of 48 elements: turned, cut, with every other entry."""
    shape, turned = draw(st.sampled_from(SHAPES)), draw(st.booleans())
    narrowed, stepped = draw(st.booleans()), draw(st.booleans())
    dim, place = draw(st.integers(0, 2)), draw(st.integers(0, 47))

    def view(base):
        x = base.view(shape)
        x = x.transpose(0, -1) if turned else x
        d = dim % x.dim()
        x = x.narrow(d, place % x.shape[d], 1) if narrowed else x
        return x[(slice(None),) * d + (slice(None, None, 2),)] if stepped else x

    return view


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(views(), st.integers(0, 2**16)), min_size=1, max_size=4), views())
def test_what_is_written_to_views_is_read_from_other_views(writes, reader):
    base, store = torch.zeros(SIZE), LabelStore()
    tables = [torch.full((SIZE,), NONE, dtype=torch.int16) for _ in range(2)]
    for view, seed in writes:
        part, random = view(base), np.random.default_rng(seed)
        sizes = [2, *(n if random.random() < 0.5 else 1 for n in part.shape)]
        written = random.integers(0, 3, sizes).astype(np.int16)
        store.write(part, written)
        for table, one in zip(tables, written, strict=True):
            view(table).copy_(torch.from_numpy(np.broadcast_to(one, part.shape).copy()))
    read = reader(base)
    found = np.broadcast_to(store.of(read), (2, *read.shape))
    assert found.tolist() == [reader(table).tolist() for table in tables]


def test_labels_survive_another_size_of_elements():
    x = torch.zeros(2, 4, dtype=torch.float64)
    store = LabelStore()
    store.write(x, label.along(label.nothing(2), STEP, 0, 2, 2))
    assert store.of(x.view(torch.float32))[STEP].ravel().tolist() == [0, 1]


def test_a_sum_keeps_what_all_share_and_mixes_the_rest():
    found = np.array([[[0, 0], [1, 1]], [[0, 1], [NONE, 1]]], dtype=np.int16)  # (2, B, T)
    assert label.merged_over(found, [1])[..., 0].tolist() == [[0, 1], [MIXED, 1]]
    assert label.merged_over(found, [0])[:, 0].tolist() == [[MIXED, MIXED], [0, 1]]


def test_what_nobody_knows_stays_unknown():
    unknown = label.constant(UNKNOWN, 0, 1)
    assert label.joined([unknown, label.constant(1, 2, 1)]).ravel().tolist() == [UNKNOWN, 2]


@pytest.mark.parametrize("steps", [(2, 0, 1), (1, 1, 2), (NONE, 0, 1)])
def test_steps_along_a_dimension_of_all_steps_go_by_their_place(steps):
    found = np.array([[0, 0, 0], steps], dtype=np.int16)
    assert label.by_place(found, (3,), 3)[STEP].tolist() == [0, 1, 2]


def test_steps_along_a_part_of_them_stay():
    found = np.array([[0, 0], [1, 2]], dtype=np.int16)
    assert label.by_place(found, (2,), 3)[STEP].tolist() == [1, 2]


def test_rows_share_what_no_sample_has_a_part_in():
    rows = label.rows_of(label.by_row(label.nothing(2)), 6, 3, inferred=False)
    assert rows.free
    assert rows.fold(torch.full((6,), 4.0), 3, 1).tolist() == [[8], [8], [8]]
    assert rows.fold(torch.tensor([1.0, 0, 0, 0, 0, 0]), 3, 1) is None


def test_rows_of_mixed_samples_belong_to_nobody_unless_nothing_is_there():
    rows = label.rows_of(np.array([[MIXED], [0]], dtype=np.int16), 2, 2, inferred=False)
    assert rows.fold(torch.tensor([1.0, 1.0]), 2, 3) is None
    assert rows.fold(torch.zeros(2), 2, 3).tolist() == [[0, 0, 0], [0, 0, 0]]
