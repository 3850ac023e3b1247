"""A real Slurm on one machine: a controller, two nodes with four pretended GPUs each, no accounts.

For root on Debian, after ``apt-get install --no-install-recommends slurmctld slurmd slurm-client``; without systemd,
munge, cgroups or a database. By hand::

    python tests/slurm/toy_cluster.py start
    snakemake --workflow-profile workflow/profiles/slurm ...
    python tests/slurm/toy_cluster.py status
    python tests/slurm/toy_cluster.py stop

All it writes is in one folder, but for two links in /etc/slurm: the plugin of Snakemake starts steps without
SLURM_CONF, so the configuration has to be where Slurm looks for it. A configuration that it did not make itself is
never touched.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
PACKAGES = "apt-get install --no-install-recommends slurmctld slurmd slurm-client"
NAME = "equiproj-toy"
NODES = ("c1", "c2")
GPUS_PER_NODE = 4
SYSTEM = Path("/etc/slurm")
OWN_PREFIX = "equiproj-toy-"  # the links in /etc/slurm lead to files that begin so: this is how they are known again

CONFIGURATION = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
# nobody but root, on one machine: no keys, and so no munge
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
# memory is enforced by looking every second, as there are no cgroups
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0
MinJobAge=3600
ReturnToService=2
KillWait=20
SlurmdParameters=config_overrides
GresTypes=gpu
{nodes}
PartitionName=cpu Nodes={names} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={names} MaxTime=1-00:00:00 State=UP
"""


class NoToyClusterError(Exception):
    """The toy cluster cannot be brought up here, in one sentence."""


def why_not() -> str | None:
    """The reason why no toy cluster can be started on this machine; None: it can."""
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)} not found); on Debian: {PACKAGES}"
    if os.geteuid() != 0:
        return "the toy Slurm is started by root, who alone may start jobs, make devices and write /etc/slurm"
    if os.environ.get("SLURM_CONF"):
        return f"SLURM_CONF names a cluster of yours, {os.environ['SLURM_CONF']}"
    foreign = [name for name in ("slurm.conf", "gres.conf") if not _is_free_or_own(SYSTEM / name)]
    if foreign:
        return f"{SYSTEM / foreign[0]} is not of this toy; it is left alone"
    return None


def _is_free_or_own(path: Path) -> bool:
    if path.is_symlink():
        return path.readlink().name.startswith(OWN_PREFIX)
    return not path.exists()


