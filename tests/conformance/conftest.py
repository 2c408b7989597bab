"""The conformance tests talk to the VTN as VENs do; its own tests' fixtures serve."""

from __future__ import annotations

from tests.vtn.conftest import _own_authority as _own_authority
from tests.vtn.conftest import hub as hub
from tests.vtn.conftest import pki_folder as pki_folder
from tests.vtn.conftest import stranger as stranger
from tests.vtn.conftest import vtn as vtn
