"""`pytest -m gpu`, file by file: a device-side assert spoils the process it happens in, and no other."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu_check.bundle import ROOT
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.worker import Settings

FOLDER = ROOT / "tests" / "gpu"
NONE_FAILS = Target("≤", 0, "0")
# beartype, which checks annotations elsewhere, is not in the bundle; and no plugin of that machine's pytest is wanted
ALONE = {"EQUIPROJ_SKIP_TYPE_HOOK": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def measure(settings: Settings, record: Recorder) -> None:
    """One row for each file of tests: how many failed."""
    for path in sorted(FOLDER.glob("test_*.py")):
        run_file(path, settings, record)


def run_file(path: Path, settings: Settings, record: Recorder) -> None:
    """Run a file under the limit that is left; a failure names its tests."""
    report = settings.output / f"{path.stem}.xml"
    report.unlink(missing_ok=True)
    name = str(path.relative_to(ROOT))
    command = [sys.executable, "-m", "pytest", "-m", "gpu", name, "-q", "-p", "no:cacheprovider", "-p", "no:doctest"]
    variables = os.environ | ALONE | {"EQUIPROJ_GPU_TESTS_ON": settings.device}
    try:
        subprocess.run(
            [*command, "--override-ini=addopts=--import-mode=importlib -rfE", f"--junitxml={report}"],
            cwd=ROOT,
            env=variables,
            check=False,
            timeout=max(1.0, settings.seconds_left()),
        )
    except subprocess.TimeoutExpired:
        record.missing(name, "failed: not done within the limit of the part")
        return
    if not report.is_file():
        record.missing(name, "failed: the process ended without a report")
        return
    tell(name, report, record)


def tell(name: str, report: Path, record: Recorder) -> None:
    """A row from pytest's own report."""
    suite = next(ElementTree.parse(report).iter("testsuite"))
    n_tests, n_skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    broken = [case.get("name", "?") for case in suite.iter("testcase") if case.find("failure") is not None]
    broken += [case.get("name", "?") for case in suite.iter("testcase") if case.find("error") is not None]
    note = f"{n_tests - n_skipped - len(broken)} passed, {n_skipped} skipped, {float(suite.get('time', 0)):.0f} s"
    if broken:
        note = f"failed: {', '.join(broken[:20])}; {note}"
    record(name, len(broken), f"failed of {n_tests}", NONE_FAILS, note)
