"""Training: labelled photos become a published bundle. A worker that only classifies never imports this."""
