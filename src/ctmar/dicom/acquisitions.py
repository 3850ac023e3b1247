"""Images that one series mixes though they were not taken together: another pass, phase, dose or reconstruction."""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from pydicom.dataset import Dataset

from ctmar.dicom.headers import Image, text
from ctmar.store.quarantine import Refused

SAME_POSITION_MM = 0.01
_WHOLE = 0.9  # share of all positions that a pass covers
# What is the same for all images of one acquisition. Of frames the attributes of their groups, in the same place.
_CONSTANT = (
    ("AcquisitionNumber", "FrameAcquisitionNumber"),
    ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    ("NominalPercentageOfCardiacPhase", "NominalPercentageOfRespiratoryPhase"),
    ("KVP",),
)
# What may differ from slice to slice, so that it tells apart only what lies at the same position.
_VARYING = (
    ("AcquisitionDateTime", "FrameAcquisitionDateTime"),
    ("AcquisitionTime", "FrameReferenceDateTime"),
    ("TriggerTime", "TemporalPositionTimeOffset"),
    ("ContentTime",),
    ("Exposure", "ExposureInmAs"),
    ("XRayTubeCurrent", "XRayTubeCurrentInmA"),
)
_ATTRIBUTES = (*_CONSTANT, *_VARYING, ("SliceThickness",), ("InstanceNumber",))
TAGS = [keyword for keywords in _ATTRIBUTES for keyword in keywords]
_NUMBER_OF = {keywords[0]: number for number, keywords in enumerate(_ATTRIBUTES)}
_NONE_NEEDED = "none needed; to use another one, give its images in a folder without the others"

_LeftOut = list[tuple[Image, Refused]]


def acquisition_of(groups: Sequence[Dataset]) -> tuple[str, ...]:
    """What tells acquisitions apart: one value for each line of attributes, of the first group that has one."""
    found = []
    for keywords in _ATTRIBUTES:
        values = (text(group, keyword) for group in groups for keyword in keywords)
        found.append(next((value for value in values if value), ""))
    return tuple(found)


def _value(image: Image, keyword: str) -> str:
    return image.acquisition[_NUMBER_OF[keyword]] if image.acquisition else ""


def choose_acquisition(images: list[Image]) -> tuple[list[Image], _LeftOut]:
    """One whole group of images, where a series holds several that compete for the same place; and the others.

    Groups that lie one after the other, as those of a step-and-shoot scan do, belong together. Of groups that overlap
    by more than half the largest is kept, of equally large ones the first. What does not differ in any of the
    attributes above cannot be told apart, nor can exposures or times where no two images share a position: of two
    modulated exposures the slices that only one of them covers are added to the other.

    Returns:
        The images to keep, and those to leave out with the reason.
    """
    left_out: _LeftOut = []
    for keyword, *_ in _CONSTANT:
        images, others = _largest_group(images, keyword)
        left_out += others
    lost = _lost_positions(images)
    if lost is not None:
        return images[:1], left_out + [(image, lost) for image in images[1:]]
    for keyword, *_ in _VARYING:
        images, others = _whole_pass(images, keyword)
        left_out += others
    return images, left_out


def _places(images: Sequence[Image]) -> dict[int, int]:
    """For each image, by its number in the sequence, the number of its position from foot to head."""
    order = sorted(range(len(images)), key=lambda index: images[index].position_mm)
    found, place, first_mm = {}, -1, -float("inf")
    for index in order:
        if images[index].position_mm - first_mm >= SAME_POSITION_MM:
            place, first_mm = place + 1, images[index].position_mm
        found[index] = place
    return found


def _largest_group(images: list[Image], keyword: str) -> tuple[list[Image], _LeftOut]:
    groups: dict[str, list[Image]] = {}
    for image in images:
        groups.setdefault(_value(image, keyword), []).append(image)
    if not _any_overlap(list(groups.values())):
        return images, []
    kept: list[list[Image]] = []
    for name in sorted(groups, key=lambda name: (-len(groups[name]), _lossy(groups[name]), _number(name), name)):
        if not any(_compete(groups[name], other) for other in kept):
            kept.append(groups[name])
    chosen = {id(image) for group in kept for image in group}
    return _divide(images, lambda image: id(image) in chosen, _another(keyword, list(map(len, groups.values()))))


