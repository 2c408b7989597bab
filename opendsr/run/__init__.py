"""How OpenDSR runs on one machine: private PostgreSQL, local secrets, supervised processes.

Used by `manage.py`, the tests, the demo and the `up` command. Nothing here knows Django until a
process that does is started; production brings its own database, secrets and process manager.
"""
