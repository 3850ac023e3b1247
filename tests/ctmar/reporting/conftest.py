"""A finished study in miniature: ellipses as CT, known errors as models, written in the formats of the workflow."""

import itertools
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.ctmar.run_folders import DETECTABILITY, description, epoch, measurements

from ctmar.config import Config, Network, Run, validate_section
from ctmar.evaluation.collect import collect
from ctmar.evaluation.regions import metal_size
from ctmar.evaluation.truth import image_metrics
from ctmar.reporting.images import window_image
from ctmar.reporting.page import render_page
from ctmar.reporting.study_files import ReportInputs, StudyTables, read_results
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import Epoch, LayerNorms, LayersAtEpoch
from ctmar.units import hu_to_attenuation

SIZE = 96
KEYS = ("method", "norm", "lam_perp", "lam_equi", "softness")
SETTINGS = [  # method, norm, λ⊥, λ_G, softness, share of the artefact left, relative non-equivariance
    ("plain", "none", 0.0, 0.0, 0.0, 0.30, 0.86),
    ("augmentation", "none", 0.0, 0.0, 0.0, 0.29, 0.84),
    ("eqreg", "none", 1e-3, 0.0, 0.0, 0.28, 0.41),
    ("function_level", "none", 1e-2, 0.0, 0.0, 0.285, 0.44),
    ("residual_pathway", "none", 1e-3, 1e-5, 0.0, 0.30, 0.11),
    ("strict", "none", 0.0, 0.0, 0.0, 0.33, 0.0),
    ("train_then_project", "none", 0.0, 0.0, 0.0, 0.52, 0.0),
    ("annealed", "none", 0.0, 0.0, 0.0, 0.29, 0.0),
    ("softness", "none", 0.0, 0.0, 0.0, 0.34, 0.0),
    ("softness", "none", 0.0, 0.0, 0.5, 0.29, 0.31),
    ("projection", "frobenius", 1e-4, 0.0, 0.0, 0.295, 0.71),
    ("projection", "frobenius", 1e-3, 0.0, 0.0, 0.28, 0.33),
    ("projection", "frobenius", 1e-2, 0.0, 0.0, 0.26, 0.052),
    ("projection", "frobenius", 1e-1, 0.0, 0.0, 0.31, 0.0041),
    ("projection", "frobenius", 1e-3, 1e-3, 0.0, 0.29, 0.31),
    ("projection", "frobenius", 1e-2, 1e-3, 0.0, 0.30, 0.049),
    ("projection", "spectral", 1e-2, 0.0, 0.0, 0.275, 0.12),
    ("projection", "nuclear", 1e-2, 0.0, 0.0, 0.28, 0.03),
    ("projection", "schatten:3", 1e-2, 0.0, 0.0, 0.278, 0.09),
    ("projection", "entrywise:1", 1e-2, 0.0, 0.0, 0.285, 0.021),
    ("projection", "entrywise:inf", 1e-2, 0.0, 0.0, 0.34, 0.62),
    ("projection", "induced:1", 1e-2, 0.0, 0.0, 0.30, 0.2),
    ("projection", "mixed:2,1", 1e-2, 0.0, 0.0, 0.265, 0.047),
    ("proximal", "none", 3.0, 0.0, 0.0, 0.29, 0.77),
    ("proximal", "none", 100.0, 0.0, 0.0, 0.27, 0.0),
    ("test_time_average", "none", 0.0, 0.0, 0.0, 0.275, 0.86),
]
SEEDS = [0, 1, 2]
NETWORK = Network(architecture="dncnn", settings={"fields": 4, "depth": 6})
N_SERIES = len({setting[:2] for setting in SETTINGS})  # methods and norms, each with one chosen setting
PAIRS = [
    (f"{patient}/1/{k:04d}", mask) for patient in ("abdomen-petct", "head-693") for k in range(3) for mask in (0, 1)
]
EXAMPLES = [0, 5, 10]
HOSTILE = '<script>alert("x")</script> & |pipe|'


