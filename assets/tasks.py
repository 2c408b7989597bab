"""Outbox consumers and Celery tasks of assets: thin wrappers around services."""
