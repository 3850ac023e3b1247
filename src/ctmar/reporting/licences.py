"""What the licences of the data allow, read from the texts in which sources name them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ctmar.config import Config
from ctmar.reporting.study_files import StudyTables

OTHER = "other"  # what the Hugging Face hub calls a licence that it has no name for
_NAMED = {  # its names, by how sources write them
    r"\bApache[- ]2\.0\b": "apache-2.0",
    r"\bMIT\b": "mit",
    r"\bBSD 3-clause\b": "bsd-3-clause",
    r"\bCC0(?:[- ]1\.0)?\b": "cc0-1.0",
}
_CREATIVE_COMMONS = re.compile(r"\bCC[- ]BY((?:[- ](?:NC|ND|SA))*)[- ](\d\.\d)", re.IGNORECASE)


@dataclass(frozen=True)
class RestrictedSource:
    """A source with conditions on use or on what is made of it: its patient, its licence, the subsets it is in."""

    patient: str
    licence: str
    ids: list[str]
    subsets: list[str]

    @property
    def trains(self) -> bool:
        """Whether any model was trained on it."""
        return "train" in self.subsets


def licence_ids(text: str) -> list[str]:
    """The licences that a text names, as the Hugging Face hub calls them; `OTHER` where it names none.

    Examples:
        >>> licence_ids("MIT (package); labelled as a case of CQ500, shared under CC BY-NC-SA 4.0")
        ['mit', 'cc-by-nc-sa-4.0']
        >>> licence_ids("ask the hospital")
        ['other']
    """
    found = [name for pattern, name in _NAMED.items() if re.search(pattern, text)]
    for conditions, version in _CREATIVE_COMMONS.findall(text):
        found.append(f"cc-by{conditions.replace(' ', '-')}-{version}".lower())
    return found or [OTHER]


def restricts(licence: str) -> bool:
    """Whether a licence by its name asks for more than to be named: no sale, no changes, or the same licence again.

    Examples:
        >>> restricts("cc-by-nc-sa-4.0"), restricts("cc-by-3.0"), restricts("other")
        (True, False, True)
    """
    return licence == OTHER or any(part in licence.split("-") for part in ("nc", "nd", "sa"))


def conditions_in_words(names: Sequence[str]) -> str:
    """What some licences ask of whoever shows or passes on images made from a source.

    Examples:
        >>> conditions_in_words(["mit", "cc-by-nc-sa-4.0"])
        'Its images, in the report and in the files of pairs, may be shown and passed on without gain only, under the \
same licence, and with the source named.'
    """
    parts = {part for name in names if restricts(name) for part in name.split("-")}
    if OTHER in parts:
        return "Its licence is not one that is known here: read it before you show or pass on its images."
    asked = [
        words
        for part, words in (("nc", "without gain only"), ("nd", "unchanged"), ("sa", "under the same licence"))
        if part in parts
    ]
    return (
        "Its images, in the report and in the files of pairs, may be shown and passed on "
        f"{', '.join(asked)}, and with the source named."
    )


def data_licences(sources: Sequence[Mapping[str, str]], config: Config) -> list[str]:
    """All licences of the data of a study."""
    texts = [source["licence"] for source in sources] or [config.source.licence]
    return list(dict.fromkeys(name for text in texts for name in licence_ids(text)))


def restricted_sources(results: StudyTables) -> list[RestrictedSource]:
    """The sources that restrict their use, with the subsets that they are in, in any fold."""
    return [
        RestrictedSource(source["patient"], source["licence"], ids, _subsets(results.split, source["patient"]))
        for source in results.sources
        if any(map(restricts, ids := licence_ids(source["licence"])))
    ]


def weights_licence(results: StudyTables, config: Config) -> str:
    """That of the software, unless somebody else has a say in the data that trained."""
    if not config.source.is_public or not results.sources:
        return OTHER
    return OTHER if any(source.trains for source in restricted_sources(results)) else "mit"


def _subsets(split: pd.DataFrame, patient: str) -> list[str]:
    return list(dict.fromkeys(split.loc[split["patient"] == patient, "subset"]))
