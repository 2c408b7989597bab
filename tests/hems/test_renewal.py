"""The hub's own certificate: fetched by a code, renewed by itself, whole whenever the power goes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from hems import keys
from hems.__main__ import main
from hems.enrolment import EnrolmentFailed, fetch
from hems.errors import BadAddress
from hems.renewal import Renewal
from vtn.pki import Authority

WALL = datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def hub(folder: Path, authority: Authority, *, age: timedelta = timedelta(0)) -> Path:
    """A hub whose certificate is so old."""
    keys.enrol(folder, serial="HUB-1")
    (folder / "ca.pem").write_text(authority.ca_pem(at=WALL - timedelta(days=400)))
    issued = authority.sign_csr(csr_pem=(folder / "csr.pem").read_text(), ven_id="VEN-1", at=WALL - age)
    (folder / "certificate.pem").write_text(issued.pem)
    return folder


def answer_to(request: bytes, authority: Authority) -> bytes:
    csr = x509.load_der_x509_csr(base64.b64decode(request))
    issued = authority.sign_csr(
        csr_pem=csr.public_bytes(serialization.Encoding.PEM).decode(), ven_id="VEN-1", at=WALL
    )
    certificates = x509.load_pem_x509_certificates(issued.pem.encode())
    return base64.encodebytes(pkcs7.serialize_certificates(certificates, serialization.Encoding.DER))


def is_a_pair(folder: Path) -> bool:
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    return key.public_key() == certificate.public_key()


@pytest.mark.parametrize(
    ("days", "is_due"), [(0, False), (240, False), (244, True), (364, True), (400, True)]
)
def test_it_is_due_at_two_thirds_of_its_life(
    tmp_path: Path, authority: Authority, days: int, is_due: bool
) -> None:
    folder = hub(tmp_path / "hub", authority, age=timedelta(days=days))

    assert Renewal(folder).is_due() is is_due


def test_a_new_key_takes_the_old_ones_place(tmp_path: Path, authority: Authority) -> None:
    folder = hub(tmp_path / "hub", authority, age=timedelta(days=300))
    old_key = (folder / "key.pem").read_bytes()
    own = Renewal(folder)

    own.take(answer_to(own.request(), authority))

    assert is_a_pair(folder)
    assert (folder / "key.pem").read_bytes() != old_key
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    assert not own.is_due()
    assert not list(folder.glob("*.next.pem"))


def test_a_request_is_the_same_until_it_is_answered(tmp_path: Path, authority: Authority) -> None:
    folder = hub(tmp_path / "hub", authority, age=timedelta(days=300))

    assert Renewal(folder).request() == Renewal(folder).request()
    assert is_a_pair(folder)


def test_it_is_tried_once_an_hour(tmp_path: Path, authority: Authority) -> None:
    own = Renewal(hub(tmp_path / "hub", authority, age=timedelta(days=300)))
    assert own.is_due()
    own.request()

    assert not own.is_due()


@pytest.mark.parametrize("answer", [b"", b"nonsense", base64.encodebytes(b"\x30\x00")])
def test_an_odd_answer_changes_nothing(tmp_path: Path, authority: Authority, answer: bytes) -> None:
    folder = hub(tmp_path / "hub", authority, age=timedelta(days=300))
    own = Renewal(folder)
    own.request()

    with pytest.raises(EnrolmentFailed):
        own.take(answer)
    assert is_a_pair(folder)


def test_a_certificate_for_another_key_is_not_taken(tmp_path: Path, authority: Authority) -> None:
    folder = hub(tmp_path / "hub", authority, age=timedelta(days=300))
    other = Renewal(hub(tmp_path / "other", authority, age=timedelta(days=300)))
    own = Renewal(folder)
    own.request()

    with pytest.raises(EnrolmentFailed, match="next key"):
        own.take(answer_to(other.request(), authority))
    assert is_a_pair(folder)


@pytest.mark.parametrize("moves_done", range(4))
def test_a_power_cut_at_any_step_leaves_a_pair(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, moves_done: int
) -> None:
    folder = hub(tmp_path / "hub", authority, age=timedelta(days=300))
    own = Renewal(folder)
    answer = answer_to(own.request(), authority)
    done = 0
    replace: Callable[..., Path] = Path.replace

    def cut(path: Path, target: Path) -> Path:
        nonlocal done
        if ".next.pem" in path.name and not path.name.startswith("."):
            if done == moves_done:
                raise OSError("the power is gone")
            done += 1
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", cut)
    if moves_done < 3:
        with pytest.raises(OSError, match="power"):
            own.take(answer)
    else:
        own.take(answer)
    monkeypatch.undo()

    again = Renewal(folder)

    assert is_a_pair(folder)
    assert not again.is_due()


def test_a_code_never_travels_in_the_clear(tmp_path: Path) -> None:
    keys.enrol(tmp_path, serial="HUB-1")
    for site in ("http://coop.example", "ftp://localhost", "coop.example", ""):
        with pytest.raises(BadAddress):
            fetch(tmp_path, site=site, reference="HUB-1", code="X")


def test_a_site_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["enrol", "--dir", str(tmp_path), "--serial", "HUB-1", "--code", "X"]
    assert main([*words, "--site", "http://127.0.0.1:9"]) == 2
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
def test_the_command_fetches_a_certificate_from_the_site(
    tmp_path: Path, settings: object, live_server: object, capsys: pytest.CaptureFixture[str]
) -> None:
    from vtn.enrolment_codes import issue_code
    from vtn.models import Ven

    settings.VTN_PKI_DIR = tmp_path / "pki"  # type: ignore[attr-defined]
    folder = tmp_path / "hub"
    code = issue_code(subject="HUB-1", at=WALL, by="staff:7").code
    words = ["enrol", "--dir", str(folder), "--serial", "HUB-1", "--site", live_server.url]  # type: ignore[attr-defined]

    assert main([*words, "--code", "WRONG"]) == 2
    assert "401" in capsys.readouterr().err
    assert main([*words, "--code", code]) == 0, capsys.readouterr().err

    assert is_a_pair(folder)
    keys.require_identity(folder)
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    assert certificate.subject.rfc4514_string() == f"CN={Ven.objects.get().ven_id}"
    issuing, _ = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(issuing)
