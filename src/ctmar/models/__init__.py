"""Networks that correct metal artefacts in CT images."""

from ctmar.models.build import build_network, layer_types

__all__ = ["build_network", "layer_types"]
