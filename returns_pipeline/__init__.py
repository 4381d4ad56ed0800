"""Classifies the photos of returned items: from an intake folder to a report, losing nothing."""
