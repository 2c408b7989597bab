"""The secrets of a local run: made once in `<var>/secrets.env` (0600), a set variable wins.

Production never gets here: it names its own secrets, and stops loudly when one is missing.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

from opendsr.run.errors import RunError

INDEX_KEY: Final = "OPENDSR_INDEX_KEY="


def load(var: Path) -> None:
    """Put the secrets into the environment, each unless it is there already.

    Raises RunError when the file is open to others or cannot be read.
    """
    if os.environ.get("OPENDSR_ENV") == "production":
        return
    path = var / "secrets.env"
    if not path.exists():
        _make(path)
    elif INDEX_KEY not in path.read_text():
        with path.open("a") as file:  # made before there was one
            file.write(_index_key() + "\n")
    if path.stat().st_mode & 0o077:
        raise RunError(f"{path} holds secrets and is open to others: chmod 600 {path}")
    for line in path.read_text().splitlines():
        name, separator, value = line.partition("=")
        if (
            separator
            and not name.startswith("#")
            and not (os.environ.get(name) or os.environ.get(f"{name}_FILE"))
        ):
            os.environ[name] = value


def _index_key() -> str:
    return f"{INDEX_KEY}{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Secrets of this local installation. Without OPENDSR_KEK the encrypted fields are lost,",
        "# without OPENDSR_INDEX_KEY nobody is found by name, address or MPAN,",
        "# without OPENDSR_CA_PASSPHRASE the key that signs the hubs' certificates.",
        f"SECRET_KEY={secrets.token_urlsafe(50)}",
        f"OPENDSR_KEK={base64.b64encode(secrets.token_bytes(32)).decode()}",
        _index_key(),
        f"OPENDSR_CA_PASSPHRASE={secrets.token_urlsafe(32)}",
    ]
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text("\n".join(lines) + "\n")
    try:
        os.link(draft, path)  # fails when another start was first: its secrets stand
    except FileExistsError:
        pass
    finally:
        draft.unlink()
