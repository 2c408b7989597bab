"""The co-op as a VEN of network operators' OpenADR VTNs: polled, answered, reported to.

arranging.py    where a VTN is, who we are there, what it calls a contract's zone: by staff
speaking.py     one exchange: mutual TLS to the address that staff set, logged
taking.py       events through the servicing door, once; what the VTN is told of them
reporting.py    metering of zones: offered, asked for, told
contacting.py   one round with a VTN: claimed, spoken, due again

The adapter is `campaigns/servicing/openadr.py`; the manners of the protocol are `oadr/ven.py`, a hub's own.
"""
