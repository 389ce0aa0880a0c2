//! Who has a leaf and who is active, as far as it can be read without a key (D7, R69).
//!
//! The table of leaves comes from the tree that goes with a Welcome, or that the hub gave a device of
//! ours for its external commit, and follows every Commit from there. Nothing is verified: the hub did, and our members do. What does not fit leaves the rest of
//! the Commit in force and is reported.

use std::collections::BTreeSet;

use openmls::prelude::Ciphersuite;
use serde::{Deserialize, Serialize};

use super::{
    LOG, Room, is_own,
    joining::{self, State},
    table,
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, commit::proposal_ref, credential::client_uri_of},
    object::{Step, UserEntry},
    room::codepoints::{component, proposal},
    room_log::Activity,
    storage::{Key, Transaction, decode_row},
    transport::RoomFacts,
    wire::{
        AppSync, CommitOutline, OutlineProposal, OutlineSender, ProposalOutline, RatchetTree, Role,
        RoomProfile, commit_outline, decode_exact, path_credential, proposal_outline,
        tree_credentials,
        uri::{ClientUri, UserUri},
    },
};

/// Whether a handshake fits to what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It does.
    Fits,
    /// It does not: something is missing (D7, D22).
    Gap,
}

/// A client with its leaf index.
pub(super) type Leaf = (u32, ClientUri);

/// The changes of one Commit, with its references resolved.
#[derive(Default)]
struct Changes {
    removed: Vec<u32>,
    added: Vec<ClientUri>,
    app_syncs: Vec<AppSync>,
    /// What the form of the AppSyncs says.
    profile: Option<RoomProfile>,
    misfit: bool,
}

/// A proposal of the current epoch: its PublicMessage.
#[derive(Debug, Serialize, Deserialize)]
struct Pending(Vec<u8>);

/// The clients in a tree, by leaf index.
///
/// # Errors
/// [`ProtocolError::Malformed`] when the tree does not decode or a leaf names no client.
pub(super) fn leaves_of(tree: &RatchetTree) -> Result<Vec<Leaf>, ProtocolError> {
    tree_credentials(tree)?
        .into_iter()
        .map(|(index, credential)| {
            let client = client_uri_of(&credential);
            Ok((index, client.map_err(|_| ProtocolError::Malformed("a leaf of the tree"))?))
        })
        .collect()
}

/// Takes over the tree that came with a Welcome. The epoch and what was proposed in it are unknown
/// from here on if the tree is not the one that was known.
pub(super) fn replace(step: &mut Step<'_>, room: &mut Room, tree: &[Leaf]) -> Result<()> {
    let end = LOG.end(&step.transaction)?;
    if replace_leaves(step, room, tree, end)? {
        forget_proposals(step)?;
        room.epoch = None;
    }
    Ok(())
}

/// Makes `tree` the table of leaves, after `position` of the log, and says whether it was another.
fn replace_leaves(
    step: &mut Step<'_>,
    room: &mut Room,
    tree: &[Leaf],
    position: u64,
) -> Result<bool> {
    let known = stored_leaves(&step.transaction)?;
    let is_other = known != tree;
    if is_other {
        for (index, _) in &known {
            step.transaction.delete(leaf_key(*index));
        }
        for (index, client) in tree {
            step.transaction.store(leaf_key(*index), client)?;
        }
    }
    let clients: BTreeSet<&ClientUri> = tree.iter().map(|(_, client)| client).collect();
    for device in LOG.devices(&step.transaction)? {
        if !clients.contains(&device) {
            LOG.close_window(&mut step.transaction, &device, position)?;
        }
    }
    for device in clients {
        if is_own(device, &step.config.domain) {
            LOG.open_window(&mut step.transaction, device, position)?;
        }
    }
    room.leaves_known = true;
    Ok(is_other)
}

/// Notes a proposal, so that a Commit can refer to it.
pub(super) fn note_proposal(
    crypto: &MlsCrypto,
    step: &mut Step<'_>,
    room: &mut Room,
    message: &[u8],
) -> Result<Fit> {
    let outline = proposal_outline(message)?;
    let fit = follow_epoch(room, outline.epoch);
    let suite = Ciphersuite::try_from(room.cipher_suite)
        .map_err(|_| InternalError::Storage("a room's cipher suite"))?;
    let reference = proposal_ref(crypto.algorithms(), suite, &outline.authenticated_content)?;
    step.transaction.store(proposal_key(&reference), &Pending(message.to_vec()))?;
    Ok(fit)
}

