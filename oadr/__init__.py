"""The OpenADR 2.0b wire for both ends: frozen message types to and from XML.

Pure: no Django, no state, no clock. `messages` holds the types, `codec` turns
bytes into them and back, `errors` says why a body was refused.
"""
