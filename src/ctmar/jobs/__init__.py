"""Jobs of the study's graph: runs on the same pairs that one process trains and measures."""
