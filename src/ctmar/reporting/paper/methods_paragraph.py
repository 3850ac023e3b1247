"""A paragraph on methods to paste, as Markdown with citations (Pandoc's) and as LaTeX, every number from the study."""

import html
import re

from ctmar.config import Config
from ctmar.config.labels import number
from ctmar.reporting.diverged_runs import methods_of_all_runs, n_parameters
from ctmar.reporting.environment import environment
from ctmar.reporting.literature import ARCHITECTURES
from ctmar.reporting.paper.bibliography import data_key
from ctmar.reporting.paper.latex import latex
from ctmar.reporting.required_columns import measured
from ctmar.reporting.study_files import StudyTables
from ctmar.reporting.summary import counts, patients_in_words
from ctmar.reporting.wording import from_to
from ctmar.store.provenance import package_versions

_PARTS = re.compile(r"\[((?:@[\w-]+(?:; )?)+)\]|\*\*(.+?)\*\*")


def methods_markdown(results: StudyTables, config: Config) -> str:
    """The paragraphs as Pandoc's Markdown.

    Args:
        results: the study.
        config: its configuration.
    """
    n_data = len({source["citation"] for source in results.sources})
    records = [*results.records, *results.diverged]
    text = (
        environment()
        .get_template("paper_methods.md")
        .render(
            config=config,
            n=counts(results),
            n_planned=len(config.study.expand()),
            patients={name: patients_in_words(results.split, name) for name in ("train", "validation", "test")},
            n_folds=results.split["fold"].nunique() if len(results.split) else 0,
            n_parameters=n_parameters(results),
            methods=methods_of_all_runs(results),
            seeds=sorted({record.seed for record in records}),
            seeds_in_words=from_to(results.models["n_seeds"], "seed"),
            strengths=[f"{strength:g}" for strength in config.study.strengths] if any(config.study.strengths) else [],
            architectures=ARCHITECTURES,
            data_keys=[data_key(number) for number in range(1, n_data + 1)],
            confidence=number(100 * config.judgement.confidence, 0),
            has_defect=measured(results.models, "defect"),
            version=package_versions(["equiproj"])["equiproj"],
        )
    )
    return html.unescape(text).strip() + "\n"


def methods_latex(markdown: str) -> str:
    r"""The same as LaTeX.

    Examples:
        >>> methods_latex("**Data.** 5 % of it [@wang2004; @holm1979].")
        '\\textbf{Data.} 5 \\% of it~\\cite{wang2004,holm1979}.'
    """
    written, end = [], 0
    for found in _PARTS.finditer(markdown):
        written.append(_plain(markdown[end : found.start()]))
        if found[1]:
            keys = ",".join(key.strip().removeprefix("@") for key in found[1].split(";"))
            written[-1] = written[-1].rstrip(" ") + f"~\\cite{{{keys}}}"
        else:
            written.append(rf"\textbf{{{latex(found[2])}}}")
        end = found.end()
    return "".join([*written, _plain(markdown[end:])])


def _plain(text: str) -> str:
    return "\n".join(map(latex, text.split("\n")))
