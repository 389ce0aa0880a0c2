//! How each error is answered (R61, R62, R72, R86, D21): status, header and body, endpoint by
//! endpoint.
#![cfg(not(target_arch = "wasm32"))]

use mimi_edge::{
    error::{Error, InternalError, ProtocolError},
    object::{plain_refusal, room_refusal},
    transport::{Endpoint, OCTET_STREAM},
    wire::uri::RoomUri,
};

fn room() -> RoomUri {
    RoomUri::parse("club@alpha.example").unwrap()
}

/// Every error that a peer can be at fault for, and its status.
fn errors() -> Vec<(ProtocolError, u16)> {
    vec![
        (ProtocolError::Malformed("x"), 400),
        (ProtocolError::Unauthenticated("x"), 401),
        (ProtocolError::PeerRefused("x"), 403),
        (ProtocolError::NotAllowed("why".into()), 403),
        (ProtocolError::NotFound("x"), 404),
        (ProtocolError::MethodNotAllowed, 405),
        (ProtocolError::Conflict("x"), 409),
        (ProtocolError::WrongEpoch { current: 7 }, 409),
        (ProtocolError::EpochTooOld { current: 7 }, 409),
        (ProtocolError::TooLarge, 413),
        (ProtocolError::UnsupportedMediaType, 415),
        (ProtocolError::Misdirected, 421),
        (ProtocolError::InvalidProposal("why"), 422),
        (ProtocolError::TooManyRequests, 429),
        (ProtocolError::BadGateway("x"), 502),
        (ProtocolError::HubUnresponsive, 504),
    ]
}

/// Asserts that exactly these errors have a struct as body at `endpoint`, and all others a text.
fn assert_bodies(endpoint: &Endpoint, bodies: &[(ProtocolError, Vec<u8>)]) {
    for (error, status) in errors() {
        let response = room_refusal(endpoint, &error);
        assert_eq!(response.status, status, "{error}");
        match bodies.iter().find(|(other, _)| *other == error) {
            Some((_, body)) => {
                assert_eq!(response.header("content-type"), Some(OCTET_STREAM));
                assert_eq!(&response.body, body, "{error}");
            }
            None => assert_eq!(response, plain_refusal(&error)),
        }
    }
}

#[test]
fn r62_d21_each_error_has_one_status_and_says_no_more_than_its_kind() {
    for (error, status) in errors() {
        let response = plain_refusal(&error);
        assert_eq!(response.status, status, "{error}");
        assert_eq!(response.body, error.to_string().into_bytes());
        let signs_in = (status == 401).then_some("Mimi-Device");
        assert_eq!(response.header("www-authenticate"), signs_in, "{error}");
    }
    assert_eq!(Error::Internal(InternalError::Storage("secret")).status(), 500);
}

#[test]
fn r61_r62_four_codes_of_an_update_have_a_body() {
    let bodies = [
        (ProtocolError::WrongEpoch { current: 7 }, b"\x01\x07epoch=7".to_vec()),
        (ProtocolError::NotAllowed("why".into()), b"\x02\x03why".to_vec()),
        (ProtocolError::HubUnresponsive, b"\x03\x00".to_vec()),
        (ProtocolError::InvalidProposal("why"), b"\x04\x03why".to_vec()),
    ];
    assert_bodies(&Endpoint::Update { room: room() }, &bodies);
}

#[test]
fn r72_two_codes_of_a_message_have_a_body() {
    let bodies = [
        (ProtocolError::NotAllowed("why".into()), b"\x01\x01".to_vec()),
        (ProtocolError::EpochTooOld { current: 7 }, b"\x01\x02\0\0\0\0\0\0\0\x07".to_vec()),
    ];
    assert_bodies(&Endpoint::SubmitMessage { room: room(), sending_user: None }, &bodies);
}

#[test]
fn r86_two_codes_of_group_info_have_a_body_of_one_byte() {
    let bodies = [
        (ProtocolError::NotAllowed("why".into()), vec![2]),
        (ProtocolError::NotFound("x"), vec![3]),
    ];
    assert_bodies(&Endpoint::GroupInfo { room: room() }, &bodies);
}

#[test]
fn r62_other_endpoints_answer_in_words() {
    for endpoint in [Endpoint::Notify { room: room() }, Endpoint::CreateRoom { room: room() }] {
        assert_bodies(&endpoint, &[]);
    }
    let response = room_refusal(&Endpoint::Exists, &ProtocolError::NotFound("room"));
    assert_eq!(response.body, b"not found: room");
}
