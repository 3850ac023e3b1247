"""Reading CT from NIfTI."""
