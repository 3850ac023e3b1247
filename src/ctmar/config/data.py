"""Sections about data: where CT comes from, how it becomes slices, who is in which subset, what is simulated."""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ctmar.config.section import SUBSETS, Section, Subset, UserPath

Metal = Literal["titanium", "ti6al4v", "cobalt_chromium", "steel", "amalgam"]


@dataclass(frozen=True)
class SourceKind:
    """What a kind of source is and needs; for volumes, the module of :mod:`ctmar.volumes` that reads such files."""

    meaning: str
    needs: Literal["folder", "manifest", "nothing"] = "folder"
    public: bool = False
    reader: str = ""
    suffixes: tuple[str, ...] = ()


SOURCE_KINDS = {
    "package": SourceKind("public CT inside pinned Python packages", needs="nothing", public=True),
    "dicom_dir": SourceKind("your own folder of DICOM"),
    "nifti_dir": SourceKind("your own folder of NIfTI", reader="nifti", suffixes=(".nii", ".nii.gz")),
    "nrrd_dir": SourceKind("your own folder of NRRD", reader="nrrd", suffixes=(".nrrd", ".nhdr")),
    "syndeeplesion": SourceKind("a copy of that benchmark, its slices and metal masks read as they are", public=True),
    "idc": SourceKind("series of the Imaging Data Commons, downloaded by a manifest", needs="manifest", public=True),
}


def readers_by_suffix() -> dict[str, str]:
    """Module of :mod:`ctmar.volumes` that reads the volumes with a suffix, whatever the kind of the source.

    Examples:
        >>> readers_by_suffix()[".nii.gz"]
        'nifti'
    """
    return {suffix: kind.reader for kind in SOURCE_KINDS.values() for suffix in kind.suffixes}


def _known_kind(kind: str) -> str:
    if kind not in SOURCE_KINDS:
        raise ValueError(f"expected one of {', '.join(SOURCE_KINDS)}")
    return kind


KindName = Annotated[str, AfterValidator(_known_kind), WithJsonSchema({"type": "string", "enum": list(SOURCE_KINDS)})]


class Source(Section):
    """Where CT comes from."""

    kind: KindName = Field(
        "package",
        description="; ".join(f"`{name}`: {kind.meaning}" for name, kind in SOURCE_KINDS.items())
        + ". In a folder, files of the other formats are read too.",
    )
    folder: UserPath | None = Field(
        None,
        description="Folder (or zip or tar archive) of "
        + ", ".join(f"`{name}`" for name, kind in SOURCE_KINDS.items() if kind.needs == "folder")
        + ".",
    )
    manifest: UserPath | None = Field(
        None, description="Manifest of `ctmar idc-manifest` that kind `idc` downloads; review it first."
    )
    patients: list[str] | None = Field(
        None, min_length=1, description="Patients to take (`patient` of the catalogue); `null`: all that are found."
    )
    licence: str = Field("not stated", description="Licence of your own data, for the dataset card.")
    citation: str = Field("not stated", description="Citation of your own data, for the dataset card.")

    @model_validator(mode="after")
    def _folder_goes_with_kind(self) -> "Source":
        needs = SOURCE_KINDS[self.kind].needs
        if needs == "manifest" and self.manifest is None:
            raise ValueError(f"manifest is needed for kind '{self.kind}': make one with `ctmar idc-manifest`")
        if needs == "folder" and self.folder is None:
            raise ValueError(f"folder is needed for kind '{self.kind}': give the folder that holds your CT")
        return self

    @property
    def is_public(self) -> bool:
        """Whether anybody can have the CT under its own licence."""
        return SOURCE_KINDS[self.kind].public


