"""Outbox consumers and Celery tasks of members: thin wrappers around services."""
