"""Training: data, architectures, recipes, evaluation, bundles. Never imported by a worker."""
