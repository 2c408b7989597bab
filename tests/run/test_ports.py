"""Ports: a taken one is said with its holder and the variable to set."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from opendsr.run import ports, up
from opendsr.run.errors import SupervisorError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_taken_port_says_which_who_and_what_to_set(taken: int) -> None:
    with pytest.raises(SupervisorError) as caught:
        ports.require_free(taken, what="the site", variable="PORT")

    message = str(caught.value)
    assert f"Port {taken} for the site is taken" in message
    assert "such as PORT=" in message
    if sys.platform == "linux":
        assert f"by process {os.getpid()}" in message


def test_a_free_port_is_free(taken: int) -> None:
    assert ports.answers(taken)
    free = ports._free_port("127.0.0.1")
    assert not ports.answers(free)
    ports.require_free(free, what="the site", variable="PORT")


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "8000 "])
def test_a_port_that_is_none_names_the_variable(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)

    with pytest.raises(SupervisorError, match="PORT="):
        up.port_from_env("PORT", 8000)


def test_an_unset_port_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTN_PORT", "")

    assert up.port_from_env("VTN_PORT", 8443) == 8443


def test_the_site_and_the_vtn_cannot_share_a_port() -> None:
    with pytest.raises(SupervisorError, match="both 8000"):
        up.require_free_ports(port=8000, vtn_port=8000)


def test_the_vtns_port_is_said_to_be_the_vtns(taken: int) -> None:
    with pytest.raises(SupervisorError, match=r"for the VTN is taken.*set VTN_PORT"):
        up.require_free_ports(port=ports._free_port("127.0.0.1"), vtn_port=taken)
