"""Trains an embedding space on the attributes of a catalogue."""
