"""Bearer tokens: the same of the same form and words, another of any other."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from opendsr.kernel import bearer

WORDS = st.lists(st.one_of(st.text(max_size=20), st.integers(), st.none()), max_size=4)


@given(key=st.uuids(), words=WORDS, other_key=st.uuids(), other_words=WORDS)
def test_the_same_form_and_words_draw_the_same_token(
    key: UUID, words: list[Any], other_key: UUID, other_words: list[Any]
) -> None:
    drawn, other = (
        bearer.draw("vtn", key=key, words=words),
        bearer.draw("vtn", key=other_key, words=other_words),
    )

    assert bearer.draw("vtn", key=key, words=words) == drawn
    assert (drawn.text == other.text) == ((key, words) == (other_key, other_words))
    assert drawn.text != bearer.draw("odsr", key=key, words=words).text
    scheme, prefix, secret = drawn.text.split("_", 2)
    assert (scheme, prefix, len(prefix), len(secret)) == ("vtn", drawn.prefix, 12, 43)
    assert len(drawn.text) <= bearer.LONGEST
    assert secret not in drawn.digest


def test_another_site_draws_another_token(settings: Any) -> None:
    key = uuid4()
    here = bearer.draw("vtn", key=key, words=())
    settings.SECRET_KEY = "another site's secret"
    there = bearer.draw("vtn", key=key, words=())

    assert here.text != there.text
    assert here.prefix != there.prefix
