"""Keeps one truth of a seller's stock and makes every sales channel show the right quantity."""
