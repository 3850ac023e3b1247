"""How far every layer is from equivariant: where training left it, and on the way there."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from ctmar.errors import InputError
from ctmar.evaluation.columns import IDENTITY
from ctmar.evaluation.compared_models import Model
from ctmar.evaluation.run_results import RunResult

Row = dict[str, Any]
_NORMS = ("norm_equivariant", "norm_perpendicular")
Values = Mapping[str, Sequence[float]]  # by the name of the weight or bias


def layer_rows(models: Iterable[Model]) -> list[Row]:
    """Rows of layers.csv: means over the seeds of each model, of the weights that were kept.

    Raises:
        InputError: two runs of a model have other layers.
    """
    return [
        _identity(model) | row
        for model in models
        for row in _means([(run, _kept(run)) for run in model.runs], (*_NORMS, "ratio"))
    ]


def layer_curve_rows(models: Iterable[Model]) -> list[Row]:
    """Rows of layer_curves.csv: means over the seeds that have a record of an epoch.

    A run without the file is left out, and the counts of seeds say so.

    Raises:
        InputError: a record is malformed, or two runs of a model have other layers.
    """
    return [
        _identity(model) | {"epoch": epoch} | row
        for model in models
        for epoch, found in sorted(_by_epoch(model).items())
        for row in _means(found, _NORMS)
    ]


def layer_places(names: Sequence[str]) -> dict[str, Row]:
    """The depth, layer and parameter of every weight and bias, by its name.

    Examples:
        >>> layer_places(["first.weight", "first.bias", "last.weight"])["last.weight"]
        {'depth': 2, 'layer': 'last', 'parameter': 'weight'}
    """
    split = {name: name.rpartition(".")[::2] for name in names}
    depth = {layer: k for k, layer in enumerate(dict.fromkeys(layer for layer, _ in split.values()), start=1)}
    return {
        name: {"depth": depth[layer], "layer": layer, "parameter": parameter}
        for name, (layer, parameter) in split.items()
    }


def _kept(run: RunResult) -> Values:
    return {row.name: (row.norm_equivariant, row.norm_perpendicular, row.ratio) for row in run.description.layers}


def _by_epoch(model: Model) -> dict[int, list[tuple[RunResult, Values]]]:
    found: dict[int, list[tuple[RunResult, Values]]] = {}
    for run in model.runs:
        for record in run.folder.read_layers() if run.folder.layers.is_file() else []:
            found.setdefault(record.epoch, []).append((run, record.norms))
    return found


def _means(found: Sequence[tuple[RunResult, Values]], columns: Sequence[str]) -> Iterable[Row]:
    """A row for each weight and bias."""
    first, names = found[0][0], found[0][1].keys()
    for run, values in found:
        if values.keys() != names:
            raise InputError(f"{run.folder}: expected the layers of {first.folder}, found others")
    for name, place in layer_places(list(names)).items():
        values_of_runs = zip(*(values[name] for _, values in found), strict=True)
        yield place | dict(zip(columns, map(fmean, values_of_runs), strict=True)) | {"n_seeds": len(found)}


def _identity(model: Model) -> Row:
    return dict(zip(IDENTITY, model.identity, strict=True))
