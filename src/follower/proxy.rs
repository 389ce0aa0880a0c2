//! What our devices ask of the hub: checked here as far as the hub cannot, and passed on (R62, R69).

use openmls::framing::Sender;

use super::{LOG, Room, Then, joining, own_device};
use crate::{
    error::{ProtocolError, Result},
    mls::credential::client_uri_of,
    object::{Ask, Call, Reply, Step, sized_label},
    room_log::Activity,
    storage::encode_row,
    transport::{PENDING_PROPOSALS, PeerCall, PeerEndpoint, Response, Source},
    wire::{
        GroupInfoRequest, UpdateContent, UpdateRequest, decode_exact,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// The headers of the hub's answer that mean something to a device.
const PASSED_HEADERS: [&str; 3] = ["content-type", "www-authenticate", "retry-after"];

/// `update/{roomId}` of a device. One that has no leaf can send an external commit alone.
pub(super) fn update(
    uri: &RoomUri,
    step: &mut Step<'_>,
    source: &Source,
    body: Vec<u8>,
) -> Result<Reply> {
    let device = own_device(source)?;
    let UpdateRequest { proposal_or_commit: message, content } = decode_exact(&body)?;
    if let (Sender::NewMemberCommit, UpdateContent::Commit(bundle)) = (message.sender(), &content) {
        let forwarded = joining::expect(step, device, message.bytes(), bundle, &body)?;
        let label = sized_label("external commit", body.len());
        return ask_hub(uri, PeerEndpoint::Update, None, body, (label, Then::Joining(forwarded)));
    }
    require_leaf(step, device)?;
    let what = match content {
        UpdateContent::Commit(bundle) => {
            require_active(step, device)?;
            if bundle.welcome.is_some() { "commit + welcome" } else { "commit" }
        }
        // A removed user may still propose its own removal: the hub decides (R45).
        UpdateContent::Proposal(_) => "proposal",
    };
    let label = sized_label(what, body.len());
    ask_hub(uri, PeerEndpoint::Update, None, body, (label, Then::Pass))
}

/// `submitMessage/{roomId}` of a device: only its own provider knows who sends (R69, R71).
pub(super) fn submit(
    uri: &RoomUri,
    step: &Step<'_>,
    source: &Source,
    body: Vec<u8>,
) -> Result<Reply> {
    let device = own_device(source)?;
    require_leaf(step, device)?;
    require_active(step, device)?;
    let label = sized_label("message", body.len());
    let sender = Some(device.user());
    ask_hub(uri, PeerEndpoint::SubmitMessage, sender, body, (label, Then::Pass))
}

/// `groupInfo/{roomId}` of a device, which need not be in the room yet; it asks for itself (R64: of
/// the client behind the provider the hub knows nothing).
pub(super) fn group_info(uri: &RoomUri, source: &Source, body: Vec<u8>) -> Result<Reply> {
    let device = own_device(source)?;
    let GroupInfoRequest { tbs, .. } = decode_exact(&body)?;
    if client_uri_of(&tbs.requesting_credential).ok().as_ref() != Some(device) {
        return Err(ProtocolError::NotAllowed("the credential of another client".into()).into());
    }
    ask_hub(uri, PeerEndpoint::GroupInfo, None, body, ("groupInfo".into(), Then::GroupInfo))
}

/// R69: the device has a leaf.
fn require_leaf(step: &Step<'_>, device: &ClientUri) -> Result<()> {
    if joining::is_accepted(&step.transaction, device)? {
        return Ok(());
    }
    Room::require(&step.transaction)?;
    if LOG.has_open_window(&step.transaction, device)? {
        return Ok(());
    }
    Err(ProtocolError::NotAllowed("this device is not in the room".into()).into())
}

/// R69: the device's user is active; who got a leaf from the hub just now is (R90).
fn require_active(step: &Step<'_>, device: &ClientUri) -> Result<()> {
    if joining::is_accepted(&step.transaction, device)? {
        return Ok(());
    }
    match LOG.activity(&step.transaction, &device.user())? {
        Activity::Active => Ok(()),
        Activity::Inactive => {
            Err(ProtocolError::NotAllowed("not an active participant".into()).into())
        }
    }
}

fn ask_hub(
    uri: &RoomUri,
    endpoint: PeerEndpoint,
    sending_user: Option<UserUri>,
    body: Vec<u8>,
    (label, then): (String, Then),
) -> Result<Reply> {
    let call = Call::Peer(PeerCall {
        domain: uri.domain().clone(),
        endpoint,
        identifier: uri.to_string(),
        sending_user,
        body,
    });
    Ok(Reply::Ask(Ask { call, label, then: encode_row(&then)? }))
}

/// Somebody else's answer as our own: status, body, and the headers that belong to it.
///
/// # Errors
/// [`ProtocolError::BadGateway`] when the status is none that ends a device's request: a redirection,
/// an upgrade, a wish that the device sign in there (D21).
pub(super) fn passed_on(mut response: Response) -> Result<Response, ProtocolError> {
    let is_final = matches!(response.status, 200..=204 | 400..=599);
    let challenge = response.header("www-authenticate").unwrap_or_default();
    if !is_final || (response.status == 401 && !challenge.eq_ignore_ascii_case(PENDING_PROPOSALS)) {
        return Err(ProtocolError::BadGateway("the hub's answer"));
    }
    response.headers.retain(|(name, _)| PASSED_HEADERS.contains(&name.as_str()));
    Ok(response)
}
