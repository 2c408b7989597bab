"""Outbox consumers and Celery tasks of campaigns: thin wrappers around services."""
