"""What the fork server of `tests.commands` imports: the libraries, and the layers below the command line."""

import alembic.command
import celery.app.base
import celery.backends.redis
import kombu.transport.redis
import rich.console
import rich.progress
import rich.table
import scrapy.crawler
import scrapy.spiders
import typer

import returns_pipeline.broker.celery_queue
import returns_pipeline.host.requests
import returns_pipeline.report.summary
import returns_pipeline.store.reviews
import returns_pipeline.usecases.models
import returns_pipeline.usecases.results

__all__ = ["alembic", "celery", "kombu", "returns_pipeline", "rich", "scrapy", "typer"]
