"""NRRD lies in the patient as NIfTI does, in every spelling of the format, and no file harms."""

import bz2
import gzip
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import nibabel
import nrrd
import numpy as np
import pytest

from ctmar.config import Ingest, Source
from ctmar.datasets.ingest import ingest
from ctmar.store.quarantine import Refused
from ctmar.store.slices import read_slices
from ctmar.store.tables import read_rows
from ctmar.volumes.displayed import Volume, open_volume

SETTINGS = Ingest(image_size=64, pixel_mm=2.0, minimum_rows=32)
SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "RAS": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "LAS": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "LPS": (-1, -1, 1),
}
ENCODINGS = {
    "raw": bytes,
    "gzip": gzip.compress,
    "gz": gzip.compress,
    "bzip2": bz2.compress,
    "bz2": bz2.compress,
}


@pytest.fixture
def volume(phantom):
    """Four slices in displayed orientation; slice k carries its number in a corner."""
    displayed = np.stack([phantom] * 4)
    displayed[:, 0, 0] = [100, 200, 300, 400]
    return displayed.astype(np.int16)


def as_nifti(displayed: np.ndarray, codes: str = "LPS") -> nibabel.Nifti1Image:
    """Voxels along ``codes``, 2 mm × 3 mm × 5 mm, with nibabel's affine (RAS)."""
    affine = np.diag([-2.0, -3.0, 5.0, 1.0])
    affine[:3, 3] = [60, 50, -20]
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("LPS"), nibabel.orientations.axcodes2ornt(codes)
    )
    return nibabel.Nifti1Image(displayed.transpose(2, 1, 0), affine).as_reoriented(turn)


def header_of(image: nibabel.Nifti1Image, space: str = "left-posterior-superior", **fields: object) -> dict:
    """The fields of a NRRD header that puts the voxels of a NIfTI image to the same place."""
    affine = np.diag([*SPACES[space], 1]) @ image.affine
    vectors = [f"({','.join(map(repr, map(float, vector)))})" for vector in affine[:3].T]
    return {
        "type": "short",
        "dimension": 3,
        "space": space,
        "sizes": " ".join(map(str, image.shape)),
        "space directions": " ".join(vectors[:3]),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": vectors[3],
    } | {key.replace("_", " "): value for key, value in fields.items()}


def write(path: Path, header: dict, data: bytes = b"", newline: str = "\n") -> Path:
    lines = ["NRRD0004", "# a comment", *(f"{key}: {value}" for key, value in header.items() if value is not None)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((newline.join(lines) + 2 * newline).encode() + data)
    return path


def bytes_of(image: nibabel.Nifti1Image, kind: str = "<i2") -> bytes:
    return np.asarray(image.dataobj).astype(kind).tobytes(order="F")


def opened(path: Path) -> Volume:
    return open_volume(path, 16, "nrrd")


def read(path: Path) -> np.ndarray:
    found = opened(path)
    (part,) = found.parts(range(found.n_slices))
    return np.stack([displayed.image for displayed in part.read()])


def reason(path: Path) -> str:
    with pytest.raises(Refused) as refusal:
        read(path)
    assert refusal.value.remedy
    return refusal.value.reason


ALL_CODES = [
    "".join(codes) for order in itertools.permutations(["LR", "PA", "SI"]) for codes in itertools.product(*order)
]


@pytest.mark.parametrize("codes", ALL_CODES)
@pytest.mark.parametrize("space", ["LPS", "right-anterior-superior"])
def test_axes_in_any_order_and_direction_are_displayed_alike(tmp_path, volume, codes, space):
    image = as_nifti(volume, codes)
    path = write(tmp_path / "ct.nrrd", header_of(image, space), bytes_of(image))
    np.testing.assert_array_equal(read(path), volume)
    found = opened(path)
    assert (found.row_mm, found.column_mm, found.spacing_mm, found.first_mm) == pytest.approx((3, 2, 5, -20))


@pytest.mark.parametrize("space", SPACES)
def test_every_spelling_of_a_space_gives_what_nifti_gives(tmp_path, volume, space):
    image = as_nifti(volume, "PSR")
    nibabel.save(image, tmp_path / "ct.nii.gz")
    nifti = open_volume(tmp_path / "ct.nii.gz", 16, "nifti")
    path = write(tmp_path / "ct.nrrd", header_of(image, space), bytes_of(image))
    np.testing.assert_array_equal(read(path), volume)
    for name in ("rows", "columns", "n_slices", "row_mm", "column_mm", "spacing_mm", "first_mm", "tilt_degrees"):
        assert getattr(opened(path), name) == pytest.approx(getattr(nifti, name), abs=1e-5), name


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("name", "kind", "endian"), [("int16", "<i2", "little"), ("signed int", ">i4", "big"), ("float", ">f4", "big")]
)
def test_every_encoding_type_and_order_of_bytes(tmp_path, volume, encoding, name, kind, endian):
    image = as_nifti(volume)
    header = header_of(image, encoding=encoding, type=name, endian=endian)
    path = write(tmp_path / "ct.nrrd", header, ENCODINGS[encoding](bytes_of(image, kind)), newline="\r\n")
    np.testing.assert_array_equal(read(path), volume)
    stored, _ = nrrd.read(str(path))  # an oracle of the format
    np.testing.assert_array_equal(stored, np.asarray(image.dataobj))


