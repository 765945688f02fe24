"""Photos in and out: decoding, orientation, metadata policy, marked files."""
