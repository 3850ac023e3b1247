"""What a study brings of its own, tried before anything is computed."""

from ctmar.config import Config
from ctmar.config.own_code import is_import_path, register_extensions
from ctmar.config.own_metrics import check_own_metric
from ctmar.errors import InputError
from ctmar.models import build_network, layer_types
from ctmar.models.symmetry import study_group
from ctmar.training.penalty_norm import penalty_norm


def check_own_code(config: Config) -> None:
    """Run the files of `extensions`, and check every network, norm, group and metric that a study names by import path.

    A network corrects a tiny batch and its layers have types of the group; a norm is one on random matrices; a group
    fulfils the axioms and moves pixels onto pixels; a metric gives a finite number on a small example.

    Raises:
        InputError: one of them does not, in one line that names its key.
    """
    register_extensions(config.extensions)
    for metric in config.evaluation.metrics:
        check_own_metric(metric)
    study = config.study
    if not study.own_code:
        return
    group = study_group(study.group)
    for norm in dict.fromkeys(norm for runs in study.runs for norm in runs.norm if is_import_path(norm)):
        penalty_norm(norm)
    for name, network in study.networks.items():
        if is_import_path(network.architecture):
            module = build_network(network.architecture, **{"group_order": group.order, **network.settings})
            try:
                layer_types(module, group)
            except ValueError as error:
                raise InputError(f"study.networks.{name}: its layers do not fit {study.group}: {error}") from None
