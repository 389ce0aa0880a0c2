//! Joining by an external commit over the hub's GroupInfo, with nobody online: a new device, a device
//! that lost the thread, or one that was taken out (R85–R90, D4, D8–D10).
//!
//! The new group is kept aside until the hub has taken the commit; until then the room's old state, if
//! there is one, stays as it was.

use openmls::{
    framing::PublicMessageIn, group::MlsGroup, messages::group_info::VerifiableGroupInfo,
};
use openmls_traits::OpenMlsProvider;

use super::{
    ErrorCode, Event, IntentId, RoomPhase,
    commit::{self, Made, Verdict, verdict},
    hubs,
    intent::{self, Intent, WaitsFor},
    request::{self, Request, Settled},
    room::{OwnCommit, Room},
    rooms,
    step::Step,
    tables,
    task::{Join, Task},
};
use crate::{
    error::{Error, ProtocolError, Result},
    mls::{
        MlsProvider, credential,
        entry::{self, Entrant, ExternalJoin, group_id},
        labels,
    },
    storage::{MemoryStorage, Storage as _, Transaction},
    transport::Response,
    wire::{
        self, GroupInfoRequest, GroupInfoRequestTbs, GroupInfoResponse, RatchetTreeOption,
        Verbatim, uri::RoomUri,
    },
};

const UNUSABLE: ProtocolError = ProtocolError::InvalidProposal("a GroupInfo cannot be joined by");

/// Starts to join a room; this device may know it already, but is not in it.
pub(super) fn begin(step: &mut Step<'_>, room: &mut Room, join: Join) -> Result<IntentId> {
    room.phase = RoomPhase::Joining;
    room.own_commit = None;
    step.store_room(room)?;
    rooms::phase_changed(step)?;
    intent::add(step, &room.uri, Task::Join(join))
}

/// Asks for the room's GroupInfo.
pub(super) fn ask(step: &mut Step<'_>, room: &RoomUri, intent: Intent) -> Result<()> {
    intent.wait(step, room, WaitsFor::Answer)?;
    Ok(step.enqueue(&Request::GroupInfo(room.clone()))?)
}

/// The body of `POST groupInfo` (R85): signed with the key that the new leaf will have. The signature
/// does not name its scheme; the hub takes the room's (R88).
pub(super) fn request(step: &Step<'_>, room: &RoomUri) -> Result<Vec<u8>> {
    let identity = step.identity;
    let tbs = GroupInfoRequestTbs {
        room_id: room.to_wire(),
        requesting_signature_key: identity.key_pair.public().into(),
        requesting_credential: Verbatim::own(wire::encode(&credential::credential_of(
            &identity.client,
        ))?)?,
    };
    let content = wire::encode(&tbs)?;
    let signature =
        labels::sign_with_label(&identity.key_pair, labels::GROUP_INFO_REQUEST, &content)?;
    Ok(wire::encode(&GroupInfoRequest { signature: signature.into(), tbs })?)
}

/// The intent to join, while it waits for an answer.
fn waiting(step: &Step<'_>, room: &RoomUri) -> Result<Option<(Intent, Join)>> {
    let first = intent::first(&step.transaction, room)?;
    Ok(first.filter(|intent| intent.waits_for == WaitsFor::Answer).and_then(|intent| match intent
        .task
        .clone()
    {
        Task::Join(join) => Some((intent, join)),
        _ => None,
    }))
}

