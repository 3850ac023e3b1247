"""CT with real metal in, corrected CT out."""
