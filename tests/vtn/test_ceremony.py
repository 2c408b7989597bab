"""The CA's ceremonies: a root that goes away, issuing CAs that follow each other, and what is refused."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from tests.vtn.hubs import csr_of, new_key
from vtn import ceremony, keyfiles
from vtn.ceremony import CeremonyRefused
from vtn.keyfiles import KeyUnreadable
from vtn.pki import Authority


def wall() -> datetime:
    """The moment it is: the command line has no other clock."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The root's folder on its own machine, and the one here; each with its own passphrase."""
    monkeypatch.setenv("OPENDSR_ROOT_PASSPHRASE", "root words")
    monkeypatch.setenv("OPENDSR_CA_PASSPHRASE", "issuing words")
    return tmp_path / "root", tmp_path / "pki"


def set_up(root: Path, here: Path) -> bytes:
    """The whole ceremony by its command line; returns the issuing certificate."""
    assert ceremony.main(["root", str(root)]) == 0
    return next_issuing(root, here)


def next_issuing(root: Path, here: Path) -> bytes:
    assert ceremony.main(["request", str(here)]) == 0
    issuing = ceremony.sign_issuing(root, (here / "issuing.csr").read_text(), at=wall())
    signed = here.parent / "signed.pem"
    signed.write_bytes(issuing)
    assert ceremony.main(["install", str(here), str(signed), str(root / "root.pem")]) == 0
    return issuing


def leaf(authority: Authority) -> x509.Certificate:
    issued = authority.sign_csr(csr_pem=csr_of(new_key()), ven_id="VEN-1", at=wall())
    return x509.load_pem_x509_certificate(issued.pem.encode())


def test_the_site_works_without_the_roots_key(folders: tuple[Path, Path]) -> None:
    root, here = folders
    issuing = x509.load_pem_x509_certificate(set_up(root, here))

    certificate = leaf(Authority(here))

    certificate.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(keyfiles.read_certificate(root / "root.pem"))
    assert not (here / "root.key").exists()
    assert {path.name for path in here.iterdir()} == {"root.pem", "issuing.pem", "issuing.key", "ca.pem"}
    assert keyfiles.is_encrypted(root / "root.key")
    assert keyfiles.is_encrypted(here / "issuing.key")
    assert [is_trouble for _, is_trouble in ceremony.status(here, at=wall())] == [False, False]


def test_the_issuing_ca_can_make_no_other(folders: tuple[Path, Path]) -> None:
    issuing = x509.load_pem_x509_certificate(set_up(*folders))

    basic = issuing.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 0)


def test_an_issuing_ca_follows_another_and_hubs_of_both_are_known(folders: tuple[Path, Path]) -> None:
    root, here = folders
    set_up(root, here)
    authority = Authority(here)
    before = leaf(authority)
    listener = authority.server_files(host="localhost", at=wall()).certificate.read_bytes()

    next_issuing(root, here)

    after = leaf(authority)
    assert before.issuer != after.issuer
    trusted = x509.load_pem_x509_certificates((here / "ca.pem").read_bytes())
    assert {each.subject for each in trusted} >= {before.issuer, after.issuer}
    assert [issuer.name for issuer in authority.issuers(at=wall())] == [
        after.issuer.rfc4514_string(),
        before.issuer.rfc4514_string(),
    ]
    files = authority.server_files(host="localhost", at=wall())
    assert files.certificate.read_bytes() != listener
    context = ssl.create_default_context(cafile=str(files.client_ca))
    assert context.cert_store_stats()["x509_ca"] == 3


def test_after_a_leak_the_earlier_one_is_dropped(folders: tuple[Path, Path]) -> None:
    root, here = folders
    leaked = x509.load_pem_x509_certificate(set_up(root, here))
    next_issuing(root, here)

    assert ceremony.main(["drop", str(here), ceremony.serial_of(leaked)]) == 0

    trusted = x509.load_pem_x509_certificates((here / "ca.pem").read_bytes())
    assert leaked not in trusted
    assert [issuer.certificate for issuer in Authority(here).issuers(at=wall())] == [trusted[0]]
    assert ceremony.main(["drop", str(here), "abc"]) == 2


