"""XML signatures of OpenADR's high security: made, and verified against one certificate.

A signature covers two things, `oadrSignedObject` and a `ReplayProtect` of timestamp and
nonce (2.0b profile, security chapter). Whoever verifies gets back the signed bytes
parsed anew and nothing else of the document, so that what was not signed cannot be read.
Certificates inside the message are never trusted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from oadr.elements import DS, OADR, Element, Namespace, add, require
from oadr.errors import InvalidValue, SignatureInvalid
from oadr.timeformat import parse_datetime

DSP: Final = Namespace("http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties")
C14N: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SIGNED_ID, PROPERTY_ID = "oadrSignedObject", "prop"
LONGEST_NONCE: Final = 256

_PAYLOAD, _SIGNED_OBJECT = OADR("oadrPayload"), OADR("oadrSignedObject")
_SIGNATURE, _PROPERTY = DS("Signature"), DS("SignatureProperty")
_TRANSFORMS: Final = frozenset(
    {
        C14N,
        f"{C14N}#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        ENVELOPED,
    }
)
_local = threading.local()

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class ReplayProtect:
    """What makes one signature unlike another; the receiver takes each nonce once."""

    timestamp: datetime
    nonce: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: a private key and its certificate."""

    key: SigningKey
    certificate_der: bytes


def load_identity(*, key_pem: bytes, certificate_pem: bytes, passphrase: bytes | None = None) -> Identity:
    """Return the signing identity in two PEM texts (the first certificate counts); ValueError otherwise."""
    key = serialization.load_pem_private_key(key_pem, passphrase)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("messages are signed with elliptic-curve or RSA keys only")
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    return Identity(key, certificate.public_bytes(serialization.Encoding.DER))


def is_signed(root: Element) -> bool:
    """Return whether the document carries a signature anywhere, well placed or not."""
    return next(root.iter(_SIGNATURE), None) is not None


def certificates_shown(root: Element) -> set[bytes]:
    """Return the certificates (DER) that a document brings along: to pick among, never to trust."""
    return {_decoded(element.text or "") for element in root.iter(DS("X509Certificate"))}


# ---- signing


def sign(body: bytes, *, identity: Identity, replay_protect: ReplayProtect) -> bytes:
    """Return an unsigned oadrPayload with a signature before its oadrSignedObject.

    Two SHA-256 references, inclusive C14N 1.0, rsa-sha256 or ecdsa-sha256 by the key's
    kind, and the certificate in X509Data.
    """
    document = etree.fromstring(body, _parser())
    signed = document.find(_SIGNED_OBJECT)
    if document.tag != _PAYLOAD or signed is None or document.find(_SIGNATURE) is not None:
        raise ValueError("only an unsigned oadrPayload can be signed")
    prefixes = {prefix or "oadr": uri for prefix, uri in document.nsmap.items()}
    root = etree.Element(_PAYLOAD, nsmap=prefixes | {"ds": DS.uri, "dsp": DSP.uri})
    signature = add(root, _SIGNATURE)
    root.append(signed)
    signed.set(OADR("Id"), SIGNED_ID)
    info = add(signature, DS("SignedInfo"))
    value = add(signature, DS("SignatureValue"))
    data = add(add(signature, DS("KeyInfo")), DS("X509Data"))
    add(data, DS("X509Certificate"), base64.b64encode(identity.certificate_der).decode())
    protected = _add_replay_protect(signature, replay_protect)
    is_rsa = isinstance(identity.key, rsa.RSAPrivateKey)
    add(info, DS("CanonicalizationMethod")).set("Algorithm", C14N)
    add(info, DS("SignatureMethod")).set("Algorithm", RSA_SHA256 if is_rsa else ECDSA_SHA256)
    for name, element in ((SIGNED_ID, signed), (PROPERTY_ID, protected)):
        reference = add(info, DS("Reference"))
        reference.set("URI", f"#{name}")
        add(add(reference, DS("Transforms")), DS("Transform")).set("Algorithm", C14N)
        add(reference, DS("DigestMethod")).set("Algorithm", SHA256)
        digest = hashlib.sha256(_canonical(element)).digest()
        add(reference, DS("DigestValue"), base64.b64encode(digest).decode())
    value.text = base64.b64encode(_signature_value(identity.key, _canonical(info))).decode()
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _add_replay_protect(signature: Element, replay_protect: ReplayProtect) -> Element:
    if replay_protect.timestamp.utcoffset() is None:
        raise ValueError("the timestamp of a signature must be aware")
    property_ = add(
        add(add(signature, DS("Object")), DS("SignatureProperties")),
        _PROPERTY,
    )
    property_.set("Id", PROPERTY_ID)
    property_.set("Target", f"#{SIGNED_ID}")
    element = add(property_, DSP("ReplayProtect"))
    stamp = replay_protect.timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    add(element, DSP("timestamp"), stamp)
    add(element, DSP("nonce"), replay_protect.nonce)
    return property_


