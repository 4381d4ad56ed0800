"""What is measured: a module with a `measure` for each system, run in a process of its own."""
