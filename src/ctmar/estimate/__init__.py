"""What a study costs: foretold before there are data, and measured on them; all of it in words and in tables."""