def _canonical(element: Element) -> bytes:
    """Return inclusive C14N 1.0 without comments of an element where it stands."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False), _parser())
    return bytes(etree.tostring(alone, method="c14n", exclusive=False, with_comments=False))


def _signature_value(key: SigningKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    length = (key.key_size + 7) // 8
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


# ---- verifying


@dataclass(frozen=True, slots=True)
class Verified:
    """`root` is an oadrPayload made of the signed bytes alone."""

    root: Element
    replay_protect: ReplayProtect


def verify(root: Element, *, certificates: Collection[bytes]) -> Verified:
    """Return what the holder of one of `certificates` (DER) signed; raises SignatureInvalid.

    One signature, directly under the root; exactly two references, one to the root's own
    and only oadrSignedObject, one to the property that holds ReplayProtect; SHA-256;
    RSA or ECDSA. A certificate that the message brings along picks among those expected
    and is never trusted for itself.
    """
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    _require_shape(root)
    certificate_der = _pinned(root, certificates)
    expected = SignatureConfiguration(
        require_x509=True,
        location="./",
        expect_references=2,
        signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
    )
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        results: Any = XMLVerifier().verify(root, x509_cert=certificate, expect_config=expected)
    except (
        SignXMLException,
        UnsupportedAlgorithm,
        etree.LxmlError,
        binascii.Error,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise SignatureInvalid(f"the signature does not hold: {_said(error)}") from error
    parts = {result.signed_xml.tag: result.signed_xml for result in results if result.signed_xml is not None}
    signed = parts.pop(_SIGNED_OBJECT, None)
    if signed is None or len(parts) != 1:
        raise SignatureInvalid("oadrSignedObject and ReplayProtect must both be signed")
    (property_,) = parts.values()
    envelope = etree.Element(_PAYLOAD)
    envelope.append(etree.fromstring(etree.tostring(signed, with_tail=False), _parser()))
    return Verified(envelope, _replay_protect_of(property_))


def _require_shape(root: Element) -> None:
    """Refuse whatever a wrapping attack would need before any digest is looked at."""
    if root.tag != _PAYLOAD:
        raise SignatureInvalid("a signature belongs into an oadrPayload")
    if sorted(child.tag for child in root) != sorted((_SIGNATURE, _SIGNED_OBJECT)):
        raise SignatureInvalid("an oadrPayload holds one Signature and one oadrSignedObject")
    if sum(1 for _ in root.iter(_SIGNED_OBJECT)) != 1 or sum(1 for _ in root.iter(_SIGNATURE)) != 1:
        raise SignatureInvalid("one Signature and one oadrSignedObject, and none hidden deeper")
    signature, signed = require(root, _SIGNATURE), require(root, _SIGNED_OBJECT)
    ids = [value for element in root.iter(etree.Element) for value in _ids_of(element)]
    if len(ids) != len(set(ids)):
        raise SignatureInvalid("an Id is used twice")
    references = signature.findall(f"{DS('SignedInfo')}/{DS('Reference')}")
    if len(references) != 2 or sum(1 for _ in signature.iter(DS("Reference"))) != 2:
        raise SignatureInvalid("two references: oadrSignedObject and ReplayProtect")
    uris = {reference.get("URI", "") for reference in references}
    if len(uris) != 2 or not all(uri.startswith("#") and len(uri) > 1 for uri in uris):
        raise SignatureInvalid("references point into the message, by Id")
    if not any(f"#{value}" in uris for value in _ids_of(signed)):
        raise SignatureInvalid("oadrSignedObject is not signed")
    for transform in signature.iter(DS("Transform")):
        if transform.get("Algorithm") not in _TRANSFORMS or len(transform):
            raise SignatureInvalid("a transform that OpenADR does not use")


def _pinned(root: Element, certificates: Collection[bytes]) -> bytes:
    """Return the expected certificate to verify with."""
    shown = certificates_shown(root)
    fitting = [each for each in certificates if not shown or shown == {each}]
    if not fitting:
        raise SignatureInvalid("signed with another certificate than the one that speaks")
    return fitting[0]


def _ids_of(element: Element) -> list[str]:
    return [
        str(value)
        for name, value in element.attrib.items()
        if etree.QName(str(name)).localname.lower() == "id"
    ]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _replay_protect_of(signed: Element) -> ReplayProtect:
    found = list(signed.iter(DSP("ReplayProtect")))
    if len(found) != 1:
        raise SignatureInvalid("the second reference covers one ReplayProtect")
    stamps, nonces = found[0].findall(DSP("timestamp")), found[0].findall(DSP("nonce"))
    if len(stamps) != 1 or len(nonces) != 1:
        raise SignatureInvalid("ReplayProtect holds one timestamp and one nonce")
    nonce = (nonces[0].text or "").strip()
    if not nonce or len(nonce) > LONGEST_NONCE:
        raise SignatureInvalid(f"a nonce has 1 to {LONGEST_NONCE} characters")
    try:
        timestamp = parse_datetime((stamps[0].text or "").strip().removesuffix("+00:00"))
    except InvalidValue as error:
        raise SignatureInvalid("the timestamp is not a dateTime") from error
    return ReplayProtect(timestamp, nonce)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _parser() -> etree.XMLParser:
    parser: etree.XMLParser | None = getattr(_local, "parser", None)
    if parser is None:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        _local.parser = parser
    return parser
