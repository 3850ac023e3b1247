"""Averaging a function over a group: exact equivariance of whatever was trained, at the price of |G| evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from equiproj.groups import FiniteGroup
from equiproj.groups.group import Element
from equiproj.representations import Representation
from equiproj.representations.action import act


class GroupAveraged(nn.Module):
    r"""Reynolds average of a module f over a finite group G, test-time augmentation by all of G.

    .. math:: \bar f(x) = \frac{1}{|G|} \sum_{g \in G} ρ_{out}(g)^{-1} f(g·x)

    It is exactly equivariant whatever f is, it is f where f is equivariant, and averaging again changes nothing: the
    orthogonal projection onto equivariant functions. Undo by using the wrapped ``module`` again; it is left as it is.

    Turned copies of the inputs go through ``module`` as one batch, so ``module`` has to treat the samples of a batch
    one by one: batch normalisation only in evaluation mode.

    Args:
        module: the function to average; its inputs and output are moved as by
            :func:`~equiproj.representations.action.act`.
        group: a finite group; with pixel axes it has to map pixels onto pixels.
        rho_in: representation on the channels of every input; None where channels stay as they are.
        rho_out: representation on the channels of the output; None where channels stay as they are.
        largest_batch: most samples that go through ``module`` at once, turned copies counted, to spare memory; a batch
            that is larger itself goes through once for each element. None: no limit.

    Raises:
        ValueError: ``largest_batch`` is below 1.

    Reference:
        Elesedy and Zaidi, Provably strict generalisation benefit for equivariant models, ICML 2021, arXiv 2102.10333:
        this operator, and that it is an orthogonal projection. Basu et al., Equi-Tuning, AAAI 2023, arXiv 2210.06475,
        average pretrained networks in this way and then train on; here nothing is trained afterwards.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> averaged = GroupAveraged(nn.Conv2d(1, 1, 3, padding=1), CyclicGroup(4))
        >>> image = torch.randn(1, 1, 8, 8)
        >>> difference = averaged(torch.rot90(image, dims=(2, 3))) - torch.rot90(averaged(image), dims=(2, 3))
        >>> bool(difference.abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        module: Callable[..., Tensor],
        group: FiniteGroup,
        rho_in: Representation | None = None,
        rho_out: Representation | None = None,
        largest_batch: int | None = None,
    ) -> None:
        super().__init__()
        if largest_batch is not None and largest_batch < 1:
            raise ValueError(f"expected a largest batch of at least 1, found {largest_batch}")
        self.module = module
        self.group, self.rho_in, self.rho_out = group, rho_in, rho_out
        self.largest_batch = largest_batch

    def forward(self, *inputs: Tensor) -> Tensor:
        """Average ρ_out(g)⁻¹ f(g·inputs) over the group."""
        turned = [(g, [act(batch, g, self.group, self.rho_in) for batch in inputs]) for g in self.group.elements]
        outputs = [output for bundle in self._bundles(turned) for output in self._turned_back(bundle)]
        return torch.stack(outputs).mean(dim=0)

    def _bundles(self, turned: list[tuple[Element, list[Tensor]]]) -> Iterator[list[tuple[Element, list[Tensor]]]]:
        """Copies of one shape (oblong images have two), as many together as ``largest_batch`` allows."""
        n_samples = max(1, len(turned[0][1][0]))
        n_together = len(turned) if self.largest_batch is None else max(1, self.largest_batch // n_samples)
        by_shape: dict[tuple[torch.Size, ...], list[tuple[Element, list[Tensor]]]] = {}
        for element, batches in turned:
            by_shape.setdefault(tuple(batch.shape for batch in batches), []).append((element, batches))
        for alike in by_shape.values():
            yield from (alike[first : first + n_together] for first in range(0, len(alike), n_together))

    def _turned_back(self, bundle: list[tuple[Element, list[Tensor]]]) -> Iterator[Tensor]:
        """One pass of a bundle, and what it gave for each element, turned back."""
        stacked = [torch.cat(copies) for copies in zip(*(batches for _, batches in bundle), strict=True)]
        for (element, _), output in zip(bundle, self.module(*stacked).chunk(len(bundle)), strict=True):
            yield act(output, self.group.inverse(element), self.group, self.rho_out)
