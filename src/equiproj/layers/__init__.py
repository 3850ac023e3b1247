"""Which weights of a module are meant, how a group acts on their channels, and what their projection is."""

from equiproj.layers.coverage import Coverage
from equiproj.layers.declaration import FeatureType, Layer, LayerTypes, named_layer
from equiproj.layers.parameters import (
    ParameterTypes,
    TypedParameter,
    assign,
    coverage,
    inferred_types,
    plain_parameters,
    typed_parameters,
)

__all__ = [
    "Coverage",
    "FeatureType",
    "Layer",
    "LayerTypes",
    "ParameterTypes",
    "TypedParameter",
    "assign",
    "coverage",
    "inferred_types",
    "named_layer",
    "plain_parameters",
    "typed_parameters",
]
