"""Puts models/, samples/ and spaces/ inside the package of a wheel; pyproject.toml has the rest.

A folder outside the package needs a mapping, which pyproject.toml cannot state beside the automatic
discovery of packages.
"""

from setuptools import find_namespace_packages, setup

# settings/places.py finds them there. Which files they hold is `package-data` in pyproject.toml.
SHIPPED = {f"returns_pipeline.shipped.{name}": name for name in ("models", "samples", "spaces")}

setup(
    packages=[
        *find_namespace_packages(include=["returns_pipeline*", "workers", "migrations*"]),
        *SHIPPED,
    ],
    package_dir=SHIPPED,
)
