"""Classifies the photos of returned items: from an intake folder to a report, losing nothing."""

__version__ = "0.1.0"
