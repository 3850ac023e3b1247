"""Networks that correct metal artefacts in CT images."""

from ctmar.models.build import build_network, layer_types
from ctmar.models.published import load_published_weights, load_weights

__all__ = ["build_network", "layer_types", "load_published_weights", "load_weights"]
