"""Sign an update and keep it for hubs: `manage.py release_update hub 1.2.0 hems-1.2.0.zip --key KEY`."""

from __future__ import annotations

import base64
import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from assets import rolling_out, updating
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError


class Command(BaseCommand):
    help = (
        "Sign an update with the co-op's update key and keep it. Without a file: make the key, once, and "
        "put its public half where this site and its hubs verify by it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("component", nargs="?", choices=updating.COMPONENTS)
        parser.add_argument("version", nargs="?", help="numbers with dots, such as 1.2.0")
        parser.add_argument(
            "file", nargs="?", type=Path, help="a zip of `python -m hems.release`, or firmware"
        )
        parser.add_argument("--key", type=Path, required=True, help="the private key (PEM, encrypted)")
        parser.add_argument("--passphrase-file", type=Path, help="instead of asking for it")
        parser.add_argument(
            "--may-go-back", action="store_true", help="hubs with a newer version take it too"
        )
        parser.add_argument("--notes", default="", help="what is new, for staff")
        parser.add_argument("--begin", action="store_true", help="offer it to the first hubs at once")

    def handle(self, *_: object, **options: Any) -> None:
        file = options["passphrase_file"]
        passphrase = file.read_text().strip() if file else getpass.getpass("Passphrase of the update key: ")
        if not passphrase:
            raise CommandError("the update key is never without a passphrase")
        if not options["file"]:
            self._make_key(options["key"], passphrase)
            return
        try:
            body = options["file"].read_bytes()
            key = serialization.load_pem_private_key(options["key"].read_bytes(), passphrase.encode())
        except (OSError, ValueError, TypeError) as error:
            raise CommandError(f"{error}: is the path right, and the passphrase?") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise CommandError(
                f"{options['key']} is no Ed25519 key: make one with `release_update --key FILE`"
            )
        manifest = updating.manifest_of(
            component=options["component"],
            version=options["version"],
            body=body,
            may_go_back=options["may_go_back"],
        )
        signature = base64.b64encode(key.sign(updating.PREAMBLE + manifest.encode())).decode()
        at = clock.now()
        try:
            release = updating.add_release(
                body=body,
                manifest=manifest,
                signature=signature,
                notes=options["notes"],
                at=at,
                by="release_update",
            )
            if options["begin"]:
                rolling_out.begin(release=release, at=at, by="release_update")
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{release}: {len(body):,} bytes, {release.sha256}")

    def _make_key(self, path: Path, passphrase: str) -> None:
        public = Path(settings.UPDATE_KEY_FILE)
        for each in (path, public):
            if each.exists():
                raise CommandError(f"{each} is there already: hubs trust one update key and never another")
        key = Ed25519PrivateKey.generate()
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(pem, pkcs8, encryption))
        public.parent.mkdir(parents=True, exist_ok=True)
        public.write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.stdout.write(f"{path}: keep it off this machine; hubs verify by {public}")