def phantom_hu(pair: int) -> np.ndarray:
    """A body of ellipses whose organs move with the pair [HU]."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    image = np.full((SIZE, SIZE), -1000.0)
    organs = [
        (0, 0, 0.85, 0.62, 20),
        (-0.35, -0.05, 0.34, 0.32, 60),
        (0.38, -0.12, 0.24, 0.26, 45),
        (0, 0.34, 0.13, 0.13, 700),
    ]
    organs += [(0.05, -0.3, 0.12, 0.1, -100), (0.33, 0.2, 0.13, 0.17, 180)]
    for cx, cy, rx, ry, hu in organs:
        shift = 0.02 * (pair % 5 - 2)
        image[((x - cx - shift) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = hu
    return image


def metal_mask(pair: int) -> np.ndarray:
    """Two discs of metal that grow with the pair."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    radius = 0.03 + 0.008 * pair
    return (((np.abs(x) - 0.3) ** 2 + (y - 0.1) ** 2) < radius**2).astype(np.uint8)


def artefact_hu(pair: int) -> np.ndarray:
    """Streaks between the discs, stronger for larger metal [HU]."""
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    angle = np.arctan2(y - 0.1, np.abs(x) - 0.3)
    return 160 * (1 + 0.1 * pair) * np.cos(9 * angle) * np.exp(-2.5 * np.hypot(np.abs(x) - 0.3, y - 0.1))


def measured(pair: int, image_hu: np.ndarray) -> dict[str, object]:
    """A row of a per-slice table."""
    slice_id, mask_index = PAIRS[pair]
    metal = metal_mask(pair)
    names = {
        "patient": slice_id.partition("/")[0],
        "slice_id": slice_id,
        "mask_index": mask_index,
        "metal_pixels": int(metal.sum()),
        "metal": ("titanium", "cobalt_chromium")[mask_index],
        "metal_size": metal_size(int(metal.sum()), metal.size),
    }
    return names | image_metrics(hu_to_attenuation(image_hu), hu_to_attenuation(phantom_hu(pair)), metal)


def write_examples(path: Path, **images: list[np.ndarray]) -> None:
    rows = [measured(pair, phantom_hu(pair) + 1) for pair in EXAMPLES]
    names = {key: np.array([row[key] for row in rows]) for key in ("patient", "slice_id", "mask_index", "metal_pixels")}
    stacks = {name: np.stack(stack) for name, stack in images.items()}
    np.savez_compressed(path, allow_pickle=False, **stacks, **names, pixel_mm=np.full(len(EXAMPLES), 3.0))


def write_references(folder: Path, nmar: bool) -> None:
    folder.mkdir(parents=True)
    images = {
        "Input": lambda pair: phantom_hu(pair) + artefact_hu(pair),
        "LI": lambda pair: phantom_hu(pair) + 0.5 * artefact_hu(pair),
    }
    if nmar:
        images["NMAR"] = lambda pair: phantom_hu(pair) + 0.45 * artefact_hu(pair)
    rows = [
        {"reference": name} | measured(pair, make(pair)) for name, make in images.items() for pair in range(len(PAIRS))
    ]
    table = pd.DataFrame(rows)
    table.to_csv(folder / "slices.csv", index=False)
    shown = {"Input": "ma_CT", "LI": "LI_CT", "NMAR": "NMAR_CT"}
    write_examples(
        folder / "examples.npz",
        image=[hu_to_attenuation(phantom_hu(pair)) for pair in EXAMPLES],
        **{shown[name]: [hu_to_attenuation(make(pair)) for pair in EXAMPLES] for name, make in images.items()},
        mask=[metal_mask(pair) for pair in EXAMPLES],
    )


