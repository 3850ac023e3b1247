"""The benchmark of group discovery runs, and prints a line for each truth and a sum."""

import sys

import pytest
from benchmarks import group_discovery


@pytest.mark.parametrize("way", ["score, fitted", "distance, linear"])
def test_a_tiny_run(way, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["group_discovery", "--seeds", "1", "--images", "60", "--ways", way])
    monkeypatch.setattr(group_discovery, "TRUTHS", ("none", "C4"))
    group_discovery.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["none", "C4", "all"]
    counts = [int(line.split("right")[1].split()[0]) for line in lines]
    assert counts[2] == counts[0] + counts[1]
