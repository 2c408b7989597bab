"""A refusal inside the protocol: HTTP 200 with a response code of 4xx."""

from __future__ import annotations


class Refused(Exception):
    """The message was understood and not carried out; raising it inside a handler undoes its transaction."""

    def __init__(self, code: int, description: str) -> None:
        self.code = code
        self.description = description
        super().__init__(f"{code} {description}")
