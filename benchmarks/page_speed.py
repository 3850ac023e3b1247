"""How fast a report opens, by the browser's own clock.

    python benchmarks/page_speed.py reports/config/index.html

Opens the page again and again in headless Chromium, without network, and prints for each width the median and the
slowest of: first content (first contentful paint), the document parsed, all loaded, and the longest task of a script or
of the layout after that. The goals for the default study are 0.3 s for the first content and 1 s for all.
"""

import argparse
import importlib.util
import statistics
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).resolve().parents[1] / "tests" / "browser" / "chromium.py"
TIMES = """(async () => {
    const tasks = await new Promise(done => {
        const observer = new PerformanceObserver(list => done(list.getEntries().map(task => task.duration)));
        observer.observe({type: "longtask", buffered: true});
        setTimeout(() => done([]), 300);
    });
    const [load] = performance.getEntriesByType("navigation");
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return {
        "first content": paint.startTime,
        "parsed": load.domContentLoadedEventEnd,
        "loaded": load.loadEventEnd,
        "longest task": Math.max(0, ...tasks),
    };
})()"""


def harness() -> Any:
    """The browser of the tests."""
    spec = importlib.util.spec_from_file_location("chromium", HARNESS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--widths", type=int, nargs="+", default=[390, 1280, 1680])
    arguments = parser.parse_args()
    chromium = harness()
    executable = chromium.find_chromium()
    if executable is None:
        parser.error("expected a Chromium on PATH, found none")
    n_bytes = arguments.page.stat().st_size
    print(f"{arguments.page}: {n_bytes / 1e6:.2f} MB, {arguments.repeats} times; median (slowest) in ms")
    with chromium.Browser(executable) as browser:
        for width in arguments.widths:
            rounds = []
            for _ in range(arguments.repeats):
                browser.open(arguments.page, width=width)
                rounds.append(browser.run(TIMES))
            texts = [
                f"{name} {statistics.median(values):.0f} ({max(values):.0f})"
                for name in rounds[0]
                for values in [[one[name] for one in rounds]]
            ]
            n_elements = browser.run("document.querySelectorAll('*').length")
            print(f"{width} px: {', '.join(texts)}; {n_elements:,} elements")


if __name__ == "__main__":
    main()
