"""The spliced bytes are the codec's own, whatever the content and the ids."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from oadr import codec, rendering, schema
from oadr import messages as m
from oadr.errors import InvalidValue
from tests.oadr import samples

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r&<>\"'"), max_size=12)
ids = texts.filter(lambda text: not {"\ufffe", "\uffff"} & set(text))


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    event=samples.events,
    event_id=ids.filter(bool),
    ven_id=ids.filter(bool),
    resource_ids=st.lists(ids.filter(bool), max_size=3).map(tuple),
    request_id=ids,
    response=st.none() | st.builds(m.EiResponse, st.integers(0, 999), samples.plain_texts, ids),
    is_enveloped=st.booleans(),
)
def test_spliced_is_what_the_codec_writes(
    event: m.Event,
    event_id: str,
    ven_id: str,
    resource_ids: tuple[str, ...],
    request_id: str,
    response: m.EiResponse | None,
    is_enveloped: bool,
) -> None:
    target = replace(event.target, ven_ids=(ven_id,), resource_ids=resource_ids)
    whole = replace(event, event_id=event_id, target=target)
    message = m.DistributeEvent(request_id, "COOP-VTN", (whole, whole), response)

    element = rendering.event_template(event).render(
        event_id=event_id, ven_id=ven_id, resource_ids=resource_ids
    )
    body = rendering.distribute_event(
        request_id=request_id,
        vtn_id="COOP-VTN",
        events=[element, element],
        response=response,
        is_enveloped=is_enveloped,
    )

    assert body == codec.serialise(message, is_enveloped=is_enveloped)


def test_an_empty_set_is_a_sound_message() -> None:
    body = rendering.distribute_event(
        request_id="R", vtn_id="COOP-VTN", events=[], response=m.EiResponse(200, "OK", "")
    )

    schema.require_valid(etree.fromstring(body))
    assert body == codec.serialise(m.DistributeEvent("R", "COOP-VTN", (), m.EiResponse(200, "OK", "")))


@pytest.mark.parametrize("text", ["a\x00", "\x1b", "\ufffe", "\ud800"])
def test_what_xml_cannot_carry_is_never_spliced(text: str) -> None:
    with pytest.raises(InvalidValue):
        rendering.escaped(text)


answers = st.builds(
    m.EventResponse,
    st.builds(m.QualifiedEventId, ids, st.integers(0, 5)),
    st.sampled_from(["optIn", "optOut"]),
    ids,
    st.integers(0, 999),
    samples.plain_texts,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.builds(
        m.CreatedEvent,
        st.builds(m.EiResponse, st.integers(0, 999), samples.plain_texts, ids),
        ids,
        st.lists(answers, max_size=3).map(tuple),
    ),
    st.booleans(),
)
def test_an_answer_spliced_is_what_the_codec_writes(message: m.CreatedEvent, is_enveloped: bool) -> None:
    written = rendering.created_event(message, is_enveloped=is_enveloped)

    assert written == codec.serialise(message, is_enveloped=is_enveloped)


@pytest.mark.parametrize("is_enveloped", [True, False])
@pytest.mark.parametrize("request_id", ["R-1", "", "a&b<c>", "-ven-", "-request-"])
def test_a_response_is_the_codecs_byte_for_byte(request_id: str, is_enveloped: bool) -> None:
    message = m.Response(m.EiResponse(200, "OK", request_id), "VEN-1")

    written = rendering.response(message, is_enveloped=is_enveloped)
    assert written == codec.serialise(message, is_enveloped=is_enveloped)
