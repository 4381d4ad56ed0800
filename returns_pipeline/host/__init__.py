"""Processes on this machine: start, watch and check them."""