def turned_back_hu(prediction_hu: np.ndarray, non_equivariance: float) -> np.ndarray:
    """What the model of a prediction makes of turned inputs, turned back [HU]: further off, the less equivariant."""
    stripes = np.cos(np.arange(SIZE))
    return np.stack([prediction_hu + 20 * turns * non_equivariance * stripes for turns in (1, 2, 3)])


def planned(setting: tuple, seed: int) -> Run:
    """The run of a setting."""
    return Run(network="dncnn", **dict(zip(KEYS, setting, strict=False)), seed=seed)


def write_run(folder: Path, setting: tuple, seed: int) -> None:
    left, non_equivariance = setting[5:]
    folder.mkdir(parents=True)
    generator = np.random.default_rng([seed, round(1000 * left)])

    def predict(pair: int) -> np.ndarray:
        noise = np.random.default_rng([seed, pair]).normal(0, 8, (SIZE, SIZE))
        return phantom_hu(pair) + (left + 0.01 * generator.normal()) * artefact_hu(pair) + noise

    predictions = [predict(pair) for pair in range(len(PAIRS))]
    table = pd.DataFrame([measured(pair, image) for pair, image in enumerate(predictions)])
    table.to_csv(folder / "slices.csv", index=False)
    write_examples(
        folder / "examples.npz",
        prediction=[hu_to_attenuation(predictions[pair]) for pair in EXAMPLES],
        turned_back=[hu_to_attenuation(turned_back_hu(predictions[EXAMPLES[-1]], non_equivariance))],
    )
    run = planned(setting, seed)
    files = RunFolder(folder)
    facts = {"network": NETWORK}
    facts |= {"n_parameters": 31_440, "seconds_total": 20.0, "seconds_per_step_median": 0.05, "peak_memory_mb": 512.0}
    broken = non_equivariance * (1 + 0.03 * seed)
    files.write_description(description(run=run, kept_epoch=8, layers=layers(broken), **facts))
    write_layers(files, broken)
    defect = 0.06 * broken
    values = measurements(
        relative_non_equivariance=broken,
        non_equivariance_growth=broken / 2,
        non_equivariance_of_start=math.nan,
        defect_mean=defect,
        defect_max=1.3 * defect,
        defect_of_correction_mean=20 * defect,
        defect_of_correction_max=26 * defect,
        defect_at_angles=dict.fromkeys(("15", "30", "45"), 0.02 + 0.8 * defect),
        defect_floor_at_angles={"15": 0.018, "30": 0.019, "45": 0.02},
        psnr_turned_db={str(turn): 38 - 12 * left - (5 * defect if turn else 0) for turn in (0, 90, 180, 270)},
        detectability={
            "prediction": DETECTABILITY.model_copy(update={"auc": 0.8 - left / 10 + 0.01 * seed}),
            "Input": DETECTABILITY.model_copy(update={"auc": 0.6, "bias_hu": 55.0, "contrast_share": 0.9}),
            "LI": DETECTABILITY.model_copy(update={"auc": 0.7, "bias_hu": 14.0}),
        },
        seconds_per_image=0.012,
        peak_memory_mb=301.0,
    )
    files.write_measurements(values)
    files.write_epochs(epochs(left, seed))
    files.weights.write_bytes(b"the page reads no weights")


def layers(broken: float) -> list[LayerNorms]:
    """Kernels and biases of four layers, the deeper the farther from equivariant, up to a share ``broken``."""
    shares = {f"layers.{k}.{part}": broken * (k + 1) / 4 for k in range(4) for part in ("weight", "bias")}
    return [
        LayerNorms(
            name=name,
            norm_equivariant=5 * math.sqrt(max(1 - share**2, 0.0)),
            norm_perpendicular=5 * share,
            ratio=share,
            norm="frobenius",
        )
        for name, share in shares.items()
    ]


