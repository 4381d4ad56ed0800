"""The Celery side: the app, its tasks, and what each worker process opens and closes."""
