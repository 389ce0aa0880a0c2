//! `POST /groupInfo/{roomId}`: the draft's "Claim end-to-end crypto group key information".

use openmls::prelude::OpenMlsCrypto;

use super::{HubRoom, group::Room, update::is_from};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{
        credential::client_uri_of,
        labels::{GROUP_INFO_REQUEST, verifies_with_label},
        ratchet_tree,
    },
    object::Step,
    room::policy,
    transport::{Response, Source},
    wire::{
        self, GroupInfoRequest, GroupInfoResponse, RatchetTreeOption, Verbatim, decode_exact,
        uri::RoomUri,
    },
};

/// Answers with the GroupInfo of the current epoch and the tree, to a client of a participant
/// (R85–R89).
pub(super) fn group_info(
    hub: &mut HubRoom,
    step: &Step<'_>,
    source: &Source,
    body: &[u8],
) -> Result<Response> {
    let HubRoom { uri, crypto, cache } = hub;
    let request: GroupInfoRequest = decode_exact(body)?;
    let room = Room::cached(cache, uri, &step.transaction)?;
    authorize(room, uri, crypto.algorithms(), source, &request)?;
    let group_info =
        room.store.group_info().ok_or(InternalError::Storage("the room has no GroupInfo"))?;
    let tree = ratchet_tree::to_wire(&room.group.export_ratchet_tree())?;
    let response = GroupInfoResponse::Success {
        group_info: Box::new(Verbatim::own(group_info)?),
        ratchet_tree_option: RatchetTreeOption::Full(tree),
    };
    Ok(Response::tls(200, wire::encode(&response)?))
}

/// The request is for this room and signed with the key in it, in the room's scheme (R85, R88); the
/// client that its credential names is of the source and of a user who takes part (R64, R85).
fn authorize(
    room: &Room,
    uri: &RoomUri,
    crypto: &impl OpenMlsCrypto,
    source: &Source,
    GroupInfoRequest { signature, tbs }: &GroupInfoRequest,
) -> Result<(), ProtocolError> {
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()));
    if tbs.room_id.0 != uri.as_str() {
        return refused("the request is for another room");
    }
    let scheme = room.group.ciphersuite().signature_algorithm();
    let key = (scheme, tbs.requesting_signature_key.as_slice());
    let signed = wire::encode(tbs).map_err(|_| ProtocolError::Malformed("body"))?;
    if !verifies_with_label(crypto, key, GROUP_INFO_REQUEST, &signed, signature.as_slice()) {
        return refused("the signature");
    }
    let Ok(client) = client_uri_of(&tbs.requesting_credential) else {
        return refused("the credential names no client");
    };
    if !is_from(source, &client) {
        return refused("not the client's provider");
    }
    if room.departures.is_deleted(&client.user()) {
        return refused("the client's user was deleted");
    }
    policy::authorize_entry(&room.roster.list, &client.user())
}
