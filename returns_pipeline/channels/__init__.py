"""How a notice leaves: signed webhooks, and everything that Apprise speaks to."""