/// Follows a Commit that stands at `position` of the log.
pub(super) fn follow_commit(
    step: &mut Step<'_>,
    room: &mut Room,
    message: &[u8],
    position: u64,
) -> Result<Fit> {
    let outline = commit_outline(message)?;
    let fit = follow_epoch(room, outline.epoch);
    if let Some(State { leaves, participants, profile }) = joining::take_state(step, outline.epoch)?
    {
        room.profile = Some(profile);
        let before = position.saturating_sub(1);
        replace_leaves(step, room, &leaves, before)?;
        for user in LOG.active_users(&step.transaction)? {
            if !participants.contains(&user) {
                set_activity(step, room, &user, before, Activity::Inactive)?;
            }
        }
        for user in &participants {
            set_activity(step, room, user, before, Activity::Active)?;
        }
    }
    let mut changes = changes_of(&step.transaction, &outline, message)?;
    room.profile = room.profile.or(changes.profile);
    apply_leaves(step, &mut changes, position)?;
    for app_sync in &changes.app_syncs {
        apply_app_sync(step, room, app_sync, position)?;
    }
    for client in &changes.added {
        if is_own(client, &step.config.domain) {
            // Who gets a leaf is on the list and not banned (R9, R40).
            set_activity(step, room, &client.user(), position, Activity::Active)?;
            joining::arrived(step, client);
        }
    }
    forget_proposals(step)?;
    room.epoch = Some(outline.epoch.saturating_add(1));
    if changes.misfit {
        room.leaves_known = false;
        return Ok(Fit::Gap);
    }
    Ok(fit)
}

/// From `position` on, a user of ours is active or not. The user is told when that is news (D10).
pub(super) fn set_activity(
    step: &mut Step<'_>,
    room: &Room,
    user: &UserUri,
    position: u64,
    activity: Activity,
) -> Result<()> {
    if LOG.activity(&step.transaction, user)? == activity {
        return Ok(());
    }
    LOG.record_activity(&mut step.transaction, user, position, activity)?;
    let Room { cipher_suite, profile, .. } = *room;
    let facts = match activity {
        Activity::Active => Some(RoomFacts { cipher_suite, profile }),
        Activity::Inactive => None,
    };
    Ok(UserEntry::Membership(facts).enqueue(step, user)?)
}

/// D19: a user of ours was deleted. Nothing of the room is for it any more; that its leaves go is the
/// hub's business, and other participants'.
pub(super) fn forget_user(step: &mut Step<'_>, user: &UserUri) -> Result<()> {
    Room::require(&step.transaction)?;
    let end = LOG.end(&step.transaction)?;
    if LOG.activity(&step.transaction, user)? == Activity::Active {
        LOG.record_activity(&mut step.transaction, user, end, Activity::Inactive)?;
    }
    for device in LOG.devices(&step.transaction)?.iter().filter(|device| device.user() == *user) {
        LOG.close_window(&mut step.transaction, device, end)?;
    }
    Ok(())
}

/// Something was sent in this epoch: a message or a handshake. It fits when that is the current one;
/// else Commits are missing, and what they did to the leaves (D22).
pub(super) fn follow_epoch(room: &mut Room, epoch: u64) -> Fit {
    let fits = room.epoch.replace(epoch).is_none_or(|current| current == epoch);
    room.leaves_known &= fits;
    if fits { Fit::Fits } else { Fit::Gap }
}

fn changes_of(
    transaction: &Transaction<'_>,
    outline: &CommitOutline,
    message: &[u8],
) -> Result<Changes> {
    let mut changes = Changes::default();
    for proposal in &outline.proposals {
        match proposal {
            OutlineProposal::Reference(reference) => {
                match transaction.load::<Pending>(&proposal_key(reference))? {
                    Some(Pending(message)) => {
                        let ProposalOutline { sender, proposal, .. } = proposal_outline(&message)?;
                        changes.collect(&proposal, sender);
                    }
                    None => changes.misfit = true,
                }
            }
            proposal => changes.collect(proposal, outline.sender),
        }
    }
    if outline.sender == OutlineSender::NewMemberCommit {
        let joiner = path_credential(message)?.and_then(|leaf| client_uri_of(&leaf).ok());
        changes.add(joiner);
    }
    Ok(changes)
}

