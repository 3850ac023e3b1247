"""Which weights of a module are meant, how a group acts on their channels, and what their projection is."""

from equiproj.layers.declaration import FeatureType, Layer, LayerTypes, named_layer
from equiproj.layers.parameters import TypedParameter, assign, plain_parameters, typed_parameters

__all__ = [
    "FeatureType",
    "Layer",
    "LayerTypes",
    "TypedParameter",
    "assign",
    "named_layer",
    "plain_parameters",
    "typed_parameters",
]
