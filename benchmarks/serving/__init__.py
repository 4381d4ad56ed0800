"""Load on the HTTP interface: its parts, its peers and its goals."""
