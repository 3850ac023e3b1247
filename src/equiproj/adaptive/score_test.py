"""Whether the gradient at the strict solution contradicts the symmetry, and the weight of the penalty that follows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Unpack

import torch
from torch import Tensor, nn

from equiproj.adaptive.evidence import STRICT, Evidence, greatest_evidence
from equiproj.adaptive.input_covariance import power_of
from equiproj.adaptive.lanczos import SpectralMeasure, exact_measures, spectral_measure
from equiproj.adaptive.linearised import Batch, LinearisedLoss, Loss, linearised_loss, perpendicular
from equiproj.adaptive.score_rows import ScoreRow, ScoreTest
from equiproj.adaptive.shape import effective_rank, hoyer_sparsity
from equiproj.adaptive.variance import Variance, variance_of_mean
from equiproj.groups import Group
from equiproj.layers import TypedParameter, WeightDeclaration, typed_parameters
from equiproj.layers.evaluating import evaluating
from equiproj.regularisers.bundles import as_matrices

# ‖W − P(W)‖ below this share of W, entry by entry, is the rounding of a projection.
_ROUNDING = 1e-5
# A weight of no more entries has its curvature built as a matrix: about as many products as Lanczos steps would take.
_N_EXACT = 256


def score_test(
    module: nn.Module,
    group: Group | str | None = None,
    *,
    loss: Loss,
    batches: Iterable[Batch],
    n_examples: int | None = None,
    observations: str = "examples",
    n_probes: int = 16,
    n_steps: int = 10,
    chunk_size: int = 64,
    n_draws: int = 0,
    covariances: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    **declaration: Unpack[WeightDeclaration],
) -> ScoreTest:
    """λ⊥ of every weight from the gradients at the strict solution, without a grid and without validation data.

    Train a network that is equivariant (`StrictEquivariance`, or `project_` after every step), and take the
    parametrisation off. There the gradient of the task has no equivariant part left, and (1 − P)∇ is noise if the
    symmetry holds. Its excess over the noise, which the single examples tell, says how far W wants to leave P(W);
    λ⊥ is the weight of greatest evidence for that layer, the others being strict. Called again at weights that were
    trained with the penalty, it extrapolates to P(W), layer by layer. That second look is the better one: what the
    strict network cannot explain no longer passes for noise, and what several layers could explain counts once.

    It costs two passes over the data, one with a gradient for each example (`torch.func`), and for each weight
    (n_probes + 1) · n_steps Gauss–Newton products, or one for each entry where they are no more than 256. The module
    runs in evaluation mode.

    Args:
        module: the network; its weights have to be plain parameters.
        group: the group, where `layers=` does not give representations.
        loss: (outputs, targets) → mean over the examples of a batch, with second derivatives; called with batches of
            one example under `torch.func.vmap`.
        batches: (inputs, targets) with the examples along the first axis; inputs are a tensor, or a tuple or dictionary
            of what the module is called with. The data that the network was trained with, or others that it was not.
        n_examples: of the training that the weights are for; by default those in `batches`.
        observations: `examples`, or `batches` where `torch.func` cannot take the module apart: then 30 batches or more.
        n_probes: random vectors for traces; weights of no more entries than that, or than 256, have exact ones.
        n_steps: Lanczos steps.
        chunk_size: examples whose gradients are held at a time.
        n_draws: gradients that a dense Gaussian W − P(W) could have made, for `choose_norm`: a product and a gradient
            in memory for each.
        covariances: of `input_covariances`; λ⊥ and the evidence are then those of `InputWeightedPenalty`, for the
            weights that have one.
        seed: of the random vectors.
        declaration: `layers`, `parameters`, `skip`, `strict`, `example`, `input_type`, `hidden_type`, `output_type`,
            `include_bias` as for `typed_parameters`.

    Raises:
        ValueError: fewer than two observations, or all alike, a gradient that is not finite, a parametrised weight, a
            weight the loss does not curve in, or layers that do not fit the declaration.

    References:
        docs/derivation.md, equations 9.1 to 9.7. Lin, Biometrika 84, 1997, for the score test of a variance component;
        MacKay, Neural Computation 4, 1992, for the evidence.

    Examples:
        >>> from equiproj import ProjectionPenalty, project_
        >>> from equiproj.groups import CyclicGroup
        >>> _ = torch.manual_seed(0)
        >>> inputs = torch.randn(400, 4)
        >>> targets = inputs @ torch.tensor([[1.0], [1.0], [1.0], [1.5]]) + 0.1 * torch.randn(400, 1)
        >>> layer, types = nn.Linear(4, 1, bias=False), {"input_type": "regular"}
        >>> _ = nn.init.constant_(layer.weight, 1.125)  # the best invariant one
        >>> found = score_test(layer, CyclicGroup(4), loss=nn.functional.mse_loss, batches=[(inputs, targets)], **types)
        >>> found.rows[0].p_value < 1e-6
        True
        >>> penalty = ProjectionPenalty(layer, CyclicGroup(4), weight_perpendicular=found.weights["weight"], **types)
    """
    entries = typed_parameters(module, group, **declaration)
    linearised = linearised_loss(module, loss, batches, entries)
    scale = linearised.n_examples / (n_examples or linearised.n_examples)
    with torch.no_grad(), evaluating(module):
        probes = [_probes(entry, n_probes, seed) for entry in entries]
        variances = variance_of_mean(linearised, probes, observations, chunk_size, n_draws=n_draws, seed=seed)
        _check_gradients(entries, variances)
        found = [
            _local(linearised, k, variance.mean, probes[k], n_steps, (covariances or {}).get(entries[k].name))
            for k, variance in enumerate(variances)
        ]
        rows = [
            _row(linearised, entry, variance, local, scale)
            for entry, variance, local in zip(entries, variances, found, strict=True)
        ]
        draws = [
            _dense_draws(linearised, index, local.gradient, variance, seed)
            for index, (local, variance) in enumerate(zip(found, variances, strict=True))
        ]
    names = [entry.name for entry in entries]
    gradients, spreads, drawn = (
        {entry.name: _as_matrices(value, entry) for entry, value in zip(entries, values, strict=True)}
        for values in (
            [local.gradient[None] for local in found],
            [variance.of_entries[None] * scale for variance in variances],
            draws,
        )
    )
    return ScoreTest(
        tuple(rows),
        {name: gradients[name][0] for name in names},
        {name: spreads[name][0] for name in names},
        drawn if n_draws else {},
    )


def _check_gradients(entries: Sequence[TypedParameter], variances: Sequence[Variance]) -> None:
    for entry, variance in zip(entries, variances, strict=True):
        if not (variance.mean.isfinite().all() and variance.of_entries.isfinite().all()):
            raise ValueError(f"{entry.name}: expected finite gradients of the loss, found NaN or infinity")
        if variance.total <= _ROUNDING**2 * float(variance.mean.square().sum()) and variance.mean.any():
            raise ValueError(f"{entry.name}: expected observations with different gradients, found all alike: no noise")


def _dense_draws(linearised: LinearisedLoss, index: int, gradient: Tensor, variance: Variance, seed: int) -> Tensor:
    """H β of Gaussian β, at the length of the gradient's excess over its noise, plus noise."""
    entry, noise = linearised.parameters[index], variance.draws
    if not len(noise):
        return noise
    drawn = torch.randn(noise.shape, generator=torch.Generator().manual_seed(seed), dtype=noise.dtype)
    signal = linearised.curvature(index, perpendicular(entry, drawn.to(noise.device)))
    excess = (gradient.square().sum() - variance.total).clamp_min(0)
    size = signal.square().sum(1).mean()
    return noise + torch.where(size > 0, excess / size, 0).sqrt() * signal


