"""The comparison of a study with itself under other kernels, where the report finds one."""

import json
import shutil
from dataclasses import replace

import pytest

from ctmar.errors import InputError
from ctmar.evaluation.kernels import compare_kernels
from ctmar.reporting.kernel_section import read_kernels
from ctmar.reporting.page import render_page


@pytest.fixture
def comparison(study, tmp_path):
    """The study beside a copy in which one primary verdict is another."""
    other = tmp_path / "other"
    shutil.copytree(study.summary, other)
    questions = json.loads((other / "questions.json").read_text())
    assert questions[0]["role"] == "primary"
    questions[0]["verdict"] = next(text for text in ("agrees", "not decided") if text != questions[0]["verdict"])
    (other / "questions.json").write_text(json.dumps(questions))
    found = compare_kernels({"this machine": study.summary, "avx2": other})
    return found | {"processors": ["AVX512", "AVX2"], "diverged": [0, 3]}


def test_the_report_shows_verdicts_and_spreads_where_there_are_any(comparison, results, page, config, tmp_path):
    assert "With the kernels of other processors" not in page
    path = tmp_path / "kernels.json"
    path.write_text(json.dumps(comparison))
    page = render_page(replace(results, kernels=read_kernels(path)), config)
    assert "With the kernels of other processors" in page
    n_primary = sum(row["role"] == "primary" for row in comparison["verdicts"])
    n_all = len(comparison["verdicts"])
    assert f"{n_primary - 1} of {n_primary} primary verdicts and {n_all - 1} of all {n_all} are the same" in page
    assert '<th scope="col">avx2 (AVX2, 3 diverged)</th>' in page
    assert "PSNR difference to plain [dB]</th>" in page


@pytest.mark.parametrize("text", ["", "[]", '{"settings": []}'])
def test_another_file_is_named(tmp_path, text):
    path = tmp_path / "kernels.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"kernels\.json: (not JSON|expected the keys)"):
        read_kernels(path)