@pytest.mark.parametrize("encoding", ["ascii", "text", "txt"])
def test_numbers_in_text(tmp_path, volume, encoding):
    image = as_nifti(volume)
    numbers = "\n".join(map(str, np.asarray(image.dataobj).ravel(order="F").tolist()))
    header = header_of(image, encoding=encoding, endian=None)
    np.testing.assert_array_equal(read(write(tmp_path / "ct.nrrd", header, numbers.encode())), volume)
    short = write(tmp_path / "short.nrrd", header, numbers[:2000].encode())
    assert reason(short) == "fewer voxels than the header says"
    words = write(tmp_path / "words.nrrd", header, numbers.replace("800", "bone", 1).encode())
    assert reason(words).startswith("voxels cannot be read")
    nan = write(tmp_path / "nan.nrrd", header, numbers.replace("800", "nan", 1).encode())
    assert reason(nan).startswith("voxels cannot be read")


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("field", ["data file", "datafile"])
def test_a_detached_header(tmp_path, volume, encoding, field):
    image = as_nifti(volume)
    header = header_of(image, encoding=encoding) | {field: "ct.raw"}
    (tmp_path / "ct.raw").write_bytes(ENCODINGS[encoding](bytes_of(image)))
    path = write(tmp_path / "ct.nhdr", header)
    np.testing.assert_array_equal(read(path), volume)
    assert opened(path).paths == (path, tmp_path / "ct.raw")
    # the blank line after the last field may be missing where no voxel follows
    path.write_bytes(path.read_bytes().rstrip())
    np.testing.assert_array_equal(read(path), volume)


def test_lines_and_bytes_before_the_voxels(tmp_path, volume):
    image = as_nifti(volume)
    header = header_of(image) | {"data file": "ct.raw"}
    (tmp_path / "ct.raw").write_bytes(b"one\ntwo\n123" + bytes_of(image))
    np.testing.assert_array_equal(read(write(tmp_path / "a.nhdr", header | {"line skip": 2, "byte skip": 3})), volume)
    np.testing.assert_array_equal(read(write(tmp_path / "b.nhdr", header | {"byteskip": -1})), volume)
    beyond = write(tmp_path / "c.nhdr", header | {"byte skip": 10**15})
    assert reason(beyond) == "fewer voxels than the header says"
    assert reason(write(tmp_path / "d.nhdr", header | {"line skip": 10**15})) == "fewer voxels than the header says"


