"""What a site says to schedulers and shells."""

import subprocess

import pytest

from ctmar.config import Site, load_site
from ctmar.errors import InputError


def output(site: Site, command: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail; {site.shell_lines}{command}"],
        env={"PATH": "/usr/bin:/bin", **environment},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_shell_finds_what_the_site_says(tmp_path):
    environment = tmp_path / "it's an (environment)"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "activate").write_text("export FOUND=$NOT_SET_ANYWHERE.active\n")
    site = Site(activate=environment, hdf5_file_locking=False, temporary_folder="$BIG")
    wanted = 'echo "$FOUND $HDF5_USE_FILE_LOCKING $TMPDIR"'
    assert output(site, wanted, BIG="/big disk") == ".active FALSE /big disk"


def test_a_variable_that_the_node_has_not_becomes_a_folder_that_says_so():
    assert output(Site(temporary_folder="$BIG"), 'echo "$TMPDIR"') == "/BIG is not set on this node"


def test_modules_are_loaded_before_the_environment(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text('LOADED="$LOADED, active"\n')
    site = Site(modules=["cuda/12.8", "a b"], activate=tmp_path)
    function = 'module() { LOADED="$*"; }; '
    done = subprocess.run(
        ["bash", "-c", f'set -euo pipefail; {function}{site.shell_lines}echo "$LOADED"'], text=True, capture_output=True
    )
    assert done.stdout.strip() == "load cuda/12.8 a b, active"


@pytest.mark.parametrize(
    "text",
    [
        "partition: 'cpu; rm -rf x'\npartitoin: gpu",
        "temporary_folder: here",
        "temporary_folder: $(rm x)",
        "temporary_folder: $TMPDIR/x",
        "maximum_minutes: 0",
        "container: a.sif\nmodules: [cuda]",
        'account: "a\\nb"',
    ],
)
def test_a_wrong_site_is_one_line_that_names_file_and_key(tmp_path, text):
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(InputError) as told:
        load_site(tmp_path / "site.yaml")
    assert str(told.value).startswith(f"{tmp_path}/site.yaml: ")
    assert "\n" not in str(told.value)


def test_partition_and_gpus_go_to_the_jobs_that_need_them():
    site = Site(partition="cpu", gpu_partition="gpu", account="lab", constraint="nvlink", gpu_model="h200")
    assert site.resources() == {"slurm_partition": "cpu", "slurm_account": "lab"}
    assert site.resources(8) == {
        "slurm_partition": "gpu",
        "slurm_account": "lab",
        "gpu": 8,
        "gpu_model": "h200",
        "constraint": "nvlink",
    }
    assert Site(partition="all").resources(1)["slurm_partition"] == "all"
