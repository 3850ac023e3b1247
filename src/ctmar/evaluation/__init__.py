"""Measurements on test pairs, intervals, and the paper's claims."""