def test_a_data_file_must_not_leave_the_folder(tmp_path, volume):
    image = as_nifti(volume)
    folder = tmp_path / "in"
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes_of(image))
    folder.mkdir()
    (folder / "link.raw").symlink_to(secret)
    for name in ("../secret.raw", str(secret), "link.raw", "in/../../secret.raw"):
        path = write(folder / "ct.nhdr", header_of(image) | {"data file": name})
        assert reason(path) == "a data file that leaves the folder"
    os.mkfifo(folder / "pipe")
    for name in ("missing.raw", "pipe", ".", "x" * 5000, "nul\0.raw"):
        path = write(folder / "ct.nhdr", header_of(image) | {"data file": name})
        assert reason(path) == "the data file that the header names is not there"
    for name in ("LIST", "LIST 2", "slice%03d.raw 1 4 1"):
        assert reason(write(folder / "ct.nhdr", header_of(image) | {"data file": name})) == "voxels in several files"


def test_what_lies_at_no_known_place_in_a_patient(tmp_path, volume):
    image = as_nifti(volume)
    header, data = header_of(image), bytes_of(image)
    unknown = "no orientation: no anatomical space with a direction for each axis"
    for changes in (
        {"space": "scanner-xyz"},
        {"space": "right-up"},
        {"space": None},
        {"space directions": None, "spacings": "2 3 5"},
        {"space directions": "(1,0) (0,1) (1,1)"},
    ):
        assert reason(write(tmp_path / "ct.nrrd", header | changes, data)) == unknown
    colours = header | {"space directions": "none (1,0,0) (0,1,0)"}
    assert reason(write(tmp_path / "ct.nrrd", colours, data)).startswith("an axis that is no direction in space")
    metres = header | {"space units": '"m" "m" "m"'}
    assert reason(write(tmp_path / "ct.nrrd", metres, data)) == "the unit of length is not mm"
    flat = header | {"space directions": "(1,0,0) (0,1,0) (0,0,0)"}
    assert reason(write(tmp_path / "ct.nrrd", flat, data)) == "the affine is not a transformation"
    no_origin = write(tmp_path / "ct.nrrd", header | {"space origin": None}, data)
    np.testing.assert_array_equal(read(no_origin), volume)
    assert np.isnan(opened(no_origin).first_mm)


@pytest.mark.parametrize("degrees", [8, 15])
def test_oblique_and_tilted_as_nifti_is(tmp_path, volume, degrees):
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = nibabel.Nifti1Image(volume.transpose(2, 1, 0), turn @ np.diag([-2.0, -3.0, 5.0, 1.0]))
    path = write(tmp_path / "ct.nrrd", header_of(image), bytes_of(image))
    if degrees > 10:
        assert reason(path) == "not axial: tilted by more than 10°"
    else:
        np.testing.assert_array_equal(read(path), volume)
        assert opened(path).geometry().tilt_degrees == pytest.approx(0, abs=1e-5)  # the stack is tilted as a whole
    sheared = np.diag([-2.0, -3.0, 5.0, 1.0])
    sheared[1, 2] = 5 * np.tan(np.radians(8))
    image = nibabel.Nifti1Image(volume.transpose(2, 1, 0), sheared)
    path = write(tmp_path / "sheared.nrrd", header_of(image), bytes_of(image))
    assert opened(path).geometry().tilt_degrees == pytest.approx(8)


def test_several_values_per_voxel_and_other_dimensions(tmp_path, volume):
    image = as_nifti(volume)
    vectors = header_of(image, dimension=4, sizes="3 64 64 4") | {"space directions": "none (1,0,0) (0,1,0) (0,0,1)"}
    assert reason(write(tmp_path / "ct.nrrd", vectors, bytes_of(image))) == "4 dimensions, 3 are needed"
    plane = header_of(image, dimension=2, sizes="64 64")
    assert reason(write(tmp_path / "ct.nrrd", plane, bytes_of(image))) == "2 dimensions, 3 are needed"
    contradiction = header_of(image, dimension=4)
    assert reason(write(tmp_path / "ct.nrrd", contradiction, bytes_of(image))) == "not a readable NRRD header"


