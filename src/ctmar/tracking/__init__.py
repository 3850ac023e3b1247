"""The mirror of a study in MLflow: the only room that knows mlflow."""
