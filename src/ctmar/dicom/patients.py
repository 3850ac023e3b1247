"""Who is who: identities that one examination connects are one patient."""

from collections.abc import Iterable
from dataclasses import replace

from ctmar.dicom.headers import Image

_RANKS = ("id ", "name ")  # what tells a person best comes first; see patient_identity


def merge_patients(images: Iterable[Image]) -> tuple[list[Image], int]:
    """Give all images that share a study or a frame of reference, directly or by others, one identity.

    An identifier that is missing in some files of a study would otherwise make two patients of one, and put them into
    training and test. Of several identities the patient's identifier is kept before the name, and that before the rest.

    Returns:
        The images, and the number of patients that carry several identifiers (or, without any, several names).
    """
    images = list(images)
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            parents[key] = key = parents[parents[key]]
        return key

    for patient, *links in {(image.patient, image.study, image.frame_of_reference) for image in images}:
        for link in filter(None, links):
            parents[root(f"uid {link}")] = root(f"patient {patient}")
    members: dict[str, list[str]] = {}
    for patient in sorted({image.patient for image in images}):
        members.setdefault(root(f"patient {patient}"), []).append(patient)
    identity = {patient: min(group, key=_rank) for group in members.values() for patient in group}
    return [_rename(image, identity[image.patient]) for image in images], sum(map(_in_conflict, members.values()))


def _rank(identity: str) -> tuple[int, str]:
    known = [number for number, start in enumerate(_RANKS) if identity.startswith(start)]
    return (known[0] if known else len(_RANKS)), identity


def _in_conflict(group: list[str]) -> bool:
    best = min(map(_rank, group))[0]
    return best < len(_RANKS) and sum(_rank(identity)[0] == best for identity in group) > 1


def _rename(image: Image, patient: str) -> Image:
    if image.patient == patient:
        return image
    return replace(image, patient=patient, series=patient + image.series.removeprefix(image.patient))