/// The hub answered `POST groupInfo` (R86, R87): the external commit is made and sent.
pub(super) fn group_info_answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    response: &Response,
) -> Result<Settled> {
    let (Some(mut room), Some((mut intent, mut join))) = (step.room(uri)?, waiting(step, uri)?)
    else {
        return Ok(Settled::Delivered);
    };
    if room.own_commit.is_some() {
        return Ok(Settled::Delivered);
    }
    if request::is_silent(response) && goes_on_asking(step, &mut join) {
        intent.task = Task::Join(join);
        intent.store(step, uri)?;
        return Ok(Settled::Later(response.retry_after_millis()));
    }
    let code = match wire::decode_exact::<GroupInfoResponse>(&response.body) {
        Ok(GroupInfoResponse::Success { group_info, ratchet_tree_option })
            if response.is_success() =>
        {
            match make(step, uri, &join, *group_info, &ratchet_tree_option) {
                Ok(joining) => {
                    join.group = joining.rows;
                    join.silent_since = None;
                    intent.task = Task::Join(join);
                    let (epoch, Made { body, hash, by_reference }) = (joining.epoch, joining.made);
                    room.own_commit = Some(OwnCommit::new(intent.id, epoch, hash, by_reference));
                    step.store_room(&room)?;
                    intent.wait(step, uri, WaitsFor::Answer)?;
                    step.enqueue(&Request::Join(uri.clone(), epoch, body))?;
                    return Ok(Settled::Delivered);
                }
                Err(Error::Protocol(ProtocolError::NotAllowed(_))) => ErrorCode::NotAllowed,
                Err(Error::Protocol(_)) => ErrorCode::Incompatible,
                Err(error) => return Err(error),
            }
        }
        Ok(GroupInfoResponse::NotAuthorized) => ErrorCode::NotAllowed,
        Ok(GroupInfoResponse::NoSuchRoom) => ErrorCode::RoomUnknown,
        _ if response.is_success() => ErrorCode::Incompatible,
        _ => ErrorCode::of_status(response.status),
    };
    failed(step, room, &intent, &join, code)?;
    Ok(Settled::Delivered)
}

/// A Welcome has brought this device in; if it was about to join by itself, that is done.
pub(super) fn superseded(step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
    let mut intents = intent::all(&step.transaction, room)?;
    intents.retain(|intent| matches!(intent.task, Task::Join(_)));
    let was = intents.iter().find_map(|intent| match &intent.task {
        Task::Join(join) => join.was,
        _ => None,
    });
    step.emit(entered(room, was));
    for intent in intents {
        intent.done(step, room);
    }
    Ok(())
}

/// This device is in a room that was in this phase before.
fn entered(room: &RoomUri, was: Option<RoomPhase>) -> Event {
    let room = room.clone();
    match was {
        None => Event::RoomAdded { room },
        Some(_) => Event::Rejoined { room },
    }
}

/// Whether a silent hub is asked again. A device that lost the thread goes on: nobody would ask it to
/// join again.
fn goes_on_asking(step: &Step<'_>, join: &mut Join) -> bool {
    request::has_patience(&mut join.silent_since, step.now) || join.is_automatic
}

/// A group after this device's external commit, and the commit.
struct Joining {
    /// The epoch that the commit ends.
    epoch: u64,
    made: Made,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Makes the commit, and the group after it aside (R87, R90).
fn make(
    step: &Step<'_>,
    uri: &RoomUri,
    join: &Join,
    group_info: Verbatim<VerifiableGroupInfo>,
    tree: &RatchetTreeOption,
) -> Result<Joining> {
    let RatchetTreeOption::Full(tree) = tree else { return Err(UNUSABLE.into()) };
    let self_removes = join
        .self_removes
        .iter()
        .map(|bytes| Ok(Verbatim::<PublicMessageIn>::own(bytes.clone())?.into_value()))
        .collect::<Result<Vec<_>>>()?;
    let group_info = group_info.into_value();
    let epoch = group_info.group_context().epoch().as_u64();
    let from = ExternalJoin { group_info, nodes: tree.nodes()?, self_removes };
    let entrant = Entrant { client: &step.identity.client, key_pair: &step.identity.key_pair };
    let aside = MemoryStorage::default();
    let mut transaction = Transaction::new(&aside);
    let provider = MlsProvider::new(&mut transaction, step.crypto);
    let (group, bundle) = entry::join_externally(&provider, entrant, Some(uri), from)?;
    let option = hubs::tree_option(step, uri.domain(), &group.export_ratchet_tree())?;
    let made = commit::upload(bundle, option)?;
    let mut kept = MemoryStorage::default();
    kept.apply(transaction.into_changes())?;
    let rows = kept.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    Ok(Joining { epoch, made, rows })
}

/// The hub answered the external commit (R62).
pub(super) fn answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    epoch: u64,
    response: &Response,
) -> Result<Settled> {
    let (Some(mut room), Some((mut intent, mut join))) = (step.room(uri)?, waiting(step, uri)?)
    else {
        return Ok(Settled::Delivered);
    };
    let Some(own) = room.own_commit.take().filter(|own| own.epoch == epoch) else {
        return Ok(Settled::Delivered);
    };
    if request::is_silent(response) {
        if goes_on_asking(step, &mut join) {
            intent.task = Task::Join(join);
            intent.store(step, uri)?;
            return Ok(Settled::Later(response.retry_after_millis()));
        }
        // If the hub has taken the commit after all, the next one replaces that leaf.
        failed(step, room, &intent, &join, ErrorCode::HubUnresponsive)?;
        return Ok(Settled::Delivered);
    }
    let verdict = verdict(response);
    if matches!(verdict, Verdict::Unknown) {
        return Ok(Settled::Later(response.retry_after_millis()));
    }
    let rows = std::mem::take(&mut join.group);
    intent.task = Task::Join(join.clone());
    match verdict {
        Verdict::Accepted => joined(step, room, &intent, join, own, rows)?,
        Verdict::WrongEpoch => {
            step.store_room(&room)?;
            intent.waits_for = WaitsFor::Nothing;
            intent.replay(step, uri)?;
            if intent::load(step, uri, intent.id)?.is_none() {
                abandon(step, room, &join, ErrorCode::Conflict)?;
            }
        }
        // A17: SelfRemoves are all that an external commit can and has to cover.
        Verdict::LacksProposals(pending) if room.may_rebuild() => {
            step.store_room(&room)?;
            join.self_removes = pending.into_iter().map(Verbatim::into_bytes).collect();
            intent.task = Task::Join(join);
            ask(step, uri, intent)?;
        }
        Verdict::Unreadable if own.by_reference && room.may_rebuild() => {
            hubs::note(step, uri.domain(), false)?;
            step.store_room(&room)?;
            ask(step, uri, intent)?;
        }
        Verdict::Unreadable => failed(step, room, &intent, &join, ErrorCode::Internal)?,
        Verdict::LacksProposals(_) => failed(step, room, &intent, &join, ErrorCode::Conflict)?,
        Verdict::Refused(code) => failed(step, room, &intent, &join, code)?,
        Verdict::LacksDeparture(_) | Verdict::Unknown => {
            failed(step, room, &intent, &join, ErrorCode::NotAllowed)?;
        }
    }
    Ok(Settled::Delivered)
}

