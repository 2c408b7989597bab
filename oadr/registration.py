"""EiRegisterParty, OadrPoll and oadrResponse: elements to messages and back."""

from __future__ import annotations

from oadr.elements import (
    EI,
    OADR,
    PYLD,
    Element,
    add,
    add_duration,
    add_if,
    add_response,
    boolean_of,
    duration_of,
    from_boolean,
    response_of,
    text_of,
    texts_of,
    token_of,
)
from oadr.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    Poll,
    Profile,
    QueryRegistration,
    RequestReregistration,
    Response,
    ServiceInfo,
)


def read_query_registration(root: Element) -> QueryRegistration:
    return QueryRegistration(request_id=text_of(root, PYLD("requestID")))


def write_query_registration(root: Element, message: QueryRegistration) -> None:
    add(root, PYLD("requestID"), message.request_id)


def read_create_party_registration(root: Element) -> CreatePartyRegistration:
    address = text_of(root, OADR("oadrTransportAddress"))
    return CreatePartyRegistration(
        request_id=text_of(root, PYLD("requestID")),
        registration_id=text_of(root, EI("registrationID")),
        ven_id=text_of(root, EI("venID")),
        profile_name=token_of(root, OADR("oadrProfileName")),
        transport_name=token_of(root, OADR("oadrTransportName")),
        # openleadr writes Python's None for "no address".
        transport_address="" if address == "None" else address,
        is_report_only=bool(boolean_of(root, OADR("oadrReportOnly"))),
        has_xml_signature=bool(boolean_of(root, OADR("oadrXmlSignature"))),
        ven_name=text_of(root, OADR("oadrVenName")),
        is_http_pull=boolean_of(root, OADR("oadrHttpPullModel")),
    )


def write_create_party_registration(root: Element, message: CreatePartyRegistration) -> None:
    add(root, PYLD("requestID"), message.request_id)
    add_if(root, EI("registrationID"), message.registration_id)
    add_if(root, EI("venID"), message.ven_id)
    add(root, OADR("oadrProfileName"), message.profile_name)
    add(root, OADR("oadrTransportName"), message.transport_name)
    add_if(root, OADR("oadrTransportAddress"), message.transport_address)
    add(root, OADR("oadrReportOnly"), from_boolean(message.is_report_only))
    add(root, OADR("oadrXmlSignature"), from_boolean(message.has_xml_signature))
    add_if(root, OADR("oadrVenName"), message.ven_name)
    if message.is_http_pull is not None:
        add(root, OADR("oadrHttpPullModel"), from_boolean(message.is_http_pull))


def read_created_party_registration(root: Element) -> CreatedPartyRegistration:
    transport = f"{OADR('oadrTransports')}/{OADR('oadrTransport')}/{OADR('oadrTransportName')}"
    return CreatedPartyRegistration(
        response=response_of(root),
        registration_id=text_of(root, EI("registrationID")),
        ven_id=text_of(root, EI("venID")),
        vtn_id=text_of(root, EI("vtnID")),
        profiles=tuple(
            Profile(
                token_of(profile, OADR("oadrProfileName")),
                tuple(name.strip() for name in texts_of(profile, transport)),
            )
            for profile in root.iterfind(f"{OADR('oadrProfiles')}/{OADR('oadrProfile')}")
        ),
        poll_seconds=duration_of(root, OADR("oadrRequestedOadrPollFreq")),
        services=tuple(
            ServiceInfo(token_of(service, OADR("oadrServiceName")), _info_of(service))
            for service in root.iterfind(f"{OADR('oadrServiceSpecificInfo')}/{OADR('oadrService')}")
        ),
        extensions=tuple(
            ServiceInfo(text_of(extension, OADR("oadrExtensionName")), _info_of(extension))
            for extension in root.iterfind(f"{OADR('oadrExtensions')}/{OADR('oadrExtension')}")
        ),
    )


def write_created_party_registration(root: Element, message: CreatedPartyRegistration) -> None:
    add_response(root, message.response)
    add_if(root, EI("registrationID"), message.registration_id)
    add_if(root, EI("venID"), message.ven_id)
    add(root, EI("vtnID"), message.vtn_id)
    profiles = add(root, OADR("oadrProfiles"))
    for profile in message.profiles:
        element = add(profiles, OADR("oadrProfile"))
        add(element, OADR("oadrProfileName"), profile.name)
        transports = add(element, OADR("oadrTransports"))
        for name in profile.transports:
            add(add(transports, OADR("oadrTransport")), OADR("oadrTransportName"), name)
    if message.poll_seconds is not None:
        add_duration(root, OADR("oadrRequestedOadrPollFreq"), message.poll_seconds)
    if message.services:
        services = add(root, OADR("oadrServiceSpecificInfo"))
        for service in message.services:
            element = add(services, OADR("oadrService"))
            add(element, OADR("oadrServiceName"), service.service)
            _add_info(element, service.info)
    if message.extensions:
        extensions = add(root, OADR("oadrExtensions"))
        for extension in message.extensions:
            element = add(extensions, OADR("oadrExtension"))
            add(element, OADR("oadrExtensionName"), extension.service)
            _add_info(element, extension.info)


def _info_of(parent: Element) -> tuple[tuple[str, str], ...]:
    return tuple(
        (text_of(info, OADR("oadrKey")), text_of(info, OADR("oadrValue")))
        for info in parent.findall(OADR("oadrInfo"))
    )


def _add_info(parent: Element, pairs: tuple[tuple[str, str], ...]) -> None:
    for key, value in pairs:
        info = add(parent, OADR("oadrInfo"))
        add(info, OADR("oadrKey"), key)
        add(info, OADR("oadrValue"), value)


def read_cancel_party_registration(root: Element) -> CancelPartyRegistration:
    return CancelPartyRegistration(
        request_id=text_of(root, PYLD("requestID")),
        registration_id=text_of(root, EI("registrationID")),
        ven_id=text_of(root, EI("venID")),
    )


def write_cancel_party_registration(root: Element, message: CancelPartyRegistration) -> None:
    add(root, PYLD("requestID"), message.request_id)
    add(root, EI("registrationID"), message.registration_id)
    add_if(root, EI("venID"), message.ven_id)


def read_canceled_party_registration(root: Element) -> CanceledPartyRegistration:
    return CanceledPartyRegistration(
        response=response_of(root),
        registration_id=text_of(root, EI("registrationID")),
        ven_id=text_of(root, EI("venID")),
    )


def write_canceled_party_registration(root: Element, message: CanceledPartyRegistration) -> None:
    add_response(root, message.response)
    add_if(root, EI("registrationID"), message.registration_id)
    add_if(root, EI("venID"), message.ven_id)


def read_request_reregistration(root: Element) -> RequestReregistration:
    return RequestReregistration(ven_id=text_of(root, EI("venID")))


def write_request_reregistration(root: Element, message: RequestReregistration) -> None:
    add(root, EI("venID"), message.ven_id)


def read_poll(root: Element) -> Poll:
    return Poll(ven_id=text_of(root, EI("venID")))


def write_poll(root: Element, message: Poll) -> None:
    add(root, EI("venID"), message.ven_id)


def read_response(root: Element) -> Response:
    return Response(response=response_of(root), ven_id=text_of(root, EI("venID")))


def write_response(root: Element, message: Response) -> None:
    add_response(root, message.response)
    add_if(root, EI("venID"), message.ven_id)