impl Changes {
    fn add(&mut self, client: Option<ClientUri>) {
        match client {
            Some(client) => self.added.push(client),
            None => self.misfit = true,
        }
    }

    fn collect(&mut self, proposal: &OutlineProposal, sender: OutlineSender) {
        match (proposal, sender) {
            (OutlineProposal::Add(key_package), _) => {
                let credential = key_package.unverified_credential().credential;
                self.add(client_uri_of(&credential).ok());
            }
            (OutlineProposal::Remove(leaf), _) => self.removed.push(*leaf),
            (OutlineProposal::Other(proposal::SELF_REMOVE), OutlineSender::Member(leaf)) => {
                self.removed.push(leaf);
            }
            (
                OutlineProposal::AppDataUpdate {
                    component_id: component::PARTICIPANT_LIST,
                    update: Some(app_sync),
                },
                _,
            ) => self.change_list(app_sync, RoomProfile::B),
            (
                OutlineProposal::Custom { proposal_type: proposal::APP_SYNC, content: app_sync },
                _,
            ) => self.change_list(app_sync, RoomProfile::A),
            _ => {}
        }
    }

    fn change_list(&mut self, app_sync: &[u8], profile: RoomProfile) {
        self.profile = Some(profile);
        match decode_exact(app_sync) {
            Ok(app_sync) => self.app_syncs.push(app_sync),
            Err(_) => self.misfit = true,
        }
    }
}

/// Removes first, then every Add at the leftmost blank leaf (RFC 9420 §12.4.2, §7.7).
fn apply_leaves(step: &mut Step<'_>, changes: &mut Changes, position: u64) -> Result<()> {
    let own = step.config.domain.clone();
    for index in &changes.removed {
        let key = leaf_key(*index);
        let Some(client) = step.transaction.load::<ClientUri>(&key)? else {
            changes.misfit = true;
            continue;
        };
        step.transaction.delete(key);
        if is_own(&client, &own) {
            LOG.close_window(&mut step.transaction, &client, position)?;
        }
    }
    let taken = match changes.added.is_empty() {
        true => BTreeSet::new(),
        false => stored_leaves(&step.transaction)?.into_iter().map(|(index, _)| index).collect(),
    };
    let blanks = (0_u32..).filter(|index| !taken.contains(index));
    for (index, client) in blanks.zip(&changes.added) {
        step.transaction.store(leaf_key(index), client)?;
        if is_own(client, &own) {
            LOG.open_window(&mut step.transaction, client, position)?;
        }
    }
    Ok(())
}

/// The users of ours that an AppSync puts on the list, bans, or takes off it.
fn apply_app_sync(
    step: &mut Step<'_>,
    room: &Room,
    app_sync: &AppSync,
    position: u64,
) -> Result<()> {
    let own = step.config.domain.clone();
    let listed = app_sync.add_users.iter().chain(&app_sync.update_users).map(|entry| {
        let banned = entry.roles.contains(&Role::Banned);
        (&entry.user, if banned { Activity::Inactive } else { Activity::Active })
    });
    let gone = app_sync.remove_users.iter().map(|user| (user, Activity::Inactive));
    for (user, activity) in listed.chain(gone) {
        if let Some(user) = UserUri::from_wire(user).ok().filter(|user| *user.domain() == own) {
            set_activity(step, room, &user, position, activity)?;
        }
    }
    Ok(())
}

fn stored_leaves(transaction: &Transaction<'_>) -> Result<Vec<Leaf>, InternalError> {
    let prefix = [table::LEAVES];
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.iter()
        .map(|(key, client)| {
            let index = key.last_chunk().copied().map(u64::from_be_bytes);
            let index = index.and_then(|index| u32::try_from(index).ok());
            Ok((index.ok_or(InternalError::Storage("a leaf's key"))?, decode_row(client)?))
        })
        .collect()
}

fn forget_proposals(step: &mut Step<'_>) -> Result<(), InternalError> {
    let prefix = [table::PROPOSALS];
    for (key, _) in step.transaction.scan(&prefix, &prefix, usize::MAX)? {
        step.transaction.delete(key);
    }
    Ok(())
}

fn leaf_key(index: u32) -> Vec<u8> {
    Key::table(table::LEAVES).number(index.into()).build()
}

fn proposal_key(reference: &[u8]) -> Vec<u8> {
    Key::table(table::PROPOSALS).bytes(reference).build()
}