def _another(keyword: str, sizes: list[int]) -> Refused:
    which = "the largest" if sizes.count(max(sizes)) == 1 else "the first of the largest"
    told = " + ".join(map(str, sorted(sizes, reverse=True)[:4])) + (" + …" if len(sizes) > 4 else "")
    reason = (
        f"another acquisition in the same series: {keyword} tells {len(sizes)} apart ({told} images), {which} is kept"
    )
    return Refused(reason, _NONE_NEEDED)


def _divide(images: list[Image], keep: Callable[[Image], bool], refusal: Refused) -> tuple[list[Image], _LeftOut]:
    return [image for image in images if keep(image)], [(image, refusal) for image in images if not keep(image)]


def _extent(group: list[Image]) -> tuple[float, float]:
    positions = [image.position_mm for image in group]
    return min(positions), max(positions)


def _any_overlap(groups: list[list[Image]]) -> bool:
    extents = sorted(map(_extent, groups))
    return any(after[0] - before[1] < SAME_POSITION_MM for before, after in pairwise(extents))


def _compete(one: list[Image], other: list[Image]) -> bool:
    (low, high), (other_low, other_high) = _extent(one), _extent(other)
    shorter = min(high - low, other_high - other_low)
    overlap = min(high, other_high) - max(low, other_low)
    return overlap > -SAME_POSITION_MM if shorter < SAME_POSITION_MM else overlap > shorter / 2


def _lossy(group: list[Image]) -> bool:
    return any(image.lossy for image in group)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("inf")


def _lost_positions(images: list[Image]) -> Refused | None:
    """Several images, numbered apart, all at one position."""
    numbers = {(_value(image, "InstanceNumber"), image.frame) for image in images}
    if len(images) < 2 or len(numbers) < len(images) or ("", -1) in numbers or max(_places(images).values()) > 0:
        return None
    reason = f"all {len(images)} images of the series lie at one position: lost, or scanned again; one is kept"
    return Refused(reason, "if positions were lost, export the series again; else none needed")


def _whole_pass(images: list[Image], keyword: str) -> tuple[list[Image], _LeftOut]:
    """One pass over the positions where values differ at the same position; passes follow each other in the value."""
    place_of = _places(images)
    n_places = len(set(place_of.values()))
    values = [_value(image, keyword) for image in images]
    if n_places == len(images) or not _differ_at_one_place(place_of, values):
        return images, []
    # of two exposures the higher comes first: it has less noise
    sign = -1 if keyword in ("Exposure", "XRayTubeCurrent") else 1
    order = sorted(place_of, key=lambda index: (sign * _number(values[index]), values[index], place_of[index]))
    passes = _cut_where_a_place_repeats(order, place_of)
    largest = max(passes, key=len)
    if len(largest) >= _WHOLE * n_places:
        chosen, refusal = set(largest), _another(keyword, list(map(len, passes)))
    else:  # each place was scanned several times before the next one
        firsts: dict[int, str] = {}
        for index in order:
            firsts.setdefault(place_of[index], values[index])
        chosen = {index for index in order if values[index] == firsts[place_of[index]]}
        which = "highest" if sign < 0 else "first"
        reason = f"another image at the same position: {keyword} differs, the {which} of each position is kept"
        refusal = Refused(reason, _NONE_NEEDED)
    numbers = {id(image): index for index, image in enumerate(images)}
    return _divide(images, lambda image: numbers[id(image)] in chosen, refusal)


def _differ_at_one_place(place_of: dict[int, int], values: list[str]) -> bool:
    return len({(place_of[index], values[index]) for index in place_of}) > len(set(place_of.values()))


def _cut_where_a_place_repeats(order: list[int], place_of: dict[int, int]) -> list[list[int]]:
    passes: list[list[int]] = [[]]
    seen: set[int] = set()
    for index in order:
        if place_of[index] in seen:
            passes.append([])
            seen = set()
        passes[-1].append(index)
        seen.add(place_of[index])
    return passes


def by_thickness(images: list[Image]) -> list[list[Image]]:
    """Images of one slice thickness each: slices of 1 and 5 mm are two reconstructions, not one with gaps."""
    if len(set(map(_thickness_mm, images))) < 2:
        return [images]
    return [list(group) for _, group in groupby(sorted(images, key=_thickness_mm), _thickness_mm)]


def _thickness_mm(image: Image) -> float:
    return round(_number(_value(image, "SliceThickness")), 1)
