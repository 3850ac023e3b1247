"""The toy Slurm leaves alone what is not its own."""

import os

import pytest
from tests.slurm import toy_cluster
from tests.slurm.toy_cluster import NoToyClusterError, ToyCluster, why_not


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A stand-in for /etc/slurm, on a machine that has Slurm and lets us be root."""
    folder = tmp_path / "etc"
    folder.mkdir()
    monkeypatch.setattr(toy_cluster, "SYSTEM", folder)
    monkeypatch.setattr(toy_cluster, "COMMANDS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return folder


def link(system, target):
    for name in ("slurm.conf", "gres.conf"):
        (system / name).symlink_to(target / f"equiproj-toy-{name}")


def test_an_empty_place_is_free(system):
    assert why_not() is None


@pytest.mark.parametrize("name", ["slurm.conf", "gres.conf"])
def test_a_configuration_of_somebody_else_is_left_alone(system, tmp_path, name):
    (system / name).write_text("ClusterName=real\n")
    assert why_not() == f"{system / name} is not of this toy; it is left alone"
    with pytest.raises(NoToyClusterError, match="left alone"):
        ToyCluster(tmp_path / "toy").start()
    assert (system / name).read_text() == "ClusterName=real\n"
    assert not (tmp_path / "toy").exists()


def test_a_link_of_somebody_else_is_left_alone(system, tmp_path):
    (system / "slurm.conf").symlink_to(tmp_path / "shared" / "slurm.conf")  # a file system that is not mounted yet
    assert "left alone" in why_not()
    ToyCluster(tmp_path / "toy").stop()
    assert (system / "slurm.conf").is_symlink()


def test_what_a_lost_toy_left_behind_is_found_and_taken_away(system, tmp_path, monkeypatch):
    link(system, tmp_path / "gone")
    assert why_not() is None
    found = ToyCluster.running()
    assert found == ToyCluster(tmp_path / "gone")
    monkeypatch.setattr(ToyCluster, "answers", lambda self: False)
    monkeypatch.setattr(toy_cluster, "_kill_what_is_left", lambda: None)
    found.stop()
    assert list(system.iterdir()) == []


def test_one_toy_does_not_end_another(system, tmp_path, monkeypatch):
    link(system, tmp_path / "first")
    asked = []
    monkeypatch.setattr(ToyCluster, "ask", lambda self, *command: asked.append(command))
    monkeypatch.setattr(toy_cluster, "_kill_what_is_left", lambda: asked.append("kill"))
    ToyCluster(tmp_path / "second").stop()
    assert asked == []
    assert ToyCluster.running() == ToyCluster(tmp_path / "first")


def test_a_second_toy_is_refused(system, tmp_path):
    link(system, tmp_path / "first")
    with pytest.raises(NoToyClusterError, match=r"there already, in .*first; stop it first"):
        ToyCluster(tmp_path / "second").start()


def test_a_cluster_named_by_the_environment_is_not_hidden(system, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/shared/slurm.conf")
    assert why_not() == "SLURM_CONF names a cluster of yours, /shared/slurm.conf"


def test_only_root_can(system, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "started by root" in why_not()


def test_missing_packages_are_named(system, monkeypatch):
    monkeypatch.setattr(toy_cluster, "COMMANDS", ("no-such-daemon",))
    assert "no-such-daemon not found" in why_not()
    assert "apt-get install" in why_not()
