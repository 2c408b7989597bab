"""Signing identities and signatures gone wrong, for the tests of the wire and of the VTN."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

from oadr import signing
from oadr.elements import DS, OADR
from oadr.signing import Identity, ReplayProtect

SIGNED_OBJECT, SIGNATURE = OADR("oadrSignedObject"), DS("Signature")


def identity(name: str = "VEN-1", kind: str = "ec") -> Identity:
    """A key with a certificate of its own, valid now; the same one each time."""
    return _identity(name, kind)


@cache
def _identity(name: str, kind: str) -> Identity:
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
        rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    wall = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wall - timedelta(days=1))
        .not_valid_after(wall + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return Identity(key, certificate.public_bytes(serialization.Encoding.DER))


def fresh(nonce: str = "n") -> ReplayProtect:
    return ReplayProtect(datetime.now(UTC), nonce)


def wrapped(signed: bytes, forged: bytes) -> dict[str, bytes]:
    """Return signature wrapping attacks on a signed body that would have `forged`'s message acted on.

    Modelled on the eight classes known from SAML: the signed element is kept, where a
    verifier might find it by Id, and another stands where a reader might look.
    """
    attacks = {}

    def attack(name: str) -> tuple[etree._Element, etree._Element, etree._Element, etree._Element]:
        root = etree.fromstring(signed)
        signature, original = root.find(SIGNATURE), root.find(SIGNED_OBJECT)
        evil = copy.deepcopy(etree.fromstring(forged).find(SIGNED_OBJECT))
        assert signature is not None
        assert original is not None
        assert evil is not None
        attacks[name] = b""
        return root, signature, original, evil

    def done(name: str, root: etree._Element) -> None:
        attacks[name] = etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    root, _, original, evil = attack("evil first")
    original.addprevious(evil)
    done("evil first", root)
    root, _, original, evil = attack("evil last")
    root.append(evil)
    done("evil last", root)
    root, signature, original, evil = attack("original in ds:Object")
    etree.SubElement(signature, DS("Object")).append(original)
    root.append(evil)
    done("original in ds:Object", root)
    root, signature, original, evil = attack("original in ds:Object, evil with its Id")
    evil.set(OADR("Id"), signing.SIGNED_ID)
    etree.SubElement(signature, DS("Object")).append(original)
    root.append(evil)
    done("original in ds:Object, evil with its Id", root)
    root, signature, original, evil = attack("original in SignatureProperty")
    signature.find(f".//{DS('SignatureProperty')}").append(original)  # type: ignore[union-attr]
    root.append(evil)
    done("original in SignatureProperty", root)
    root, _, original, evil = attack("original inside evil")
    root.replace(original, evil)
    evil.append(original)
    done("original inside evil", root)
    root, _, original, evil = attack("evil inside original")
    original.append(evil)
    done("evil inside original", root)
    root, _, original, evil = attack("payload in payload")
    outer = etree.Element(OADR("oadrPayload"), nsmap=root.nsmap)
    outer.append(evil)
    outer.append(root)
    done("payload in payload", outer)
    root, _, original, evil = attack("evil message beside the original")
    original.insert(0, evil[0])
    done("evil message beside the original", root)
    root, _, original, evil = attack("message exchanged")
    original.replace(original[0], evil[0])
    done("message exchanged", root)
    root, signature, original, evil = attack("reference turned to the evil one")
    evil.set(OADR("Id"), "evil")
    root.replace(original, evil)
    next(signature.iter(DS("Reference"))).set("URI", "#evil")
    done("reference turned to the evil one", root)
    root, signature, original, evil = attack("references to the property twice")
    references = list(signature.iter(DS("Reference")))
    references[0].set("URI", references[1].get("URI", ""))
    references[0].find(DS("DigestValue")).text = references[1].findtext(DS("DigestValue"))  # type: ignore[union-attr]
    original.replace(original[0], evil[0])
    done("references to the property twice", root)
    root, signature, original, evil = attack("two signatures")
    second = copy.deepcopy(signature)
    signature.addnext(second)
    original.replace(original[0], evil[0])
    done("two signatures", root)
    root, signature, original, evil = attack("a comment in the venID")
    done("a comment in the venID", root)
    attacks["a comment in the venID"] = signed.replace(b"</ei:venID>", b"-x<!-- --></ei:venID>")
    root, signature, original, evil = attack("a whole document as reference")
    next(signature.iter(DS("Reference"))).set("URI", "")
    original.replace(original[0], evil[0])
    done("a whole document as reference", root)
    root, signature, original, evil = attack("a reference elsewhere")
    next(signature.iter(DS("Reference"))).set("URI", "https://example.org/signed.xml")
    original.replace(original[0], evil[0])
    done("a reference elsewhere", root)
    root, signature, original, evil = attack("an XSLT transform")
    transform = next(signature.iter(DS("Transform")))
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")
    done("an XSLT transform", root)
    root, signature, original, evil = attack("no reference")
    for reference in list(signature.iter(DS("Reference"))):
        reference.getparent().remove(reference)  # type: ignore[union-attr]
    original.replace(original[0], evil[0])
    done("no reference", root)
    root, signature, original, evil = attack("HMAC with the public certificate as its key")
    next(signature.iter(DS("SignatureMethod"))).set(
        "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    )
    original.replace(original[0], evil[0])
    done("HMAC with the public certificate as its key", root)
    root, signature, original, evil = attack("a SHA-1 digest")
    next(signature.iter(DS("DigestMethod"))).set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")
    done("a SHA-1 digest", root)
    return attacks