def test_a_certificate_for_another_key_or_root_is_not_installed(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    root, here = folders
    set_up(root, here)
    held = (here / "issuing.pem").read_bytes()
    other_root = tmp_path / "other"
    ceremony.make_root(other_root, at=wall(), phrase="root words")
    ceremony.request_issuing(here, phrase="issuing words")
    csr = (here / "issuing.csr").read_text()
    right = ceremony.sign_issuing(root, csr, at=wall())
    foreign = ceremony.sign_issuing(other_root, csr, at=wall())
    elsewhere = ceremony.sign_issuing(
        root, ceremony.request_issuing(tmp_path / "elsewhere", phrase="x").decode(), at=wall()
    )
    root_pem, other_pem = (root / "root.pem").read_bytes(), (other_root / "root.pem").read_bytes()
    leaf_pem = keyfiles.pem_of(leaf(Authority(here)))
    for issuing, signer, at in (
        (foreign, other_pem, wall()),
        (foreign, root_pem, wall()),
        (elsewhere, root_pem, wall()),
        (leaf_pem, root_pem, wall()),
        (right, root_pem, wall() + timedelta(days=6 * 365)),
    ):
        with pytest.raises(CeremonyRefused):
            ceremony.install_issuing(here, issuing, signer, at=at)
    assert (here / "issuing.pem").read_bytes() == held

    ceremony.install_issuing(here, right, root_pem, at=wall())
    with pytest.raises(CeremonyRefused, match="no request is open"):
        ceremony.install_issuing(here, right, root_pem, at=wall())


def test_a_root_is_made_once(folders: tuple[Path, Path]) -> None:
    root, _ = folders
    assert ceremony.main(["root", str(root)]) == 0
    held = (root / "root.key").read_bytes()

    assert ceremony.main(["root", str(root)]) == 2
    assert (root / "root.key").read_bytes() == held


def test_without_a_passphrase_no_key_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for step, variable in (("root", "OPENDSR_ROOT_PASSPHRASE"), ("request", "OPENDSR_CA_PASSPHRASE")):
        monkeypatch.delenv(variable, raising=False)
        assert ceremony.main([step, str(tmp_path / step)]) == 2
        assert variable in capsys.readouterr().err
        assert not (tmp_path / step).exists()


def test_the_root_signs_requests_only(folders: tuple[Path, Path], tmp_path: Path) -> None:
    root, here = folders
    set_up(root, here)
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    odd = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    file = tmp_path / "odd.csr"
    for content in ("nonsense", odd.public_bytes(keyfiles.serialization.Encoding.PEM).decode()):
        file.write_text(content)
        assert ceremony.main(["sign", str(root), str(file)]) == 2


def test_a_wrong_passphrase_says_which_one_and_nothing_else(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, here = folders
    set_up(root, here)
    for phrase in ("secret guess", ""):
        monkeypatch.setenv("OPENDSR_CA_PASSPHRASE", phrase)
        with pytest.raises(KeyUnreadable, match="OPENDSR_CA_PASSPHRASE") as refused:
            leaf(Authority(here))
        assert not phrase or phrase not in str(refused.value)


def test_status_says_what_to_act_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENDSR_CA_PASSPHRASE", raising=False)
    assert ceremony.main(["status", str(tmp_path)]) == 1
    Authority(tmp_path).ca_pem(at=wall())

    assert ceremony.main(["status", str(tmp_path)]) == 1

    said = capsys.readouterr().out
    assert "! root.key is here" in said
    assert "! issuing.key is not encrypted" in said


def test_an_authority_of_one_tier_carries_on(tmp_path: Path) -> None:
    """A folder from before the root was apart: the same CA is root and issuer, and hubs stay trusted."""
    old = Authority(tmp_path / "old")
    old.ca_pem(at=wall())
    folder = tmp_path / "pki"
    folder.mkdir()
    (folder / "ca.key").write_bytes((tmp_path / "old" / "issuing.key").read_bytes())
    keyfiles.write(folder / "ca.pem", keyfiles.pem_of(old.issuing()))

    certificate = leaf(Authority(folder))

    certificate.verify_directly_issued_by(old.issuing())
    assert (folder / "ca.pem").read_bytes() == keyfiles.pem_of(old.issuing())
    assert not (folder / "ca.key").exists()
