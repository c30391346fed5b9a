"""Faces that occur more than once: copies, near-duplicates, whether their labels agree, and what they connect."""
