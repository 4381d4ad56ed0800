"""The images that are classified: where they come from, and one sentence that says so."""
