"""What can be asked of the system, a module for each subject. Use cases compose the steps below them."""