def test_what_is_no_ct(tmp_path, volume):
    image = as_nifti((volume > 0).astype(np.int16))
    labels = write(tmp_path / "labels.seg.nrrd", header_of(image, type="uchar", endian=None), bytes_of(image, "u1"))
    assert reason(labels) == "implausible Hounsfield numbers: no air below -500 HU"
    nan = as_nifti(volume.astype(np.float32))
    nan.get_fdata()[3, 3, 1] = np.nan
    numbers = np.asarray(nan.get_fdata())
    path = write(tmp_path / "nan.nrrd", header_of(nan, type="float"), numbers.astype("<f4").tobytes(order="F"))
    assert reason(path).startswith("implausible Hounsfield numbers")


@pytest.mark.parametrize("padding", [-2048, -3024])
def test_padding_becomes_air(tmp_path, volume, padding):
    volume[:, :4] = padding
    image = as_nifti(volume)
    found = read(write(tmp_path / "ct.nrrd", header_of(image), bytes_of(image)))
    assert (found[:, :4] == -1000).all()
    np.testing.assert_array_equal(found[:, 4:], volume[:, 4:])


def damaged_headers(header: dict) -> dict[str, bytes]:
    """Headers that must cost neither time nor memory; the text of each is a whole file."""

    def text(**changes: object) -> bytes:
        fields = header | {key.replace("_", " "): value for key, value in changes.items()}
        return ("NRRD0004\n" + "".join(f"{k}: {v}\n" for k, v in fields.items() if v is not None) + "\n").encode()

    return {
        "empty": b"",
        "text": b"no NRRD at all\n",
        "magic only": b"NRRD0004",
        "newer": b"NRRD0009\n\n",
        "no sizes": text(sizes=None),
        "words": text(sizes="many very many"),
        "duplicate": text().replace(b"type:", b"endian: big\ntype:"),
        "no colon": text().replace(b"kinds:", b"kinds"),
        "unknown type": text(type="block"),
        "no order of bytes": text(endian=None),
        "endless line": b"NRRD0004\ncontent: " + b"x" * 2**21,
        "endless header": b"NRRD0004\n" + b"".join(b"key%d:=value\n" % number for number in range(200_000)),
        "negative": text(sizes="64 -64 4"),
        "nothing": text(sizes="64 0 4"),
        "infinite": text(sizes="inf nan 1e300"),
    }


def test_damaged_headers_are_refused(tmp_path, volume):
    image = as_nifti(volume)
    for name, content in damaged_headers(header_of(image)).items():
        path = tmp_path / "ct.nrrd"
        path.write_bytes(content + bytes_of(image) if name != "empty" else b"")
        found = reason(path)
        assert found == "not a readable NRRD header" or "voxels is more than 1073741824 or none" in found, name