def write_layers(files: RunFolder, broken: float) -> None:
    """Layers that leave the subspace epoch by epoch, and kernels: first four copies, then what makes them differ."""
    rows = layers(broken)
    files.write_layers(
        [
            LayersAtEpoch(
                epoch=k, norms={row.name: (row.norm_equivariant, row.norm_perpendicular * k / 8) for row in rows}
            )
            for k in range(9)
        ]
    )
    kernel = np.arange(-4, 5, dtype=np.float32).reshape(3, 3) / 10
    turned = np.stack([np.rot90(kernel, k) for k in range(4)])[:, None].repeat(3, axis=1)
    other = broken * np.sin(np.arange(turned.size, dtype=np.float32)).reshape(turned.shape)
    blocks = {row.name: np.stack([turned + row.ratio * other, turned]) for row in rows if row.name.endswith("weight")}
    np.savez_compressed(files.kernels, allow_pickle=False, **blocks)


def epochs(left: float, seed: int) -> list[Epoch]:
    """Records of a training that ends the better, the less artefact its model leaves."""
    return [
        epoch(
            epoch=number,
            step=40 * number,
            loss=0.02 * left * math.exp(-0.4 * number) + 3e-4,
            task_loss=0.02 * left * math.exp(-0.4 * number) + 2e-4 * (1 + 0.1 * seed),
            penalty=0.1 * math.exp(-0.3 * number),
            learning_rate=1e-3,
            validation_loss=1e-3,
            validation_psnr=38 - 12 * left - 5 * math.exp(-0.5 * number) + 0.1 * seed,
        )
        for number in range(1, 9)
    ]


def write_data_tables(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "catalogue.csv").write_text(
        "patient,series,n_slices_found,n_slices_kept,pixel_mm,slice_spacing_mm,minimum_hu,maximum_hu,mean_hu,"
        "body_fraction,source,licence\n"
        "aorta-ct,1,191,64,1.5,1.5,-1024,1532,-412.5,0.41,totalsegmentator 2.18.0,Apache-2.0\n"
        "torso-ct,1,112,64,3,3,-1024,1894,-501.2,0.33,totalsegmentator 2.18.0,Apache-2.0\n"
        "abdomen-petct,1,20,20,0.98,5,-1024,1411,-388.0,0.46,totalsegmentator 2.18.0,Apache-2.0\n"
        "head-693,1,1,1,0.49,,,,,,pydicom-data 1.0.0,MIT\n"
    )
    quarantine = pd.DataFrame(
        [
            {"file": "head-693/scout.dcm", "reason": "localizer", "remedy": "none needed: not a CT slice"},
            {"file": HOSTILE, "reason": "truncated file", "remedy": "copy the file again"},
            *({"file": f"aorta-ct#{k}", "reason": "little body", "remedy": "none needed"} for k in range(12)),
        ]
    )
    quarantine.to_csv(folder / "quarantine.csv", index=False)
    (folder / "split.csv").write_text(
        "patient,subset,n_slices,fold\naorta-ct,train,64,0\ntorso-ct,validation,64,0\nabdomen-petct,test,20,0\nhead-693,test,1,0\n"
    )


def write_sources(path: Path) -> None:
    source = {
        "kind": "nifti",
        "package": "totalsegmentator",
        "version": "2.18.0",
        "sha256": "5d42" + "0" * 60,
        "licence": "Apache-2.0",
        "licence_file": "licences/totalsegmentator.txt",
        "citation": "Wasserthal J. et al., TotalSegmentator, Radiology: Artificial Intelligence 5(5), 2023",
    }
    sources = [
        source | {"patient": patient, "path": patient, "description": f"CT of {patient} {extra}"}
        for patient, extra in (("aorta-ct", ""), ("torso-ct", ""), ("abdomen-petct", ""), ("head-693", HOSTILE))
    ]
    path.write_text(json.dumps(sources))


