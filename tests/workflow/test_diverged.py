"""A study of which runs diverge reaches its report; one that fails in the middle leaves no page that looks current."""

import re

import pytest
import yaml

from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import read_rows

pytestmark = pytest.mark.workflow


@pytest.fixture
def changed(snakemake, snakemake_on, tmp_path):
    """Snakemake on the small study with one section changed, under a name: ``changed(name, section, **changes)``."""

    def make(name: str, section: str, **changes: object):
        values = yaml.safe_load(snakemake.config.read_text())
        values[section] = {**values.get(section, {}), **changes}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return snakemake_on(path)

    return make


def test_a_study_of_which_runs_diverge_reaches_its_report(copied_study, changed):
    # in float32 the weight is infinite, and ∞ · 0 of the equivariant start is no number
    runs = [{"method": "plain"}, {"method": "projection", "norm": ["frobenius"], "lam_perp": [0.1, 1e39]}]
    study = changed("diverging", "study", runs=runs)
    done = study(copied_study)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    rows = read_rows(copied_study / "results" / "diverging" / "summary" / "diverged.csv", ("lam_perp", "seed", "where"))
    assert [(row["lam_perp"], row["seed"], row["where"]) for row in rows] == [
        ("1e+39", "0", "penalty"),
        ("1e+39", "1", "penalty"),
    ]
    page = (copied_study / "reports" / "diverging" / "index.html").read_text()
    banner = re.sub(r"\s+", " ", re.search(r'<aside class="banner".*?</aside>', page, re.DOTALL)[0])
    assert "2 runs diverged" in banner
    for seed in (0, 1):
        assert f"λ⊥ = 10³⁹, seed {seed}: at step 1 (penalty, loss nan)" in banner
    folders = [path.parent for path in (copied_study / "results" / "diverging" / "runs").rglob("not-finite.json")]
    assert len(folders) == 2
    assert all(not RunFolder(folder).weights.exists() for folder in folders)
    again = study(copied_study, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_study_that_fails_in_the_middle_leaves_no_page_that_looks_current(copied_study, changed, snakemake, tmp_path):
    report = copied_study / "reports" / "small"
    before = (report / "index.html").read_text()
    (tmp_path / "begun.pt").write_text("no weights")  # which the first training finds out
    networks = yaml.safe_load(snakemake.config.read_text())["study"]["networks"]
    done = changed("small", "study", networks={"dncnn": {**networks["dncnn"], "weights": "begun.pt"}})(copied_study)
    assert done.returncode != 0
    assert "begun.pt: expected a state dictionary of torch.save" in done.stdout + done.stderr
    assert sorted(path.name for path in report.iterdir()) == ["outdated", "unfinished"]
    assert "This report is not current" in (report / "outdated" / "index.html").read_text()
    page = (report / "unfinished" / "index.html").read_text()
    banner = re.sub(r"\s+", " ", re.search(r'<aside class="banner".*?</aside>', page, re.DOTALL)[0])
    assert "This study is not finished" in banner
    assert "Of 6 planned runs, 6 are missing from the numbers below" in banner
    assert re.search(r"its job did not come to it; an error: .*expected a state dictionary of torch\.save", banner)
    assert str(tmp_path) not in page
    assert str(copied_study) not in page
    text = (copied_study / "reports" / "index.html").read_text()
    assert '<a href="small/unfinished/index.html">small</a>' in text
    assert "not finished: the page shows what there is" in text
    done = snakemake(copied_study)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert not {"outdated", "unfinished"} & {path.name for path in report.iterdir()}
    assert len((report / "index.html").read_text()) == pytest.approx(len(before), rel=0.01)
    assert "not current" not in (copied_study / "reports" / "index.html").read_text()


def test_a_dry_run_and_a_touch_leave_the_page_where_it_is(copied_study, changed):
    page = copied_study / "reports" / "small" / "index.html"
    for option in ("--dry-run", "--touch"):
        changed("small", "report", title="Another")(copied_study, option)
        assert page.is_file()
