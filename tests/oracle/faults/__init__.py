"""Faults that are planted in running transformers models, so that `diff` has something to find."""
