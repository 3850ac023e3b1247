"""Approximate equivariance by projection-based regularisation, for any group and any torch module."""
