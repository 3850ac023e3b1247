"""Step times of networks that a study times and does not train."""

from dataclasses import replace

import pandas as pd

from ctmar.reporting.page import render_page, series_marks
from ctmar.reporting.timed_networks import timed_networks


def test_only_networks_without_models_are_shown_with_their_own_conditions(results, page, config):
    assert timed_networks(results, series_marks(results)) == []
    assert 'id="timed-1"' not in page
    larger = results.cost.assign(network="acdnet", n_parameters=1_602_809, batch_size=1, patch_size=32)
    larger["milliseconds_per_step"] *= 10
    timed = replace(results, cost=pd.concat([results.cost, larger], ignore_index=True))
    (network,) = timed_networks(timed, series_marks(timed))
    assert (network.name, network.n_parameters) == ("acdnet", "1,602,809")
    page = render_page(timed, config)
    assert "Steps of “acdnet”, 1,602,809 parameters" in page
    assert "480 ms (processor time) with a batch of 1 × 32 × 32 pixels (1 thread, cpu)" in page
    assert page.count('id="timed-1"') == 1
