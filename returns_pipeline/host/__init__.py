"""Processes on this machine: started, watched and checked."""
