"""Codes in photos: bar codes, QR and other matrix codes."""
