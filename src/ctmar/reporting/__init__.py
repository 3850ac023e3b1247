"""What the study found, made visible: one offline HTML page, a model card and a dataset card."""
