"""The images of the workloads, and a sentence that describes them."""
