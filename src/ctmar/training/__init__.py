"""Training runs, what a step costs, and their mirror in MLflow."""
