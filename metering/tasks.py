"""Outbox consumers and Celery tasks of metering: thin wrappers around services."""
