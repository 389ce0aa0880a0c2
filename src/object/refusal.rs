//! Errors as answers: status and body (R61, R62, R72, R86, D21).

use crate::{
    error::{InternalError, ProtocolError},
    transport::{Endpoint, Response},
    wire::{
        ACCOUNT_AUTH_SCHEME, DEVICE_AUTH_SCHEME, GroupInfoResponse, Protocol, REVOKED_CHALLENGE,
        SubmitMessageResponse, SubmitStatus, UpdateResponseCode, UpdateRoomResponse, encode,
    },
};

/// The answer with the status of `error` and a short text (D21's header with a 401, R62).
#[must_use]
pub fn plain_refusal(error: &ProtocolError) -> Response {
    let mut response = Response::text(error.status(), &error.to_string());
    let (name, value) = match error {
        ProtocolError::Unauthenticated(_) => ("www-authenticate", DEVICE_AUTH_SCHEME.into()),
        ProtocolError::NoAccount => ("www-authenticate", ACCOUNT_AUTH_SCHEME.into()),
        ProtocolError::DeviceRevoked => ("www-authenticate", REVOKED_CHALLENGE.into()),
        ProtocolError::TooFast { after_seconds } => ("retry-after", after_seconds.to_string()),
        _ => return response,
    };
    response.headers.push((name.into(), value));
    response
}

/// The answer of a room's endpoint: with the endpoint's own struct where it has a code for `error`,
/// else as [`plain_refusal`].
#[must_use]
pub fn room_refusal(endpoint: &Endpoint, error: &ProtocolError) -> Response {
    let body = match endpoint {
        Endpoint::Update { .. } => update_refusal(error),
        Endpoint::SubmitMessage { .. } => submit_refusal(error),
        Endpoint::GroupInfo { .. } => group_info_refusal(error),
        _ => None,
    };
    body.and_then(Result::ok)
        .map_or_else(|| plain_refusal(error), |body| Response::tls(error.status(), body))
}

/// R61, R62: the body of a refused update, when the error has one.
fn update_refusal(error: &ProtocolError) -> Option<Result<Vec<u8>, InternalError>> {
    let (response_code, description) = match error {
        ProtocolError::WrongEpoch { current } => {
            (UpdateResponseCode::WrongEpoch, format!("epoch={current}"))
        }
        ProtocolError::NotAllowed(why) => (UpdateResponseCode::NotAllowed, why.clone()),
        ProtocolError::InvalidProposal(why) => {
            (UpdateResponseCode::InvalidProposal, (*why).to_owned())
        }
        ProtocolError::HubUnresponsive => (UpdateResponseCode::HubUnresponsive, String::new()),
        _ => return None,
    };
    let error_description = description.into_bytes().into();
    Some(encode(&UpdateRoomResponse { response_code, error_description }))
}

/// R72: the body for a refused message, when the error has one.
fn submit_refusal(error: &ProtocolError) -> Option<Result<Vec<u8>, InternalError>> {
    let status = match error {
        ProtocolError::NotAllowed(_) => SubmitStatus::NotAllowed,
        ProtocolError::EpochTooOld { current } => SubmitStatus::EpochTooOld(*current),
        _ => return None,
    };
    Some(encode(&SubmitMessageResponse { protocol: Protocol::MLS10, status }))
}

/// R86: the status byte for a refused GroupInfo, when the error has one.
fn group_info_refusal(error: &ProtocolError) -> Option<Result<Vec<u8>, InternalError>> {
    match error {
        ProtocolError::NotAllowed(_) => Some(encode(&GroupInfoResponse::NotAuthorized)),
        ProtocolError::NotFound(_) => Some(encode(&GroupInfoResponse::NoSuchRoom)),
        _ => None,
    }
}
