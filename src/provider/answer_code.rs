//! What an answer says, in the draft's words, for traces and logs.

use crate::{
    transport::Response,
    wire::{
        GroupInfoResponse, KeyMaterialResponse, KeyMaterialUserCode, PendingProposalsResponse,
        SubmitMessageResponse, SubmitStatus, UpdateResponseCode, UpdateRoomResponse, decode_exact,
    },
};

/// The code in the answer of another provider's endpoint, of which `path` is the URL's path; `None`
/// when the status says it all.
#[must_use]
pub fn answer_code(path: &str, response: &Response) -> Option<&'static str> {
    let endpoint = path.rsplit('/').nth(1)?;
    match endpoint {
        "keyMaterial" => {
            let answer: KeyMaterialResponse = decode_exact(&response.body).ok()?;
            Some(user_code(answer.user_status))
        }
        "update" if decode_exact::<PendingProposalsResponse>(&response.body).is_ok() => {
            Some("pendingProposals")
        }
        "update" => {
            let answer: UpdateRoomResponse = decode_exact(&response.body).ok()?;
            Some(match answer.response_code {
                UpdateResponseCode::Success => "success",
                UpdateResponseCode::WrongEpoch => "wrongEpoch",
                UpdateResponseCode::NotAllowed => "notAllowed",
                UpdateResponseCode::HubUnresponsive => "hubUnresponsive",
                UpdateResponseCode::InvalidProposal => "invalidProposal",
            })
        }
        "submitMessage" => {
            let answer: SubmitMessageResponse = decode_exact(&response.body).ok()?;
            Some(match answer.status {
                SubmitStatus::Accepted(_) => "accepted",
                SubmitStatus::NotAllowed => "notAllowed",
                SubmitStatus::EpochTooOld(_) => "epochTooOld",
            })
        }
        "groupInfo" => Some(match decode_exact(&response.body).ok()? {
            GroupInfoResponse::Success { .. } => "success",
            GroupInfoResponse::NotAuthorized => "notAuthorized",
            GroupInfoResponse::NoSuchRoom => "noSuchRoom",
        }),
        _ => None,
    }
}

const fn user_code(code: KeyMaterialUserCode) -> &'static str {
    match code {
        KeyMaterialUserCode::Success => "success",
        KeyMaterialUserCode::PartialSuccess => "partialSuccess",
        KeyMaterialUserCode::IncompatibleProtocol => "incompatibleProtocol",
        KeyMaterialUserCode::NoCompatibleMaterial => "noCompatibleMaterial",
        KeyMaterialUserCode::UserUnknown => "userUnknown",
        KeyMaterialUserCode::NoConsent => "noConsent",
        KeyMaterialUserCode::NoConsentForThisRoom => "noConsentForThisRoom",
        KeyMaterialUserCode::UserDeleted => "userDeleted",
    }
}
