from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from opendsr.kernel import env

NAME = "OPENDSR_TEST_SETTING"


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv(f"{NAME}_FILE", raising=False)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (env.env_str, " north ", "north"),
        (env.env_bool, "Yes", True),
        (env.env_bool, "0", False),
        (env.env_int, "-7", -7),
        (env.env_float, "2.5", 2.5),
        (env.env_list, "a, b,,c ", ["a", "b", "c"]),
        (env.env_secret, "s3cret\n", "s3cret"),
    ],
)
def test_a_value_is_parsed(monkeypatch, read, text, value):
    monkeypatch.setenv(NAME, text)

    assert read(NAME) == value


@pytest.mark.parametrize(
    "read", [env.env_str, env.env_bool, env.env_int, env.env_float, env.env_list, env.env_secret]
)
@pytest.mark.parametrize("text", [None, "", "  "])
def test_unset_or_empty_takes_the_default_or_is_loud(monkeypatch, read, text):
    if text is not None:
        monkeypatch.setenv(NAME, text)

    assert read(NAME, None) is None
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is not set: set "):
        read(NAME)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (env.env_bool, "ja"),
        (env.env_int, "2.5"),
        (env.env_int, "ten"),
        (env.env_float, "nan"),
        (env.env_float, "inf"),
        (env.env_float, "fast"),
    ],
)
def test_nonsense_names_the_variable_the_value_and_the_fix(monkeypatch, read, text):
    monkeypatch.setenv(NAME, text)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME}='{text}' is not understood: set it to "):
        read(NAME, 1)


def test_a_secret_comes_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("from a file\n", encoding="utf-8")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    assert env.env_secret(NAME) == "from a file"


def test_a_secret_file_that_is_absent_empty_or_binary_is_loud(monkeypatch, tmp_path):
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE=.*No such file"):
        env.env_secret(NAME)

    (tmp_path / "secret").write_bytes(b"\n")
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE=.*is empty"):
        env.env_secret(NAME)

    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE=.*not UTF-8 text"):
        env.env_secret(NAME)


def test_a_secret_given_twice_is_loud_and_stays_secret(monkeypatch, tmp_path):
    monkeypatch.setenv(NAME, "s3cret")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    with pytest.raises(ImproperlyConfigured, match="both set") as caught:
        env.env_secret(NAME)
    assert "s3cret" not in str(caught.value)
