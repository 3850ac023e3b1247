"""Which CT, of which patient, goes into which subset."""
