"""Which backbone suits some photos? Several are tried on a few of them and compared."""
