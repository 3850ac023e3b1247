"""The report before the judges of others: axe on accessibility, the Nu checker on HTML."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
TOOLS = Path(__file__).with_name("node_modules")
AXE, VNU = TOOLS / "axe-core" / "axe.min.js", TOOLS / "vnu-jar" / "build" / "dist" / "vnu.jar"
HOW = "npm ci --ignore-scripts --prefix tests/browser"
# its parser of style sheets is older than container queries, which every browser has had since 2023
YOUNGER_THAN_THE_CHECKER = ("container-type", "@container", "CSS: “max-width”: Parse Error.")


@pytest.mark.skipif(not AXE.is_file(), reason=f"axe-core is not there: {HOW}")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation_of_any_impact(browser, report_page, width, dark):
    browser.open(report_page, width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.run(AXE.read_text(encoding="utf-8"))
    found = browser.run("""axe.run(document, {resultTypes: ["violations"]}).then(result => result.violations.map(
        violation => [violation.id, violation.impact, violation.nodes.map(node => node.html.slice(0, 200))]))""")
    assert found == []


@pytest.mark.skipif(not VNU.is_file() or shutil.which("java") is None, reason=f"vnu needs Java and: {HOW}")
def test_the_page_is_valid_html(report_page):
    command = ["java", "-jar", str(VNU), "--format", "json", "--errors-only", str(report_page)]
    messages = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stderr)["messages"]
    found = [message["message"] for message in messages]
    assert [text for text in found if not any(young in text for young in YOUNGER_THAN_THE_CHECKER)] == []
