"""A process is known by more than its number."""

import os
import shutil
import subprocess
import sys

import psutil
import pytest

import ctmar.store.writer as writer
from ctmar.store.writer import this_writer


def test_the_start_of_a_process_is_told_as_by_psutil():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    expected = psutil.Process(process.pid).create_time() - psutil.boot_time()
    assert writer._start_of(process.pid) / os.sysconf("SC_CLK_TCK") == pytest.approx(expected, abs=1.5)
    process.communicate(b"\n")
    assert writer._start_of(process.pid) is None


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no `ps`, which other systems than Linux always have")
def test_without_proc_the_system_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "_BOOT_ID", tmp_path / "none")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert writer._start_of(process.pid) == pytest.approx(psutil.Process(process.pid).create_time(), abs=1.5)
    process.communicate(b"\n")
    assert writer._start_of(process.pid) is None
    assert writer._machine() != this_writer().machine


def test_a_forked_process_is_another_writer():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(this_writer().pid).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 20)) == child
    assert this_writer().pid == os.getpid()
