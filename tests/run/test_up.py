"""Which programs `make up` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendsr.run import up


@pytest.mark.parametrize(
    ("variable", "program"), [("METERING_MQTT_URL", "intake"), ("MQTT_URL", "mqtt"), ("VTN_PUSH", "push")]
)
def test_what_speaks_to_a_broker_runs_when_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, program: str
) -> None:
    for name in ("METERING_MQTT_URL", "MQTT_URL", "VTN_PUSH"):
        monkeypatch.delenv(name, raising=False)
    without = [each.name for each in up.programs(var=tmp_path, port=8000, vtn_port=8443)]

    monkeypatch.setenv(variable, "1")

    with_it = [each.name for each in up.programs(var=tmp_path, port=8000, vtn_port=8443)]
    assert without == ["vtn", "web", "worker"]
    assert set(with_it) - set(without) == {program}
