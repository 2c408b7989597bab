"""The second listener, for devices that know the profile's CBC suites only; off by default."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from tests.vtn import hubs, listening
from tests.vtn.listening import Listener, post
from vtn import serve
from vtn.pki import Authority

CBC = ["ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256"]
GCM = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"]


def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, str]:
    """Let the two shake hands in memory; return version and suite."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(10):
        done = 0
        for side in (theirs, ours):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:
            version, cipher = ours.version(), ours.cipher()
            assert version is not None
            assert cipher is not None
            return version, cipher[0]
    raise AssertionError("no end to the handshake")


def hub_context(folder: Path, authority: Authority) -> ssl.SSLContext:
    key = hubs.new_key()
    issued = authority.sign_csr(csr_pem=hubs.csr_of(key), ven_id="VEN-1", at=clock.wall_now())
    (folder / "hub.pem").write_text(issued.pem)
    (folder / "hub.key").write_text(hubs.pem_of(key))
    context = ssl.create_default_context(cafile=str(authority.certificate_path))
    context.load_cert_chain(folder / "hub.pem", folder / "hub.key")
    return context


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext]:
    """The legacy listener's, the default listener's, and a hub's."""
    authority = Authority(tmp_path / "pki")
    files = [
        authority.server_files(host="localhost", at=clock.wall_now(), is_rsa=is_rsa)
        for is_rsa in (False, True)
    ]
    return serve.legacy_context(*files), serve.tls_context(files[0]), hub_context(tmp_path, authority)


@pytest.mark.parametrize("suite", CBC)
def test_each_of_the_profiles_suites_is_spoken_there_and_not_by_default(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext], suite: str
) -> None:
    legacy, default, hub = contexts
    hub.maximum_version = ssl.TLSVersion.TLSv1_2
    hub.set_ciphers(suite)

    assert shaken(legacy, hub) == ("TLSv1.2", suite)
    with pytest.raises(ssl.SSLError):
        shaken(default, hub)


@pytest.mark.parametrize("suite", GCM)
def test_nothing_else_is_spoken_there(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext], suite: str
) -> None:
    legacy, _, hub = contexts
    hub.maximum_version = ssl.TLSVersion.TLSv1_2
    hub.set_ciphers(suite)

    with pytest.raises(ssl.SSLError):
        shaken(legacy, hub)


def test_a_hub_of_today_gets_tls_1_3_by_default(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext],
) -> None:
    _, default, hub = contexts

    assert shaken(default, hub)[0] == "TLSv1.3"


def test_neither_knows_older_tls_nor_a_stranger(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext],
) -> None:
    legacy, default, hub = contexts
    stranger = ssl.create_default_context()
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    stranger.maximum_version = ssl.TLSVersion.TLSv1_2
    stranger.set_ciphers("ALL")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        hub.minimum_version = hub.maximum_version = ssl.TLSVersion.TLSv1_1
    hub.set_ciphers("ALL:@SECLEVEL=0")
    for server in (legacy, default):
        for client in (stranger, hub):
            with pytest.raises(ssl.SSLError):
                shaken(server, client)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_the_command_serves_a_hub_of_cbc_and_warns(pki_folder: Path, tmp_path: Path) -> None:
    hub = hubs.registered_hub("old device")
    with listening.listening(pki_folder, "--legacy") as listener:
        assert isinstance(listener, Listener)
        context = listener.context_of(hub, tmp_path)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CBC[0])
        client = listener.connect(context)
        assert post(client, "OadrPoll", codec.serialise(m.Poll(hub.ven_id)))[0] == 200
        assert client.sock is not None
        assert client.sock.cipher()[0] == CBC[0]
        log = listener.log_path.read_text()

    assert "weaker" in log


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_without_a_port_it_says_that_it_is_off(pki_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "vtn", "--legacy"],
        cwd=listening.ROOT,
        env=listening.environment(pki_folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode != 0
    assert "VTN_LEGACY_PORT" in done.stderr
    assert "Traceback" not in done.stderr
