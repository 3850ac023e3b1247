"""Large weights are projected field by field, without a table of all their entries."""

import tracemalloc

import pytest
import torch

from equiproj.groups import CyclicGroup, DihedralGroup, SymmetricGroup
from equiproj.projections import routes
from equiproj.projections.row_blocks import RowBlocks
from equiproj.representations import Representation, irrep, quotient, regular, trivial

C4, D4, S3 = CyclicGroup(4), DihedralGroup(4), SymmetricGroup(3)
TYPES = [
    (3 * regular(C4), 2 * regular(C4), (3, 3)),
    (5 * trivial(C4), 2 * regular(C4), ()),
    (2 * trivial(D4) + 3 * regular(D4) + quotient(D4, 4), 2 * regular(D4) + trivial(D4), (5, 5)),
    (2 * regular(S3) + trivial(S3), 3 * regular(S3), ()),
    (2 * irrep(C4, 1) + regular(C4), regular(C4) + irrep(C4, 1), (3, 3)),
]


@pytest.mark.parametrize(("rows", "columns", "kernel_shape"), TYPES, ids=str)
def test_field_by_field_is_the_same_projection(
    rows: Representation, columns: Representation, kernel_shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    routes.weight_map.cache_clear()
    whole = routes.weight_map(rows, columns, kernel_shape, 1, None)
    monkeypatch.setattr(routes, "N_ENTRIES_INDEXED", 0)
    routes.weight_map.cache_clear()
    by_field = routes.weight_map(rows, columns, kernel_shape, 1, None)
    routes.weight_map.cache_clear()
    assert isinstance(by_field, RowBlocks)
    flat = torch.randn(2, rows.dim * columns.dim * max(1, torch.Size(kernel_shape).numel()))
    torch.testing.assert_close(by_field(flat), whole(flat))


def test_its_tables_are_those_of_one_field() -> None:
    rho = 64 * regular(C4)
    routes.weight_map.cache_clear()
    tracemalloc.start()
    project = routes.weight_map(rho, rho, (3, 3), 1, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    weight = torch.randn(256 * 256 * 9)
    assert peak < weight.numel() * weight.element_size()
    torch.testing.assert_close(project(project(weight)), project(weight))
