"""The message broker: Celery, and its twin inside one process."""
