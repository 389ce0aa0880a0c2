//! What a user sends outside of any answer: what it says of consent, to the other user's provider or
//! object (R98), and that it was deleted, to the objects of its rooms (D19).

use serde::{Deserialize, Serialize};

use super::consent;
use crate::{
    error::{InternalError, Result},
    object::{Call, Lane, LaneRequest, Step},
    storage::{decode_row, encode_row},
    time::UnixMillis,
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, PeerCall, Source},
    wire::uri::{Domain, UserUri},
};

/// After this time, in milliseconds, nobody needs to know any more what was said of consent: 28 days.
const CONSENT_MILLIS: u64 = 28 * 24 * 60 * 60 * 1000;

/// What waits in a lane of the user's outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// To the object of a room: the user was deleted (D19).
    UserDeleted,
    /// To a pseudonym: it is deleted with its owner.
    DeleteUser,
    /// To the owner of a pseudonym: it was deleted.
    PseudonymDeleted,
    /// To another user: an encoded `ConsentEntry`, and since when it waits.
    Consent(UnixMillis, Vec<u8>),
    /// To the object for claims of this provider that name no room: the KeyPackageRefs of the grant
    /// that follows in the lane. They are known here before they are there (R32, R97).
    Granted(Domain, Vec<Vec<u8>>),
}

impl Entry {
    /// Puts it at the end of the lane of `object`.
    pub(super) fn enqueue(
        &self,
        step: &mut Step<'_>,
        object: ObjectName,
    ) -> Result<(), InternalError> {
        step.enqueue(&Lane::Object(object), encode_row(self)?)
    }
}

/// Tells the other user of a consent entry.
pub(super) fn say(step: &mut Step<'_>, entry: &consent::Entry) -> Result<(), InternalError> {
    let waiting = Entry::Consent(step.now, entry.encode()?);
    step.enqueue(&lane_of(step, entry.is_told()), encode_row(&waiting)?)
}

/// Records whose KeyPackages go to the provider of `requester`, before they do.
pub(super) fn record_granted(
    step: &mut Step<'_>,
    requester: &UserUri,
    references: Vec<Vec<u8>>,
) -> Result<(), InternalError> {
    let waiting = Entry::Granted(requester.domain().clone(), references);
    step.enqueue(&lane_of(step, requester), encode_row(&waiting)?)
}

fn lane_of(step: &Step<'_>, user: &UserUri) -> Lane {
    if *user.domain() == step.config.domain {
        Lane::Object(ObjectName::user(user))
    } else {
        Lane::Provider(user.domain().clone())
    }
}

/// The request of the entry at the head of a lane of `user`.
///
/// # Errors
/// When the entry is none of ours.
pub(super) fn request(
    step: &Step<'_>,
    user: &UserUri,
    lane: &Lane,
    entries: &[Vec<u8>],
) -> Result<Option<LaneRequest>> {
    let Some(entry) = entries.first() else { return Ok(None) };
    let user = user.clone();
    let (call, label) = match decode_row(entry)? {
        Entry::UserDeleted => (tell(lane, Endpoint::UserDeleted { user }), "user deleted"),
        Entry::DeleteUser => (tell(lane, Endpoint::DeleteUser), "delete user"),
        Entry::PseudonymDeleted => {
            (tell(lane, Endpoint::PseudonymDeleted { user }), "pseudonym deleted")
        }
        Entry::Consent(since, _) if step.now.since(since) > CONSENT_MILLIS => return Ok(None),
        Entry::Consent(_, body) => {
            let entry = consent::Entry::parse(&body)?;
            (Some(consent_call(lane, &entry, body)), entry.label())
        }
        Entry::Granted(domain, references) => {
            let (object, endpoint) = (ObjectName::claims(&domain), Endpoint::Granted { user });
            let call = own_object(object, endpoint, encode_row(&references)?);
            (Some(call), "granted KeyPackages")
        }
    };
    Ok(call.map(|call| LaneRequest { call, label: label.into(), entries: 1, since: None }))
}

fn tell(lane: &Lane, endpoint: Endpoint) -> Option<Call> {
    match lane {
        Lane::Object(object) => Some(own_object(object.clone(), endpoint, Vec::new())),
        Lane::Provider(_) => None,
    }
}

fn consent_call(lane: &Lane, entry: &consent::Entry, body: Vec<u8>) -> Call {
    match lane {
        Lane::Object(object) => own_object(object.clone(), Endpoint::Consent, body),
        Lane::Provider(domain) => Call::Peer(PeerCall {
            domain: domain.clone(),
            endpoint: entry.endpoint(),
            identifier: entry.is_told().to_string(),
            sending_user: None,
            body,
        }),
    }
}

fn own_object(object: ObjectName, endpoint: Endpoint, body: Vec<u8>) -> Call {
    let request = IncomingRequest { source: Source::Own, endpoint, body };
    Call::Object(ObjectCall { object, request })
}
