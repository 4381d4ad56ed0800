"""Authentication, roles, limits of request bodies, and security headers."""