def test_claims_of_any_size_cost_no_memory(tmp_path, volume):
    """In a process of its own, with 600 MB of address space beyond what the imports take."""
    image = as_nifti(volume)
    claims = {"1000000 1000000 1000000": "voxels is more than", "1024 1024 1024": "fewer voxels"}
    for number, (sizes, expected) in enumerate(claims.items()):
        for encoding in ("raw", "gzip", "bzip2", "ascii"):
            data = b"1 2 3" if encoding == "ascii" else ENCODINGS[encoding](bytes_of(image))
            write(tmp_path / f"{number} {encoding}.nrrd", header_of(image, encoding=encoding, sizes=sizes), data)
            (tmp_path / f"{number} {encoding}.nrrd.expected").write_text(
                "voxels cannot be read (EOFError)|fewer voxels" if "fewer" in expected else expected
            )
    program = """
import resource, sys
from pathlib import Path
from ctmar.store.quarantine import Refused
from ctmar.volumes.displayed import open_volume
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 600 * 2**20,) * 2)
for path in sorted(Path(sys.argv[1]).glob("*.nrrd")):
    try:
        list(open_volume(path, 16, "nrrd").parts([0])[0].read())
    except Refused as refusal:
        expected = Path(f"{path}.expected").read_text().split("|")
        assert any(text in refusal.reason for text in expected), (path.name, refusal.reason)
    else:
        raise AssertionError(path.name)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_truncated_and_garbled_streams(tmp_path, volume, encoding):
    image = as_nifti(volume)
    stored = ENCODINGS[encoding](bytes_of(image))
    header = header_of(image, encoding=encoding)
    assert reason(write(tmp_path / "cut.nrrd", header, stored[:-200])).startswith("voxels cannot be read")
    garbled = stored[:100] + bytes(50) + stored[150:]
    assert reason(write(tmp_path / "garbled.nrrd", header, garbled)).startswith("voxels cannot be read")
    assert reason(write(tmp_path / "hex.nrrd", header | {"encoding": "hex"}, stored)).startswith("an encoding other")


def run(folder: Path, out: Path, kind: str = "nrrd_dir", threads: int = 1):
    names = ("slices.h5", "quarantine.csv", "catalogue.csv")
    source = Source(kind=kind, folder=folder)
    return ingest(folder, *(out / name for name in names), settings=SETTINGS, source=source, threads=threads)


def test_nrrd_and_nifti_give_the_same_slices_of_the_same_patient(tmp_path, volume):
    image = as_nifti(volume, "SRA")
    (tmp_path / "one").mkdir()
    nibabel.save(image, tmp_path / "one" / "smith.nii.gz")
    write(tmp_path / "two" / "smith.nrrd", header_of(image, "LAS"), bytes_of(image))
    run(tmp_path / "one", tmp_path / "out one", "nifti_dir")
    run(tmp_path / "two", tmp_path / "out two")
    one, two = (read_slices(tmp_path / f"out {name}" / "slices.h5") for name in ("one", "two"))
    assert len(one) == 4
    assert [record.slice_id for record in one] == [record.slice_id for record in two]
    np.testing.assert_array_equal([record.image for record in one], [record.image for record in two])
    (row,) = read_rows(tmp_path / "out two" / "catalogue.csv", ["patient", "kind", "n_slices_kept"])
    assert (row["kind"], row["n_slices_kept"], row["slice_spacing_mm"]) == ("nrrd", "4", "5")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bad_file_is_one_row_and_the_others_are_read(tmp_path, volume, threads):
    image = as_nifti(volume)
    folder = tmp_path / "in"
    header = header_of(image) | {"data file": "good.raw"}
    write(folder / "good.nhdr", header)
    (folder / "good.raw").write_bytes(bytes_of(image))
    write(folder / "huge.nrrd", header_of(image, sizes="1000000 1000000 1000000"), bytes_of(image))
    cut = gzip.compress(bytes_of(image))[:-100]
    write(folder / "cut.nrrd", header_of(image, encoding="gzip"), cut)
    write(folder / "elsewhere.nhdr", header | {"data file": "/etc/passwd"})
    summary = run(folder, tmp_path / "out", threads=threads)
    assert (summary.n_slices, summary.n_quarantined) == (4, 3)
    rows = read_rows(tmp_path / "out" / "quarantine.csv", ["file", "reason", "remedy"])
    assert sorted(row["reason"] for row in rows) == [
        "1000000 × 1000000 × 1000000 voxels is more than 1073741824 or none",
        "a data file that leaves the folder",
        "voxels cannot be read (EOFError)",
    ]
    assert all(row["file"].startswith("f-") and "#" not in row["file"] for row in rows)


def test_a_change_of_the_data_file_changes_the_digest_of_the_input(tmp_path, volume):
    digests = []
    for value in (0, 40):
        volume[:, 32, 32] = value
        image = as_nifti(volume)
        write(tmp_path / "in" / "ct.nhdr", header_of(image) | {"data file": "ct.raw"})
        (tmp_path / "in" / "ct.raw").write_bytes(bytes_of(image))
        run(tmp_path / "in", tmp_path / "out")
        with h5py.File(tmp_path / "out" / "slices.h5") as file:
            digests.append(json.loads(file.attrs["provenance"])["input_sha256"])
    assert digests[0] != digests[1]
