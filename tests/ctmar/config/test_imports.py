"""The configuration is read by every command and every worker process: it must stay small."""

import subprocess
import sys


def test_the_configuration_needs_no_torch():
    program = (
        "import sys; from ctmar.config import RunGroup; RunGroup(method='projection', norm=['mixed:2,1']); "
        "raise SystemExit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
