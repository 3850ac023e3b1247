"""Which share of the parameters of a module somebody looks at, and what nobody does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from equiproj.layers.declaration import skipping
from equiproj.layers.evaluating import evaluated
from equiproj.layers.kinds import kind_of

_N_NAMES = 8  # printed; the others are counted

Key = int | tuple[int, str]


@dataclass(frozen=True)
class Coverage:
    """Of the matrix parameters how many entries are covered, and which not; of the vectors how many.

    Matrices are weights of known layers, and whatever else has two axes longer than one. Tied parameters count once.

    Args:
        n_covered: entries of matrix parameters that are covered.
        n_entries: all entries of matrix parameters.
        missing: names of matrix parameters that are neither covered nor skipped, with their shapes.
        skipped: names of parameters that were left out on purpose.
        n_vectors_covered: vectors (biases, factors of normalisations) that are covered.
        missing_vectors: names of the others.

    Examples:
        >>> Coverage(3, 4, missing=(("a.weight", (1,)),), skipped=(), n_vectors_covered=0, missing_vectors=()).share
        0.75
    """

    n_covered: int
    n_entries: int
    missing: tuple[tuple[str, tuple[int, ...]], ...]
    skipped: tuple[str, ...]
    n_vectors_covered: int
    missing_vectors: tuple[str, ...]

    @property
    def share(self) -> float:
        """Covered entries of matrix parameters over all; 1 where there are none."""
        return self.n_covered / self.n_entries if self.n_entries else 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the matrix parameters that are not covered."""
        return tuple(name for name, _ in self.missing)

    def __str__(self) -> str:
        # rounded down: 100 % is said of everything alone
        percent = int(100 * self.n_covered // self.n_entries) if self.n_entries else 100
        parts = [f"{percent} % of matrix parameters ({self.n_covered:,} of {self.n_entries:,})"]
        if self.missing:
            parts.append("not covered: " + _listed([f"{name} {shape}" for name, shape in self.missing]))
        if self.skipped:
            parts.append("skipped: " + _listed(self.skipped))
        n_vectors = self.n_vectors_covered + len(self.missing_vectors)
        if n_vectors:
            parts.append(f"{self.n_vectors_covered} of {n_vectors} vectors")
        return "; ".join(parts)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _N_NAMES
    return ", ".join(names[:_N_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def coverage_of(
    module: nn.Module, covered: Sequence[tuple[nn.Module, str, str]], skip: str | Sequence[str] = ()
) -> Coverage:
    """Compare what is covered with what the module holds.

    Args:
        module: any module.
        covered: module, attribute and role (`map`, `bias` or `scale`) of what is covered.
        skip: patterns of names that are left out on purpose.

    Raises:
        ValueError: a parameter that is not initialised yet, by name.

    Examples:
        >>> attention = nn.MultiheadAttention(32, 4)
        >>> found = coverage_of(attention, [(attention.out_proj, "weight", "map")])
        >>> found.share, found.names
        (0.25, ('in_proj_weight',))
    """
    is_skipped = skipping(skip)
    keys = {_key(owner, attribute) for owner, attribute, _ in covered}
    maps = {_key(owner, attribute) for owner, attribute, role in covered if role == "map"}
    n_covered = n_entries = n_vectors_covered = 0
    missing, vectors, skipped = [], [], []
    for name, key, tensor, is_weight in _held(module):
        is_matrix = key in maps or is_weight or sum(size > 1 for size in tensor.shape) > 1
        if key not in keys and is_skipped(name):
            skipped.append(name)
        elif is_matrix:
            n_entries += tensor.numel()
            n_covered += tensor.numel() * (key in keys)
            missing += [] if key in keys else [(name, tuple(tensor.shape))]
        else:
            n_vectors_covered += key in keys
            vectors += [] if key in keys else [name]
    return Coverage(n_covered, n_entries, tuple(missing), tuple(skipped), n_vectors_covered, tuple(vectors))


def _key(owner: nn.Module, attribute: str) -> Key:
    """What tells tensors apart: itself, or for a computed one where it is computed."""
    held = owner._parameters.get(attribute)
    return id(held) if held is not None else (id(owner), attribute)


def _held(module: nn.Module) -> Iterator[tuple[str, Key, Tensor, bool]]:
    """Every parameter and parametrised tensor once, by its name, and whether it is a weight of a known layer."""
    seen: set[Key] = set()
    inside: set[int] = set()
    for prefix, owner in module.named_modules():
        if id(owner) in inside:
            continue
        computed: list[str] = []
        if is_parametrized(owner):
            lists = owner.get_submodule("parametrizations")
            inside.update(id(part) for part in lists.modules())
            computed = [name for name, each in lists.named_children() if isinstance(each, ParametrizationList)]
        kind = kind_of(owner)
        maps = kind is not None and kind.maps
        own = [name for name, parameter in owner._parameters.items() if parameter is not None]
        for attribute in (*own, *computed):
            name, key = f"{prefix}.{attribute}".lstrip("."), _key(owner, attribute)
            tensor = evaluated(owner, attribute)
            if is_lazy(tensor):
                raise ValueError(f"parameter {name!r}: expected one with a shape, found a lazy one; run a batch before")
            if key not in seen:
                seen.add(key)
                yield name, key, tensor, maps and tensor.ndim > 1 and "weight" in attribute