/// The hub took the commit: the group that was kept aside is the room's.
fn joined(
    step: &mut Step<'_>,
    mut room: Room,
    intent: &Intent,
    join: Join,
    own: OwnCommit,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<()> {
    let provider = step.provider();
    if let Some(mut old) = MlsGroup::load(provider.storage(), &group_id(&room.uri))? {
        old.delete(provider.storage())?;
    }
    for (key, value) in rows {
        step.transaction.write(key, value);
    }
    room.phase = RoomPhase::Joined;
    room.joined_epoch = own.epoch.saturating_add(1);
    room.last_own_commit = Some((own.epoch, own.hash));
    room.awaits_own_join = true;
    hubs::learn(step, room.uri.domain())?;
    let group = step.group(&room.uri)?;
    step.emit(entered(&room.uri, join.was));
    intent.done(step, &room.uri);
    room.epoch_changed(step, &group)?;
    room.fetch(step)?;
    step.store_room(&room)?;
    rooms::phase_changed(step)?;
    intent::advance(step, &room.uri)
}

/// Whether the room's GroupInfo is still to be asked for.
pub(super) fn is_asking(step: &Step<'_>, room: &RoomUri) -> Result<bool> {
    let waits = step.room(room)?.is_some_and(|room| room.own_commit.is_none());
    Ok(waits && waiting(step, room)?.is_some())
}

/// The application does not want to join any more.
pub(super) fn cancel(step: &mut Step<'_>, room: Room, intent: &Intent, join: &Join) -> Result<()> {
    failed(step, room, intent, join, ErrorCode::Aborted)
}

fn failed(
    step: &mut Step<'_>,
    room: Room,
    intent: &Intent,
    join: &Join,
    code: ErrorCode,
) -> Result<()> {
    intent.failed(step, &room.uri, code);
    abandon(step, room, join, code)
}

/// The room is what it was, and what waited for it is given up.
fn abandon(step: &mut Step<'_>, mut room: Room, join: &Join, code: ErrorCode) -> Result<()> {
    match join.was {
        Some(phase) => {
            room.phase = phase;
            step.store_room(&room)?;
        }
        None => step.transaction.delete(tables::room(&room.uri)),
    }
    match code {
        ErrorCode::NotAllowed | ErrorCode::RoomUnknown => rooms::ended(step, &room.uri)?,
        _ => rooms::phase_changed(step)?,
    }
    room.give_up_all(step, code)
}
