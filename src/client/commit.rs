//! Own commits: made and stored before they are sent, kept until the log shows who ended their epoch
//! (D6, R67).

use openmls::{
    framing::PublicMessageIn,
    group::MlsGroup,
    key_packages::KeyPackageIn,
    messages::{Welcome, group_info::VerifiableGroupInfo},
    prelude::WireFormat,
};
use openmls_traits::OpenMlsProvider;

use super::{
    ErrorCode, Event, IntentId, intent,
    request::{Lane, Request, Settled},
    room::{Fate, OwnCommit, Room, hash, mls_error, required_by},
    send,
    step::Step,
};
use crate::{
    error::{InternalError, Result},
    mls::{
        self, MlsProvider,
        key_package::check_key_package,
        own_commit::{own_proposals, resolve_own},
        ratchet_tree,
    },
    storage::encode_row,
    transport::Response,
    wire::{
        self, AppSync, CommitBundle, RatchetTreeOption, UpdateContent, UpdateRequest,
        UpdateResponseCode, UpdateRoomResponse, Verbatim, uri::RoomUri,
    },
};

/// Makes one commit of the list's change and the Adds (R40), stores it pending, and sends it.
///
/// # Errors
/// When the KeyPackages cannot be added; then nothing is stored.
pub(super) fn start(
    step: &mut Step<'_>,
    room: &mut Room,
    intent: IntentId,
    app_sync: Option<AppSync>,
    key_packages: &[Vec<u8>],
) -> Result<()> {
    let mut group = step.group(&room.uri)?;
    let epoch = group.epoch().as_u64();
    let made = make(step, &mut group, app_sync, key_packages)?;
    step.enqueue(&Request::Update(room.uri.clone(), epoch, made.body))?;
    room.own_commit = Some(OwnCommit { intent, epoch, hash: made.hash, fate: Fate::Unknown });
    Ok(step.store_room(room)?)
}

struct Made {
    body: Vec<u8>,
    hash: Vec<u8>,
}

fn make(
    step: &mut Step<'_>,
    group: &mut MlsGroup,
    app_sync: Option<AppSync>,
    key_packages: &[Vec<u8>],
) -> Result<Made> {
    let (identity, now) = (step.identity, step.now);
    let provider = MlsProvider::new(&mut step.transaction, step.crypto);
    let required = required_by(group)?;
    let mut adds = Vec::new();
    for bytes in key_packages {
        let key_package = Verbatim::<KeyPackageIn>::own(bytes.clone())?.into_value();
        let valid = check_key_package(provider.crypto(), key_package, &required, now)?;
        adds.push(valid.key_package);
    }
    let extensions = group.extensions().clone();
    let proposals = own_proposals(group, app_sync.as_ref(), None)?;
    let mut builder = group
        .commit_builder()
        .add_proposals(proposals)
        .propose_adds(adds)
        .load_psks(provider.storage())
        .map_err(mls_error("PSKs"))?
        .create_group_info(true)
        .use_ratchet_tree_extension(false);
    resolve_own(&extensions, &mut builder)?;
    let bundle = builder
        .build(provider.rand(), provider.crypto(), &identity.key_pair, |_| true)
        .map_err(mls_error("a commit cannot be made"))?
        .stage_commit(&provider)
        .map_err(mls_error("a commit cannot be staged"))?;
    let tree = group
        .pending_commit()
        .and_then(|staged| {
            staged.export_ratchet_tree(provider.crypto(), group.export_ratchet_tree()).ok()?
        })
        .ok_or(InternalError::Mls("the tree after a commit"))?;
    let (commit, welcome, group_info) = bundle.into_contents();
    let group_info = group_info.ok_or(InternalError::Mls("GroupInfo"))?;
    let commit_bytes = wire::encode(&commit)?;
    let public_message = mls::without_header(&commit, WireFormat::PublicMessage)?;
    let request = UpdateRequest {
        proposal_or_commit: Verbatim::<PublicMessageIn>::own(public_message)?,
        content: UpdateContent::Commit(Box::new(CommitBundle {
            welcome: welcome
                .map(|welcome| Verbatim::<Welcome>::own(wire::encode(&welcome)?))
                .transpose()?,
            group_info: Verbatim::<VerifiableGroupInfo>::own(wire::encode(&group_info)?)?,
            ratchet_tree_option: RatchetTreeOption::Full(ratchet_tree::to_wire(&tree)?),
        })),
    };
    Ok(Made { body: wire::encode(&request)?, hash: hash(&commit_bytes) })
}