@dataclass(frozen=True)
class ToyCluster:
    """The cluster whose files are in ``folder``."""

    folder: Path

    @classmethod
    def running(cls) -> "ToyCluster | None":
        """The toy cluster that /etc/slurm leads to, running or stopped without being told; None: there is none."""
        link = SYSTEM / "slurm.conf"
        return cls(link.readlink().parent) if link.is_symlink() and _is_free_or_own(link) else None

    def start(self) -> None:
        """Write the configuration, start the daemons and wait until both nodes are idle.

        Raises:
            NoToyClusterError: it cannot be started here, or the nodes do not come up.
        """
        reason = why_not()
        if reason is None and self.running() is not None:
            reason = f"a toy cluster is there already, in {self.running().folder}; stop it first"
        if reason is not None:
            raise NoToyClusterError(reason)
        self._write()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        deadline = time.monotonic() + 30
        while (states := self.states()) != dict.fromkeys(NODES, "idle"):
            if time.monotonic() > deadline:
                raise NoToyClusterError(f"the nodes are not idle after 30 s, but {states}; {self.folder}/log says more")
            time.sleep(0.2)

    def _write(self) -> None:
        for name in ("state", "run", "log", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        gpus = [self.folder / f"gpu{index}" for index in range(GPUS_PER_NODE)]
        for gpu in gpus:
            if not gpu.exists():  # Slurm wants a character device: another name of /dev/null
                os.mknod(gpu, 0o20666, os.makedev(1, 3))
        host = socket.gethostname().split(".")[0]
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={16821 + index}"
            f" CPUs=16 RealMemory=64000 Gres=gpu:toy:{GPUS_PER_NODE} Feature={node} Weight={9 - index}"
            for index, node in enumerate(NODES)
        ]
        text = CONFIGURATION.format(
            name=NAME, host=host, folder=self.folder, nodes="\n".join(nodes), names=",".join(NODES)
        )
        gres = f"NodeName={','.join(NODES)} Name=gpu Type=toy File={self.folder}/gpu[0-{GPUS_PER_NODE - 1}]\n"
        SYSTEM.mkdir(exist_ok=True)
        for name, content in (("slurm.conf", text), ("gres.conf", gres)):
            own = self.folder / f"{OWN_PREFIX}{name}"
            own.write_text(content)
            (SYSTEM / name).unlink(missing_ok=True)
            (SYSTEM / name).symlink_to(own)

    def start_controller(self) -> None:
        """Start slurmctld, which goes on with the jobs that it knew."""
        _start("slurmctld")

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        _start("slurmd", "-N", node)

    def stop_daemon(self, name: str, *, by: signal.Signals = signal.SIGTERM) -> None:
        """End "slurmctld" or the slurmd of a node, and wait until it is gone."""
        file = self.folder / "run" / f"{name}.pid"
        pid = int(file.read_text()) if file.is_file() else None
        if pid is None or not _is_daemon(pid):
            return
        os.kill(pid, by)
        deadline = time.monotonic() + 15
        while _is_daemon(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def stop(self) -> None:
        """End all jobs and daemons, and take the links out of /etc/slurm, if they lead here: there may be another."""
        is_ours = self == self.running()
        if is_ours and self.answers():
            jobs = [line.split()[0] for line in self.ask("squeue", "--noheader", "--format", "%i").splitlines()]
            if jobs:
                subprocess.run(["scancel", "--signal", "KILL", "--full", *jobs], capture_output=True)
                subprocess.run(["scancel", *jobs], capture_output=True)
            deadline = time.monotonic() + 30
            while self.ask("squeue", "--noheader").strip() and time.monotonic() < deadline:
                time.sleep(0.2)
        for name in (*NODES, "slurmctld"):
            self.stop_daemon(name)
        if is_ours:
            _kill_what_is_left()
            (SYSTEM / "slurm.conf").unlink()
            (SYSTEM / "gres.conf").unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether the controller says that it is up."""
        return "is UP" in subprocess.run(["scontrol", "ping"], text=True, capture_output=True).stdout

    def states(self) -> dict[str, str]:
        """The state of every node."""
        lines = self.ask("sinfo", "--noheader", "--Node", "--partition", "cpu", "--format", "%N %t").splitlines()
        return {line.split()[0]: line.split()[1] for line in lines}

    def history(self) -> str:
        """Every job since the start: its number, what it is, its state, node, limits and times."""
        columns = "%.5i %.10P %.5C %.7m %.10l %.9M %.11T %.10R %.12b %k"
        return self.ask("squeue", "--states", "all", "--sort", "i", "--format", columns)

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints; empty where the controller does not answer."""
        return subprocess.run(command, text=True, capture_output=True).stdout


def _start(*command: str) -> None:
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode != 0:
        raise NoToyClusterError(f"{' '.join(command)} did not start: {(done.stdout + done.stderr).strip()}")


def _kill_what_is_left() -> None:
    """Kill processes of jobs: without cgroups Slurm loses sight of those whose parent has died."""
    own = f"SLURM_CLUSTER_NAME={NAME}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if own in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _is_daemon(pid: int) -> bool:
    """Whether the process lives and is one of Slurm's: numbers of processes come again."""
    try:
        name, state = Path(f"/proc/{pid}/comm").read_text().strip(), Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return name.startswith("slurm") and state.rpartition(")")[2].split()[0] != "Z"


def main(action: str) -> int:
    """Start, stop or show the toy cluster from the command line."""
    cluster = ToyCluster.running()
    if action == "start":
        cluster = ToyCluster(Path(tempfile.mkdtemp(prefix="toy-slurm-")))
        try:
            cluster.start()
        except NoToyClusterError as error:
            cluster.stop()
            print(f"toy_cluster: {error}", file=sys.stderr)
            return 1
        print(f"A toy Slurm runs; its logs are in {cluster.folder}/log.")
    elif action in ("stop", "status") and cluster is None:
        print("There is no toy cluster.")
    elif action == "stop":
        cluster.stop()
        shutil.rmtree(cluster.folder)
        print("The toy cluster is stopped.")
    elif action == "status":
        print(cluster.ask("sinfo", "--Node"), cluster.history(), sep="\n", end="")
    else:
        print("usage: python tests/slurm/toy_cluster.py start|stop|status", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or [""]))
