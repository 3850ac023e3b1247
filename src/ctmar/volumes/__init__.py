"""CT and masks in volumes: files that hold all slices of a patient and say by an affine how they lie."""
