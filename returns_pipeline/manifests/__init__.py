"""Manifests: files that announce returns. CSV, Excel workbooks, JSON lines and Parquet, line by line."""
