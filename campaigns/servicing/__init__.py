"""The door through which a network operator drives homes directly, behind `/api/servicing/v1`.

signatures.py   RFC 9421 message signatures and RFC 9530 digests: checked, and made. Pure
port.py         what an adapter does: verify, parse, answer
reference.py    the adapter that is documented; a new operator is one more file like it
openadr.py      the adapter of an operator's OpenADR VTN, which `campaigns/ven` speaks with
admitting.py    key, clock, nonce, rate: who stands at the door
receiving.py    a signal is written down, decided once, and answered
acting.py       planned, approved, sent in one transaction; stopped
capping.py      caps of a zone: what each asks, moved little and held long; the agreed one on silence
running.py      what a contract lets its client ask, and what runs under it
telling.py      availability, metering, status
contracting.py  clients, keys and contracts, by staff
api.py          the addresses, and their OpenAPI description
"""