class Ingest(Section):
    """From files of CT to slices on the working grid."""

    image_size: int = Field(416, ge=32, le=1024, description="Rows and columns of the working grid [pixels].")
    pixel_mm: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="Pixel of the working grid [mm]; `null` fits the longer side of each slice to the grid.",
    )
    minimum_rows: int = Field(256, ge=16, description="Images with fewer rows or columns are quarantined [pixels].")
    derived_maps: bool = Field(
        False,
        description="Take DICOM images that say they are maps of iodine or electron density, differences or masks, too;"
        " their values are read as HU.",
    )
    maximum_slices_per_patient: int = Field(
        100, ge=1, description="Evenly spaced slices taken of each patient; those that fail a check are not replaced."
    )
    metal_hu: float = Field(2500.0, description="Above this a voxel counts as metal [HU].")
    maximum_metal_pixels: int = Field(20, ge=0, description="Slices with more metal than this are left out [pixels].")
    minimum_body_fraction: float = Field(
        0.1, ge=0, le=1, description="Slices whose body covers less of the working grid are left out."
    )
    maximum_border_fraction: float = Field(
        0.5, ge=0, le=1, description="Slices with body along more of the image border are left out (truncated)."
    )
    maximum_unpacked_gb: float = Field(
        50.0, gt=0, description="All zip and tar archives together may unpack to this [10⁹ bytes]."
    )
    maximum_archive_members: int = Field(200_000, ge=1, description="Files in all archives together.")
    maximum_archive_ratio: float = Field(
        200.0, gt=1, description="An archive may unpack to this many times its size; more is taken for a bomb."
    )
    salt_file: UserPath | None = Field(
        None,
        description="File whose content salts the hashes that stand for patients and files of your own data; keep it "
        "secret. `null` takes `~/.config/equiproj/salt`, which the first ingestion writes at random: keep a copy, and "
        "take it along to a machine that is to give the same patients the same names.",
    )


class Fold(Section):
    """Who trains and who validates in one fold; everybody else is tested."""

    train: list[str] = Field(min_length=1, description="Patients to train on (`patient` of the catalogue).")
    validation: list[str] = Field(min_length=1, description="Patients to validate on.")

    @model_validator(mode="after")
    def _nobody_is_named_twice(self) -> "Fold":
        twice = [name for name, n_times in Counter([*self.train, *self.validation]).items() if n_times > 1]
        if twice:
            raise ValueError(f"expected each patient in one list once, found '{twice[0]}' twice")
        return self


class Split(Section):
    """Which patient is in which subset; within a fold a patient is never in two."""

    seed: int = Field(0, ge=0, description="Seed of the order in which patients are dealt.")
    fractions: dict[Subset, float] = Field(
        {"train": 0.6, "validation": 0.2, "test": 0.2},
        description="Wanted share of the slices per subset; sums to 1.",
    )
    assignment: dict[str, Subset] = Field(
        {}, description="Patients put into a subset by name (`patient` of the catalogue); the rest is dealt."
    )
    folds: list[Fold] | Annotated[int, Field(ge=3)] = Field(
        [],
        description="Cross-fitting in place of one deal, so that every patient is tested by models that never saw it:"
        " who trains and who validates in each fold, all others being tested; or a number of folds, for which patients"
        " are dealt to as many groups, each tested in one fold and validated on in the one before. The runs of seed s"
        " are of fold s modulo the number of folds.",
    )

    @model_validator(mode="after")
    def _fractions_sum_to_one(self) -> "Split":
        if abs(sum(self.fractions.values()) - 1) > 1e-6:
            raise ValueError(f"fractions must sum to 1, found {sum(self.fractions.values()):g}")
        if set(self.fractions) != set(SUBSETS):
            raise ValueError(
                f"fractions needs exactly the keys {', '.join(SUBSETS)}, found {', '.join(self.fractions)}"
            )
        if self.folds and self.assignment:
            raise ValueError("expected folds or an assignment, found both")
        return self

    @property
    def named_folds(self) -> list[Fold]:
        """The folds that are written patient by patient."""
        return [] if isinstance(self.folds, int) else self.folds


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Asymmetry(Section):
    """How far the scan departs from one that commutes with the turns of its object: the dial ε of a study."""

    kind: Literal["motion", "limited_angle"] = Field(
        "motion",
        description="`motion`: the patient breathes while the views are taken, and moves up along the columns of the"
        " image; `limited_angle`: the views cover part of the turn.",
    )
    strength: float = Field(
        0.0,
        ge=0,
        le=1,
        description="ε of a simulation by itself (in a study the runs say it): 0 leaves the scan as it is; at 1 the"
        " excursion of a breath is 1 pixel of the working grid, or the views cover 120°.",
    )


