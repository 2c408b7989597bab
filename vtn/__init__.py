"""The OpenADR virtual top node: a foreign house inside this one.

It knows VENs, events, opts and reports, and nothing of members or money. Rooms
above see `port` (events and opts), `enrolling` (certificates) and `queries`.
Only the kernel and `oadr` are imported here, so that it could move out whole.
"""