class _Local(NamedTuple):
    """The quadratic approximation around P(W), in the kernel of P: gradient, rise of the loss, trace and spectra of H.

    The spectra are those of H and the gradient in the coordinates in which the penalty is the Frobenius norm.
    """

    gradient: Tensor
    rise: float
    trace: float
    score: SpectralMeasure
    curvature: SpectralMeasure


def _local(
    linearised: LinearisedLoss,
    index: int,
    gradient: Tensor,
    probes: Tensor,
    n_steps: int,
    covariance: Tensor | None,
) -> _Local:
    entry, product = linearised.parameters[index], partial(linearised.curvature, index)
    value = entry.read_as_held()
    rest, rise = perpendicular(entry, value.reshape(1, -1)), 0.0
    if float(rest.abs().max()) > _ROUNDING * float(value.abs().max()):
        bent = product(rest)[0]
        rise = float(0.5 * (rest[0] @ bent) - gradient @ rest[0])
        gradient = gradient - bent
    score, curvature = _spectra(product, gradient, probes, n_steps)
    trace = float(curvature.integral(lambda h: h))
    if covariance is not None:
        change = partial(_times, entry, power_of(covariance, -0.5).to(gradient))
        score, curvature = _spectra(
            lambda vectors: change(product(change(vectors))), change(gradient[None])[0], probes, n_steps
        )
    return _Local(gradient, rise, trace, score, curvature)


