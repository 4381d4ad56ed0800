"""The Celery workers: the app, its tasks, and what each worker process opens and closes."""
