"""Outbox consumers and Celery tasks of settlement: thin wrappers around services."""
