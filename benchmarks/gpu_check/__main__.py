"""The command: runs the parts one after the other and keeps the result; imports nothing but the standard library."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.gpu_check import bundle as bundles
from benchmarks.gpu_check import machine
from benchmarks.gpu_check.parts import PARTS, SANITIZER, Part, part_named
from benchmarks.gpu_check.report import markdown
from benchmarks.gpu_check.result import Result
from benchmarks.gpu_check.running import Options, run_part


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    import benchmarks.gpu_check as package

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--device", choices=("cuda", "cpu"), default="cuda", help="(%(default)s)")
    add("--quick", action="store_true", help="everything small: for two cores, to see that it runs")
    add("--part", action="append", choices=[part.key for part in PARTS], help="only this part; may be repeated")
    add("--limit", action="append", default=[], metavar="PART=SECONDS", help="another time limit of a part")
    add("--sanitizer", action="store_true", help="also run the kernels under compute-sanitizer (minutes, not counted)")
    add("--trace", action="store_true", help="also write profiles of steps, for chrome://tracing")
    add("--bundle", type=Path, default=bundles.BUNDLE, help="folder made by `make gpu-bundle` (%(default)s)")
    add("--output", type=Path, default=bundles.ROOT / "benchmarks/results/gpu_check", help="folder of the result")
    given = parser.parse_args(arguments)
    try:
        given.limits = {key: float(seconds) for key, seconds in (text.split("=") for text in given.limit)}
    except ValueError:
        parser.error(f"--limit: expected PART=SECONDS such as b=90, found {given.limit}")
    if not (given.bundle / "pairs.h5").is_file():
        parser.error(f"--bundle: no pairs.h5 in {given.bundle}; run `make gpu-bundle` where there is a network")
    return given


def environment(given: argparse.Namespace) -> dict[str, str]:
    """Variables for the processes of the parts: the repository's code, and the bundle's packages before all others."""
    site = given.output / "site"
    if not site.is_dir():
        site.mkdir(parents=True)
        bundles.declare_this_package(site)
        if (given.bundle / "wheels").is_dir():
            bundles.unpack_wheels(given.bundle / "wheels", site)
    paths = [str(path.resolve()) for path in (bundles.ROOT / "src", bundles.ROOT, site)]
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.environ | {"PYTHONPATH": os.pathsep.join([*paths, *inherited]), "PYTHONUNBUFFERED": "1"}


def chosen_parts(given: argparse.Namespace) -> list[Part]:
    """What is run, in order."""
    parts = [part_named(key) for key in given.part] if given.part else list(PARTS)
    return [*parts, SANITIZER] if given.sanitizer else parts


def main() -> None:
    """Run, tell, and end with 1 if a part did not come to its end or missed a test."""
    given = parse(sys.argv[1:])
    given.output.mkdir(parents=True, exist_ok=True)
    variables = environment(given)
    options = Options(given.device, given.quick, given.trace, given.bundle.resolve(), given.output.resolve())
    facts = machine.describe(variables, given.device)
    started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    result = Result(given.output / "result.json", given.device, given.quick, started, facts)
    for part in chosen_parts(given):
        usual = part.quick_limit_s if given.quick else part.limit_s
        print(f"\n== {part.key}: {part.title}", flush=True)
        outcome = run_part(part, given.limits.get(part.key, usual), options, variables)
        result.add(part, outcome)
        print(f"-- {outcome['outcome']} after {outcome['seconds']:.0f} s", flush=True)
    text = markdown(result.as_dict())
    (given.output / "result.md").write_text(text, encoding="utf-8")
    print("\n" + text + f"\nIn all {result.seconds():.0f} s; {given.output / 'result.json'}")
    raise SystemExit(0 if result.is_complete() else 1)


if __name__ == "__main__":
    main()
