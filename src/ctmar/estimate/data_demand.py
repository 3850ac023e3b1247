"""What the jobs of a study that make, measure and show data need, by its slices, pixels and runs."""

from dataclasses import dataclass
from functools import cached_property

from ctmar.config import SUBSETS, Config, Site, Subset
from ctmar.estimate import demand
from ctmar.estimate.data_size import DataSize
from ctmar.estimate.demand import Demand, asked

# megabytes and seconds; measured as `ctmar.estimate.demand` says
_SMALL_MB, _SMALL_SECONDS = 300.0, 60.0  # a command that reads tables
_VOLUME_MB, _VOLUME_SECONDS = 1600.0, 60.0  # of the largest CT: 1,000 slices of 512² as stored and as float32
_SECONDS_PER_MEGABYTE = 0.5  # of a download
_SIMULATION_MB = 450.0  # Python, numba, operators and spectra
_SIMULATION_BYTES_PER_PIXEL = 1500.0  # of a pair in the making: sinograms of all energies and images
_SIMULATION_SECONDS_PER_PIXEL = 2.5e-5  # of a pair and its slice on one thread
_METRICS_SECONDS_PER_PIXEL = 4e-6  # of a test pair, of two references
# a row for each run and test pair; measured with 5,000 runs: 3,200 bytes and 1.3e-4 s
_SUMMARY_BYTES_PER_ROW, _SUMMARY_SECONDS_PER_ROW = 4000.0, 4e-4
_CHECKSUM_SECONDS = 1800.0  # of hundreds of gigabytes on a shared disk
_REPORT_MB_PER_RUN, _REPORT_SECONDS_PER_RUN = 0.1, 0.01  # measured with 5,000 runs: 0.04 MB and 0.002 s


@dataclass(frozen=True)
class DataDemand:
    """The jobs of a study that do not train, on a site."""

    config: Config
    site: Site

    def command(self) -> Demand:
        """A command that reads and writes small tables."""
        return asked(_SMALL_MB, _SMALL_SECONDS)

    def download(self) -> Demand:
        """The download of the CT."""
        return asked(_SMALL_MB, _SMALL_SECONDS + _SECONDS_PER_MEGABYTE * self._size.download_mb)

    def checksums(self) -> Demand:
        """Reading all slices and pairs once."""
        return asked(_SMALL_MB, _CHECKSUM_SECONDS)

    def ingest(self, threads: int) -> Demand:
        """Reading all CT, a volume in each thread."""
        seconds = self.site.slowness * _VOLUME_SECONDS * self._size.n_patients / threads
        return asked(demand.PROCESS_MB + threads * _VOLUME_MB, seconds)

    def simulation(self, subset: Subset, threads: int) -> Demand:
        """The simulation of a shard of a subset."""
        settings, n_pixels = self.config.simulation, self._size.n_pixels
        n_pairs = self._size.n_pairs(subset) / settings.shards
        seconds = self.site.slowness * _SIMULATION_SECONDS_PER_PIXEL * n_pixels * n_pairs / threads
        return asked(_SIMULATION_MB + threads * _SIMULATION_BYTES_PER_PIXEL * n_pixels / 1e6, seconds)

    def signals(self, threads: int) -> Demand:
        """The simulation of images with signals, each twice."""
        n_images = 2 * self.config.simulation.signals.images_per_patient * self._size.n_patients
        seconds = self.site.slowness * _SIMULATION_SECONDS_PER_PIXEL * self._size.n_pixels * n_images / threads
        return asked(_SIMULATION_MB + threads * _SIMULATION_BYTES_PER_PIXEL * self._size.n_pixels / 1e6, seconds)

    def import_pairs(self) -> Demand:
        """Taking over pairs that exist."""
        n_pairs = max(self._size.n_pairs(subset) for subset in SUBSETS)
        return asked(demand.PROCESS_MB, self.site.slowness * n_pairs)

    def references(self) -> Demand:
        """Measuring the input and linear interpolation on every test pair."""
        n_pairs = self._size.n_pairs("test")
        seconds = self.site.slowness * _METRICS_SECONDS_PER_PIXEL * self._size.n_pixels * n_pairs
        return asked(demand.PROCESS_MB + self._size.prepared_mb, seconds)

    def summary(self, n_runs: int) -> Demand:
        """Joining the tables of all runs."""
        n_rows = n_runs * self._size.n_pairs("test") / self._size.n_folds
        memory = demand.PROCESS_MB + _SUMMARY_BYTES_PER_ROW * n_rows / 1e6
        return asked(memory, self.site.slowness * (_SMALL_SECONDS + _SUMMARY_SECONDS_PER_ROW * n_rows))

    def report(self, n_runs: int) -> Demand:
        """Assembling the report."""
        seconds = self.site.slowness * (_SMALL_SECONDS + _REPORT_SECONDS_PER_RUN * n_runs)
        return asked(demand.PROCESS_MB + _REPORT_MB_PER_RUN * n_runs, seconds)

    @cached_property
    def _size(self) -> DataSize:
        return DataSize(self.config)