def write_thumbnails(path: Path) -> None:
    series = [name for name in ("abdomen-petct/1", "torso-ct/1", "aorta-ct/1") for _ in range(3)]
    image = np.stack([window_image(phantom_hu(pair), (-175, 275)) for pair in range(len(series))])
    np.savez_compressed(
        path,
        allow_pickle=False,
        series=np.array(series),
        position=np.array([10.0, 20.0, np.nan] * 3),
        image=np.pad(image, ((0, 0), (16, 16), (16, 16))),
    )


def write_study(
    root: Path, settings: list[tuple] = SETTINGS, seeds: list[int] = SEEDS, nmar: bool = True
) -> ReportInputs:
    """Write a whole results tree and return where its files are; the summary is that of `ctmar summarise`."""
    results = root / "results"
    write_references(results / "references", nmar)
    folders = []
    for setting, seed in itertools.product(settings, seeds):
        folders.append(RunFolder.of(results / "runs", planned(setting, seed)).path)
        write_run(folders[-1], setting, seed)
    write_cost(results / "cost.csv", settings)
    judgement = study_config().judgement
    collect(folders, results / "references" / "slices.csv", results / "cost.csv", judgement, results / "summary")
    write_data_tables(results / "data")
    write_thumbnails(results / "data" / "thumbnails.npz")
    write_sources(root / "ctmar-sources.json")
    return ReportInputs.of_study(results, root / "ctmar-sources.json")


def write_cost(path: Path, settings: list[tuple]) -> None:
    rows = []
    for index, (method, norm) in enumerate(dict.fromkeys((setting[0], setting[1]) for setting in settings)):
        ratio = {"plain": 1.0, "augmentation": 1.004, "eqreg": 2.31, "function_level": 1.9}.get(
            method, 1.006 + 0.004 * index
        )
        rows.append(
            {
                "network": "dncnn",
                "method": method,
                "norm": norm,
                "milliseconds_per_step": 48.0 * ratio,
                "ratio_to_plain": ratio,
                "ratio_low": ratio,
                "ratio_high": ratio,
                "ratio_coverage": 0.9844,
                "penalty_milliseconds": 48.0 * (ratio - 1),
                "penalty_share": 1 - 1 / ratio,
                "step_memory_mb": 512.0,
                "n_parameters": 31_440,
                "threads": 1,
                "batch_size": 8,
                "patch_size": 64,
                "n_repeats": 7,
                "clock": "processor",
                "device": "cpu",
            }
        )
    pd.DataFrame(rows).to_csv(path, index=False)


def study_config(settings: list[tuple] = SETTINGS, seeds: list[int] = SEEDS) -> Config:
    """The configuration that asks for these settings with these seeds, and for no other run."""
    primary = [
        {"method": "projection", "norm": "frobenius", "against": "plain"},
        {"method": "projection", "against": "strict"},
    ]
    methods = {setting[0] for setting in settings}
    runs = [
        {key: value if key == "method" else [value] for key, value in zip(KEYS, setting, strict=False)}
        for setting in settings
    ]
    return validate_section(
        Config,
        {
            "ingest": {"image_size": 128, "pixel_mm": 3.0, "salt_file": "a-secret-of-the-hospital"},
            "judgement": {"primary": [one for one in primary if {one["method"], one["against"]} <= methods]},
            "study": {
                "networks": {"dncnn": NETWORK.model_dump(exclude={"weights"})},
                "seeds": seeds,
                "runs": runs,
            },
        },
        "test configuration",
    )


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """A finished study; tests must not write into it."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., ReportInputs]:
    """Write another study: ``make_study(settings, seeds)``."""
    return partial(write_study, tmp_path)


@pytest.fixture(scope="session")
def results(study: ReportInputs, config: Config) -> StudyTables:
    return read_results(study, config)


@pytest.fixture(scope="session")
def page(results: StudyTables, config: Config) -> str:
    """The text of the report."""
    return render_page(results, config)


@pytest.fixture(scope="session")
def config() -> Config:
    return study_config()