class Signals(Section):
    """Low-contrast discs near the metal of some test images: what an observer is to find (detectability)."""

    images_per_patient: int = Field(
        5, ge=0, description="Images of each test patient that are simulated with discs and without; 0: none."
    )
    contrast_hu: float = Field(30.0, gt=0, description="What a disc has more than the tissue around it [HU].")
    diameter_mm: float = Field(12.0, gt=0, description="Diameter of a disc [mm]; at least 2 pixels.")
    reach_mm: float = Field(20.0, gt=0, description="Farthest of the centre of a disc from the metal [mm].")


class Simulation(Section):
    """Metal artefacts by polychromatic fan-beam simulation."""

    pairs: Literal["simulated", "stored"] = Field(
        "simulated",
        description="`stored`: the pairs that a copy of SynDeepLesion holds, as published; nothing is simulated.",
    )
    preset: Literal["benchmark", "physical"] = Field(
        "benchmark",
        description="`benchmark`: the shrunken geometry of SynDeepLesion; `physical`: the real pixel spacing.",
    )
    seed: int = Field(0, ge=0, description="Seed of the masks and of the photon noise.")
    masks_per_slice: dict[Subset, int] = Field(
        {"train": 4, "validation": 2, "test": 4}, description="Metal masks drawn for each slice of a subset."
    )
    photons: float = Field(2e7, gt=0, description="Photons per ray without an object: the dose, in proportion to mAs.")
    scatter: float = Field(20.0, ge=0, description="Scatter counts added to every ray.")
    metal: Annotated[list[Metal], BeforeValidator(_as_list)] = Field(
        ["titanium"],
        min_length=1,
        description="Material of the simulated metal; of several, each mask draws one.",
    )
    masks: Literal["drawn", "stored", "folder"] = Field(
        "drawn",
        description="`drawn`: made up for each slice; `stored`: those that came with the slices (SynDeepLesion:"
        " its test masks for the test subset); `folder`: your own files, each with one mask or a stack. Of more masks"
        " than wanted, each slice draws its own.",
    )
    mask_folder: UserPath | None = Field(
        None, description="Folder of masks in .png, .npy, .nii, .nii.gz or .mat for `masks: folder`."
    )
    nmar: list[Subset] = Field(
        ["test"], description="Subsets in which NMAR, the second baseline without learning, is computed too."
    )
    asymmetry: Asymmetry = Field(Asymmetry(), description="What of the scan breaks the symmetry of turns, and how far.")
    signals: Signals = Field(Signals(), description="What detectability near the metal is measured with.")
    store_sinograms: bool = Field(False, description="Keep the sinograms in the pair files (large).")
    shards: int = Field(1, ge=1, description="Jobs, and files, into which each subset is cut; no number depends on it.")

    @model_validator(mode="after")
    def _mask_folder_goes_with_masks(self) -> "Simulation":
        if (self.masks == "folder") != (self.mask_folder is not None):
            raise ValueError(
                f"mask_folder is for masks 'folder' and for no other, found masks '{self.masks}', {self.mask_folder}"
            )
        return self

    def at_strength(self, strength: float) -> "Simulation":
        """The same simulation with the asymmetry of the scan at ``strength``.

        Examples:
            >>> Simulation().at_strength(0.4).asymmetry.strength
            0.4
        """
        return self.model_copy(update={"asymmetry": Asymmetry(kind=self.asymmetry.kind, strength=strength)})
