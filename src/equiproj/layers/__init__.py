"""Which weights of a module are meant, how a group acts on their channels, and what their projection is."""

from equiproj.layers.assignment import assign, assign_all, spectrally_normed
from equiproj.layers.coverage import Coverage
from equiproj.layers.declaration import (
    Declaration,
    FeatureType,
    Layer,
    LayerTypes,
    ParameterTypes,
    WeightDeclaration,
    named_layer,
)
from equiproj.layers.parameters import coverage, inferred_types, plain_parameters, typed_parameters
from equiproj.layers.typed_parameter import TypedParameter

__all__ = [
    "Coverage",
    "Declaration",
    "FeatureType",
    "Layer",
    "LayerTypes",
    "ParameterTypes",
    "TypedParameter",
    "WeightDeclaration",
    "assign",
    "assign_all",
    "coverage",
    "inferred_types",
    "named_layer",
    "plain_parameters",
    "spectrally_normed",
    "typed_parameters",
]
