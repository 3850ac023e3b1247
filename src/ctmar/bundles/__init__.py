"""What a finished study is published as: where it came from, a bundle of it, and a re-run beside a bundle."""
