"""Draws depend on seed, purpose and step, and on nothing else."""

from itertools import product

import torch

from ctmar.training.random_streams import numpy_generator, torch_generator, torch_seed

PURPOSES = ("initialisation", "order", "position", "method")


def test_every_seed_purpose_and_step_has_a_stream_of_its_own():
    seeds = {torch_seed(*key) for key in product(range(4), PURPOSES, range(5))}
    assert len(seeds) == 4 * len(PURPOSES) * 5


def test_draws_do_not_depend_on_what_was_drawn_before():
    expected = numpy_generator(3, "order", 7).integers(1000, size=5)
    numpy_generator(3, "order", 6).integers(1000, size=99)
    torch.rand(5)
    assert (numpy_generator(3, "order", 7).integers(1000, size=5) == expected).all()


def test_frozen_values():
    # a change here changes every trained network
    assert numpy_generator(0, "position", 1).integers(1000, size=3).tolist() == [967, 518, 322]
    assert torch.randint(1000, (3,), generator=torch_generator(0, "method", 1)).tolist() == [760, 753, 918]
