"""Metal artefacts by polychromatic fan-beam simulation: geometry, projector, physics, masks, baselines."""
