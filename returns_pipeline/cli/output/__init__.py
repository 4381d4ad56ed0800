"""What commands show: tables for people, plain values for JSON. Imported only by a command that runs."""
