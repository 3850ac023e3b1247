"""What a paper about a study needs: figures, tables, references, methods, and what every column means."""
