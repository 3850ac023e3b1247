"""CT with metal: data, artefact simulation, networks, training, evaluation and report of the equiproj study."""
