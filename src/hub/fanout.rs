//! What the hub sends on: to other providers, to its own users (draft, "Fan out messages").
//!
//! One lane per receiver. A lane holds positions of the room's log and, for those who are added, the
//! Welcome with the tree; one request carries as many of them as fit (R78, D3).

use std::collections::BTreeSet;

use openmls::prelude::WireFormat;
use serde::{Deserialize, Serialize};

use super::{group::Roster, table};
use crate::{
    error::{InternalError, Result},
    mls::with_header,
    object::{Call, Lane, LaneRequest, Step, UserEntry, sized_label},
    room_log::{Activity, RoomLog},
    storage::{decode_row, encode_row},
    time::UnixMillis,
    transport::{PeerCall, PeerEndpoint, RoomFacts},
    wire::{
        self, FanoutMessage, MAX_NOTIFY_BYTES, RatchetTree, RatchetTreeOption, Verbatim,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// The room's log.
pub(super) const LOG: RoomLog = RoomLog::new(table::LOG);

/// What a logged message is, in words for a trace.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Kind {
    Commit,
    Proposal,
    Message,
}

/// An entry of a provider's lane.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    /// The event at this position of the room's log.
    Logged { position: u64, kind: Kind },
    /// The Welcome of the Commit at this position: the encoded `FanoutMessage`, the tree included (R80).
    Welcome { position: u64, message: Vec<u8> },
}

impl Entry {
    const fn position(&self) -> u64 {
        match self {
            Self::Logged { position, .. } | Self::Welcome { position, .. } => *position,
        }
    }

    /// Larger than the number of what is sent before: a Welcome goes after its Commit.
    const fn number(&self) -> u64 {
        match self {
            Self::Logged { position, .. } => position.saturating_mul(2),
            Self::Welcome { position, .. } => position.saturating_mul(2).saturating_add(1),
        }
    }

    fn enqueue<'d>(
        &self,
        step: &mut Step<'_>,
        providers: impl IntoIterator<Item = &'d Domain>,
    ) -> Result<(), InternalError> {
        let own = &step.config.domain;
        let others = providers.into_iter().filter(|domain| *domain != own);
        let lanes: Vec<Lane> = others.map(|domain| Lane::Provider(domain.clone())).collect();
        step.fan_out(&lanes, self.number(), encode_row(self)?)
    }
}

/// A client whose leaf enters by a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entrant {
    pub(super) client: ClientUri,
    /// The KeyPackageRef.
    pub(super) reference: Vec<u8>,
}

/// A commit that the hub accepted, and what goes with it.
pub(super) struct AcceptedCommit<'r> {
    /// The PublicMessage.
    pub(super) commit: Vec<u8>,
    /// The Welcome, and the tree after the commit, the hub's own (A30).
    pub(super) welcome: Option<(Vec<u8>, RatchetTree)>,
    pub(super) entrants: Vec<Entrant>,
    /// The client that joins by this commit itself.
    pub(super) joiner: Option<ClientUri>,
    pub(super) timestamp: u64,
    pub(super) cipher_suite: u16,
    pub(super) before: &'r Roster,
    pub(super) after: &'r Roster,
}

impl AcceptedCommit<'_> {
    /// Logs the commit and sends it to every provider that had a leaf in the room and to that of who
    /// joins by it, then the Welcome to the providers and users of those who are added (D3, R60, R75,
    /// R76, R81, R83).
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) fn send(self, step: &mut Step<'_>, room: &RoomUri) -> Result<()> {
        let position = log_handshake(step, &self.commit, self.timestamp)?;
        self.record_devices(step, position)?;
        self.record_users(step, position)?;
        let mut providers = self.before.providers();
        providers.extend(self.joiner.iter().map(|client| client.domain().clone()));
        send_logged(step, room, position, Kind::Commit, &providers)?;
        let Some((welcome, tree)) = self.welcome else { return Ok(()) };
        let welcome = wire::encode(&FanoutMessage {
            message: Verbatim::own(with_header(&welcome, WireFormat::Welcome))?,
            timestamp: self.timestamp,
            ratchet_tree_option: Some(RatchetTreeOption::Full(tree)),
        })?;
        let own = step.config.domain.clone();
        let mut users = BTreeSet::new();
        let mut providers = BTreeSet::new();
        for Entrant { client, .. } in &self.entrants {
            if *client.domain() == own {
                users.insert(client.user());
            } else {
                providers.insert(client.domain());
            }
        }
        for user in &users {
            UserEntry::Welcome(welcome.clone()).enqueue(step, user)?;
        }
        Ok(Entry::Welcome { position, message: welcome }.enqueue(step, providers)?)
    }

    /// D11: the windows of own devices that come or go.
    fn record_devices(&self, step: &mut Step<'_>, position: u64) -> Result<(), InternalError> {
        let own = step.config.domain.clone();
        let (before, after) = (self.before.clients_of(&own), self.after.clients_of(&own));
        for device in before.difference(&after) {
            LOG.close_window(&mut step.transaction, device, position)?;
        }
        for device in after.difference(&before) {
            LOG.open_window(&mut step.transaction, device, position)?;
        }
        Ok(())
    }

    fn facts(&self) -> RoomFacts {
        let profile = Some(self.after.profile.into());
        RoomFacts { cipher_suite: self.cipher_suite, profile }
    }

    /// The own users who come onto the list or leave it (D10, R45).
    fn record_users(&self, step: &mut Step<'_>, position: u64) -> Result<(), InternalError> {
        let own = step.config.domain.clone();
        let (before, after) = (self.before.participants_of(&own), self.after.participants_of(&own));
        for user in before.difference(&after) {
            record_user(step, user, position, None)?;
        }
        for user in after.difference(&before) {
            record_user(step, user, position, Some(self.facts()))?;
        }
        Ok(())
    }
}

