"""What pages and the REST interface both ask: neither asks the other."""
