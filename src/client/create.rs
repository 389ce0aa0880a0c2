//! Creating a room (R8, R14, R15, D1): the own provider takes the group over as its hub.

use openmls::{extensions::ExternalSender, group::MlsGroup, prelude::WireFormat};
use openmls_traits::OpenMlsProvider;

use super::{
    CreateOptions, ErrorCode, Event, HubProposals, RoomPhase, hubs,
    intent::{self, Intent, WaitsFor},
    request::{Request, Settled},
    room::mls_error,
    send,
    step::Step,
    tables,
    task::Task,
};
use crate::{
    error::{InternalError, Result},
    mls::{
        self,
        entry::{self, Entrant, group_id},
        ratchet_tree,
    },
    room::{Profile, codepoints::cipher_suite},
    transport::Response,
    wire::{self, RatchetTreeOption, RoomCreation, Verbatim, uri::RoomUri},
};

/// Starts: the hub's key is needed first, if the hub may propose.
pub(super) fn start(step: &mut Step<'_>, room: &RoomUri, options: CreateOptions) -> Result<()> {
    match options.hub_proposals {
        HubProposals::On => Ok(step.enqueue(&Request::ExternalSender(room.clone()))?),
        HubProposals::Off => make(step, room, options.profile, None),
    }
}

/// The provider answered `GET external-sender`.
pub(super) fn external_sender_answered(
    step: &mut Step<'_>,
    room: &RoomUri,
    response: &Response,
) -> Result<Settled> {
    let Some(options) = without_group(step, room)? else { return Ok(Settled::Delivered) };
    if !response.is_success() {
        return failed(step, room, ErrorCode::of_status(response.status));
    }
    match wire::decode_exact::<ExternalSender>(&response.body) {
        Ok(hub) => make(step, room, options.profile, Some(hub))?,
        Err(_) => return failed(step, room, ErrorCode::Incompatible),
    }
    Ok(Settled::Delivered)
}

/// Whether the hub's key is still needed for the room's creation.
pub(super) fn needs_hub_key(step: &mut Step<'_>, room: &RoomUri) -> Result<bool> {
    Ok(without_group(step, room)?.is_some())
}

/// The creation of a room for which no group was made yet.
fn without_group(step: &mut Step<'_>, room: &RoomUri) -> Result<Option<CreateOptions>> {
    let Some((_, options)) = creation(step, room)? else { return Ok(None) };
    let is_made = MlsGroup::load(step.provider().storage(), &group_id(room))?.is_some();
    Ok(Some(options).filter(|_| !is_made))
}

fn creation(step: &Step<'_>, room: &RoomUri) -> Result<Option<(Intent, CreateOptions)>> {
    let first = intent::first(&step.transaction, room)?;
    Ok(first.and_then(|intent| match intent.task {
        Task::Create(options) => Some((intent, options)),
        _ => None,
    }))
}

/// This body of `POST rooms/{room}` is handed out, if it is that of the creation which is still to be
/// done; it says whether it is.
pub(super) fn hand_out(step: &mut Step<'_>, room: &RoomUri, body: &[u8]) -> Result<bool> {
    let Some((intent, _)) = creation(step, room)? else { return Ok(false) };
    let made: RoomCreation = wire::decode_exact(body)?;
    if step.group(room)?.public_group().group_context() != made.group_info.group_context() {
        return Ok(false);
    }
    intent.wait(step, room, WaitsFor::Outcome)?;
    Ok(true)
}

/// The creation is taken back with all that was to be done and said in the room, if the provider does
/// not know of it yet; it says whether that was so.
pub(super) fn cancel(step: &mut Step<'_>, room: &RoomUri, intent: &Intent) -> Result<bool> {
    if intent.waits_for == WaitsFor::Outcome {
        return Ok(false);
    }
    send::take_back_all(step, room)?;
    failed(step, room, ErrorCode::Aborted)?;
    Ok(true)
}

/// Makes the group and asks the provider to host it.
fn make(
    step: &mut Step<'_>,
    room: &RoomUri,
    profile: Profile,
    hub: Option<ExternalSender>,
) -> Result<()> {
    let (identity, now) = (step.identity, step.now);
    let suite = mls::accepted_suite(cipher_suite::DEFAULT)
        .ok_or(InternalError::Mls("the default suite"))?;
    let creator = Entrant { client: &identity.client, key_pair: &identity.key_pair };
    let provider = step.provider();
    let group = entry::create(&provider, creator, room, (suite, profile), hub, now)?;
    let group_info = group
        .export_group_info(provider.crypto(), &identity.key_pair, false)
        .map_err(mls_error("GroupInfo"))?;
    let group_info = mls::without_header(&group_info, WireFormat::GroupInfo)?;
    let tree = ratchet_tree::to_wire(&group.export_ratchet_tree())?;
    let body = wire::encode(&RoomCreation {
        group_info: Verbatim::own(group_info)?,
        ratchet_tree_option: RatchetTreeOption::Full(tree),
    })?;
    Ok(step.enqueue(&Request::CreateRoom(room.clone(), body))?)
}

/// The provider answered `POST rooms/{room}`.
pub(super) fn answered(step: &mut Step<'_>, uri: &RoomUri, response: &Response) -> Result<Settled> {
    if !response.is_success() {
        return failed(step, uri, ErrorCode::of_status(response.status));
    }
    let Some(mut room) = step.room(uri)? else { return Ok(Settled::Delivered) };
    room.phase = RoomPhase::Joined;
    step.store_room(&room)?;
    step.emit(Event::RoomAdded { room: uri.clone() });
    hubs::learn(step, uri.domain())?;
    if let Some(created) = intent::first(&step.transaction, uri)? {
        created.done(step, uri);
    }
    intent::advance(step, uri)?;
    Ok(Settled::Delivered)
}

/// There is no such room after all, and nothing to do in it.
fn failed(step: &mut Step<'_>, room: &RoomUri, code: ErrorCode) -> Result<Settled> {
    let provider = step.provider();
    if let Some(mut group) = MlsGroup::load(provider.storage(), &group_id(room))? {
        group.delete(provider.storage())?;
    }
    step.transaction.delete(tables::room(room));
    intent::give_up_all(step, room, code)?;
    Ok(Settled::Delivered)
}
