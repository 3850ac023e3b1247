"""Random numbers by purpose."""

import numpy as np

from ctmar.simulation.noise import random_stream


def test_streams_depend_on_every_label_and_on_nothing_else():
    labels = [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a", 1, "mask")]
    draws = [random_stream(*label).random(4).tolist() for label in labels]
    assert len({tuple(draw) for draw in draws}) == len(labels)
    assert draws[0] == random_stream(0, "a", 1).random(4).tolist()


def test_streams_are_uncorrelated():
    a, b = (random_stream(0, "slice", k).standard_normal(20_000) for k in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_frozen_value():
    assert random_stream(0, "p/1/0000", 0, "photons").integers(1000, size=3).tolist() == FROZEN


FROZEN = [253, 161, 560]