/// The hub answered the commit for `epoch` (R62).
pub(super) fn answered(
    step: &mut Step<'_>,
    uri: &RoomUri,
    epoch: u64,
    response: &Response,
) -> Result<Settled> {
    let Some(mut room) = step.room(uri)? else { return Ok(Settled::Delivered) };
    let Some(own) = room.own_commit.as_mut().filter(|own| own.epoch == epoch) else {
        // The log was faster.
        return Ok(Settled::Delivered);
    };
    match verdict(response) {
        Verdict::Unknown => return Ok(Settled::Later(response.retry_after_millis())),
        Verdict::Accepted => own.fate = Fate::Accepted,
        Verdict::WrongEpoch => own.fate = Fate::WrongEpoch,
        Verdict::Refused(code) => {
            let intent = own.intent;
            drop_pending(step, &mut room)?;
            if let Some(intent) = intent::load(step, uri, intent)? {
                intent.failed(step, uri, code);
            }
            intent::advance(step, uri)?;
            return Ok(Settled::Delivered);
        }
    }
    room.fetch(step)?;
    step.store_room(&room)?;
    Ok(Settled::Delivered)
}

enum Verdict {
    Accepted,
    WrongEpoch,
    Unknown,
    Refused(ErrorCode),
}

/// R62: a body that decodes decides, else the status.
fn verdict(response: &Response) -> Verdict {
    match wire::decode_exact::<UpdateRoomResponse>(&response.body) {
        Ok(answer) => match answer.response_code {
            UpdateResponseCode::Success => Verdict::Accepted,
            UpdateResponseCode::WrongEpoch => Verdict::WrongEpoch,
            UpdateResponseCode::NotAllowed => Verdict::Refused(ErrorCode::NotAllowed),
            UpdateResponseCode::HubUnresponsive => Verdict::Unknown,
            UpdateResponseCode::InvalidProposal => Verdict::Refused(ErrorCode::InvalidProposal),
        },
        Err(_) if response.is_success() => Verdict::Accepted,
        Err(_) if response.status == 409 => Verdict::WrongEpoch,
        Err(_) => Verdict::Refused(ErrorCode::of_status(response.status)),
    }
}

/// The log ends here for now and does not show the end of the own commit's epoch.
///
/// An accepted commit is merged: nothing can come between (D6). A refused one waits for the one that
/// won, which a follower may get later than the refusal.
pub(super) fn settle_at_end_of_log(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let Some(own) = room.own_commit.clone() else { return Ok(()) };
    match own.fate {
        Fate::Unknown => Ok(()),
        Fate::Accepted => {
            let mut group = step.group(&room.uri)?;
            merge_own(step, room, &mut group)
        }
        Fate::WrongEpoch => {
            let uri = room.uri.clone();
            let Some(mut intent) = intent::load(step, &uri, own.intent)? else {
                return drop_pending(step, room);
            };
            intent.replay(step, &uri)?;
            if intent::load(step, &uri, own.intent)?.is_none() {
                drop_pending(step, room)?;
            }
            Ok(())
        }
    }
}

/// The epoch ended by the own commit.
pub(super) fn merge_own(step: &mut Step<'_>, room: &mut Room, group: &mut MlsGroup) -> Result<()> {
    group.merge_pending_commit(&step.provider()).map_err(mls_error("the own commit"))?;
    if let Some(own) = room.own_commit.take() {
        room.last_own_commit = Some((own.epoch, own.hash));
        if let Some(intent) = intent::load(step, &room.uri, own.intent)? {
            intent.done(step, &room.uri);
        }
    }
    step.store_room(room)?;
    step.emit(Event::RoomChanged { room: room.uri.clone(), epoch: group.epoch().as_u64() });
    send::epoch_changed(step, &room.uri)
}

/// The epoch ended by another commit, which is merged: the intent starts again (D6, D20).
pub(super) fn replay_own(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let Some(own) = room.own_commit.take() else { return Ok(()) };
    if let Some(mut intent) = intent::load(step, &room.uri, own.intent)? {
        intent.replay(step, &room.uri)?;
    }
    // If the commit still waits to be sent, it has no purpose any more and is in the way.
    let lane = encode_row(&Lane::Intents(room.uri.clone()))?;
    Ok(step.outbox.wake(&mut step.transaction, &lane, step.now)?)
}

fn drop_pending(step: &mut Step<'_>, room: &mut Room) -> Result<()> {
    let mut group = step.group(&room.uri)?;
    group.clear_pending_commit(step.provider().storage())?;
    room.own_commit = None;
    Ok(step.store_room(room)?)
}