def _spectra(
    product: Callable[[Tensor], Tensor], gradient: Tensor, probes: Tensor, n_steps: int
) -> tuple[SpectralMeasure, SpectralMeasure]:
    if len(probes) == len(gradient):
        return exact_measures(product, gradient, probes / len(probes) ** 0.5)
    measure = spectral_measure(product, torch.cat([gradient[None], probes]), n_steps)
    return measure.of(0, 1), measure.of(1, 1 + len(probes))


def _times(entry: TypedParameter, factor: Tensor, vectors: Tensor) -> Tensor:
    """Flat values of a weight, each as a matrix times a factor of its columns; layers with such inputs store rows."""
    rows = entry.projector.weight_shape[0]
    return (vectors.reshape(len(vectors), rows, -1) @ factor).flatten(1)


def _row(
    linearised: LinearisedLoss, entry: TypedParameter, variance: Variance, local: _Local, scale: float
) -> ScoreRow:
    size, n_examples, n_outputs = float(local.gradient.square().sum()), linearised.n_examples, linearised.n_outputs()
    dimension, trace = local.curvature.total(), local.trace
    evidence = Evidence(0.0, 0.0, 0.0, 0.0)
    dispersion = n_examples * variance.total / trace + 2 * local.rise / n_outputs if trace > 0 else 0.0
    if dispersion > 0:
        evidence = greatest_evidence(
            local.score, local.curvature, dispersion=dispersion, n_examples=n_examples, n_outputs=n_outputs
        )
    elif trace > 0:  # every example is explained: no weight has more evidence than another
        evidence = Evidence(STRICT * trace / dimension, 0.0, 0.0, 0.0)
    elif size > 0:
        raise ValueError(
            f"{entry.name}: expected a loss with second derivatives in the outputs, found none; it has a gradient"
        )
    matrix = _as_matrices(local.gradient[None], entry)[0]
    return ScoreRow(
        name=entry.name,
        score=size,
        noise=variance.total,
        p_value=variance.p_value(size, dimension),
        curvature=trace / dimension if dimension > 0 else 0.0,
        dispersion=evidence.dispersion,
        tau_squared=evidence.tau_squared,
        weight=evidence.weight * (scale if evidence.tau_squared > 0 else 1),
        effective_rank=effective_rank(matrix),
        sparsity=hoyer_sparsity(matrix),
        log_evidence=evidence.gain,
    )


def _probes(entry: TypedParameter, n_probes: int, seed: int) -> Tensor:
    """Random signs, or √n times all unit vectors of a small weight with n entries, less their equivariant part."""
    value = entry.read_as_held()
    wide, n = torch.promote_types(value.dtype, torch.float32), value.numel()
    if n <= max(n_probes, _N_EXACT):
        signs = n**0.5 * torch.eye(n, dtype=wide)
    else:
        drawn = torch.randint(0, 2, (n_probes, n), generator=torch.Generator().manual_seed(seed))
        signs = (2 * drawn - 1).to(wide)
    return perpendicular(entry, signs.to(value.device))


def _as_matrices(flat: Tensor, entry: TypedParameter) -> Tensor:
    return as_matrices(flat.reshape(len(flat), *entry.projector.weight_shape), entry.projector)