/// Logs a proposal and sends it to every provider that has a leaf in the room: whoever is to follow
/// the next commit needs it (R75, R77).
///
/// # Errors
/// When the storage fails.
pub(super) fn send_proposal(
    step: &mut Step<'_>,
    room: &RoomUri,
    proposal: &[u8],
    timestamp: u64,
    roster: &Roster,
) -> Result<()> {
    let position = log_handshake(step, proposal, timestamp)?;
    send_logged(step, room, position, Kind::Proposal, &roster.providers())
}

/// Puts a bare PublicMessage at the end of the log and says its position.
fn log_handshake(
    step: &mut Step<'_>,
    message: &[u8],
    timestamp: u64,
) -> Result<u64, InternalError> {
    let message = Verbatim::own(with_header(message, WireFormat::PublicMessage))?;
    let message = FanoutMessage { message, timestamp, ratchet_tree_option: None };
    LOG.append(&mut step.transaction, &message)
}

/// From `position` on, a user of this provider takes part, in a room like this, or no longer: the log
/// has to know, and the user is told (D10, D11).
///
/// # Errors
/// When the storage fails.
pub(super) fn record_user(
    step: &mut Step<'_>,
    user: &UserUri,
    position: u64,
    facts: Option<RoomFacts>,
) -> Result<(), InternalError> {
    let activity = match facts {
        Some(_) => Activity::Active,
        None => Activity::Inactive,
    };
    LOG.record_activity(&mut step.transaction, user, position, activity)?;
    UserEntry::Membership(facts).enqueue(step, user)
}

/// Sends the event at `position` to these providers, and to the own devices that are connected.
///
/// # Errors
/// When the storage fails.
pub(super) fn send_logged<'d>(
    step: &mut Step<'_>,
    room: &RoomUri,
    position: u64,
    kind: Kind,
    providers: impl IntoIterator<Item = &'d Domain>,
) -> Result<()> {
    Entry::Logged { position, kind }.enqueue(step, providers)?;
    for push in LOG.push(&step.transaction, room, position, |user| step.may_listen(user))? {
        step.push(&push.user, push.devices, &push.frame)?;
    }
    trim(step)
}

/// D22: what devices and providers have is not kept, and not for ever what they do not fetch.
fn trim(step: &mut Step<'_>) -> Result<()> {
    if !LOG.is_due(&mut step.transaction, step.now)? {
        return Ok(());
    }
    let mut sent = None;
    for (lane, entry) in step.lane_heads()? {
        if let Lane::Provider(_) = lane {
            let before = decode_row::<Entry>(&entry)?.position().saturating_sub(1);
            sent = Some(sent.map_or(before, |sent: u64| sent.min(before)));
        }
    }
    let retention = step.config.retention;
    Ok(LOG.trim(&mut step.transaction, step.now, &retention, sent)?)
}

/// The request of the entries at the head of a lane.
///
/// # Errors
/// When the storage fails.
pub(super) fn lane_request(
    step: &Step<'_>,
    room: &RoomUri,
    lane: &Lane,
    entries: &[Vec<u8>],
) -> Result<Option<LaneRequest>> {
    match lane {
        Lane::Provider(domain) => notify_request(step, room, domain, entries),
        Lane::Object(object) => UserEntry::request(room, object, entries),
    }
}

fn notify_request(
    step: &Step<'_>,
    room: &RoomUri,
    domain: &Domain,
    entries: &[Vec<u8>],
) -> Result<Option<LaneRequest>> {
    let mut body = Vec::new();
    let mut parts = Vec::new();
    let mut since = None;
    for entry in entries {
        let (what, message) = match decode_row(entry)? {
            Entry::Logged { position, kind } => {
                let what = match kind {
                    Kind::Commit => "commit",
                    Kind::Proposal => "proposal",
                    Kind::Message => "message",
                };
                // An event that the log no longer holds ends the run: it is skipped on its own.
                let Some(message) = LOG.encoded(&step.transaction, position)? else { break };
                since = since.or_else(|| FanoutMessage::timestamp_of(&message).map(UnixMillis));
                (what, message)
            }
            Entry::Welcome { message, .. } => ("welcome + tree", message),
        };
        if !body.is_empty() && body.len() + message.len() > MAX_NOTIFY_BYTES {
            break;
        }
        parts.push((what, message.len()));
        body.extend(message);
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let (entries, label) = (parts.len(), notify_label(&parts));
    let call = PeerCall {
        domain: domain.clone(),
        endpoint: PeerEndpoint::Notify,
        identifier: room.to_string(),
        sending_user: None,
        body,
    };
    Ok(Some(LaneRequest { call: Call::Peer(call), label, entries, since }))
}

/// Each part of a body, or their number when there are many.
fn notify_label(parts: &[(&str, usize)]) -> String {
    const NAMED: usize = 3;
    if parts.len() > NAMED {
        let bytes = parts.iter().map(|(_, bytes)| bytes).sum();
        return sized_label(&format!("{} messages", parts.len()), bytes);
    }
    let parts: Vec<_> = parts.iter().map(|(what, bytes)| sized_label(what, *bytes)).collect();
    parts.join(", ")
}
