//! A room that another provider hosts, at the provider of some of its participants.
//!
//! In scope: what the hub fans out (E4) and who of our users sees it (D7, D11, R69); claims of our
//! users' KeyPackages that come through the hub (E1); and what our devices ask of the hub (R62). Out
//! of scope: whether a commit is valid, which the hub and the members decide; a follower reads what
//! is in clear and checks no signature.

mod joining;
mod key_material;
mod notify;
mod proxy;
mod roster;

use serde::{Deserialize, Serialize};

use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::MlsCrypto,
    object::{Lane, LaneRequest, Reply, Role, Step, UserEntry, room_refusal},
    room_log::{MAX_PAGE_EVENTS, RoomLog},
    storage::{Transaction, decode_row},
    transport::{Endpoint, IncomingRequest, Outcome, Response, Source},
    wire::{
        EventPage, RoomProfile, encode,
        uri::{ClientUri, Domain, RoomUri},
    },
};

/// The tables of a followed room.
mod table {
    use crate::room_log::LogTables;

    /// The log.
    pub(super) const LOG: LogTables = LogTables {
        events: 1,
        windows: 2,
        activity: 3,
        end: 4,
        forgotten: 20,
        readers: 21,
        days: 22,
        along: 23,
    };
    /// What is known of the room: it exists here.
    pub(super) const ROOM: u8 = 5;
    /// Clients by leaf index (D7).
    pub(super) const LEAVES: u8 = 6;
    /// Proposals of the current epoch, by ProposalRef.
    pub(super) const PROPOSALS: u8 = 7;
    /// Hashes of the messages that came, kept as long as the log (R82).
    pub(super) const RECEIVED: u8 = 8;
    /// Whose KeyPackages went out through this hub, by KeyPackageRef (R32).
    pub(super) const CLAIMS: u8 = 9;
    /// External commits of our devices that were forwarded and not refused, by device (R81b).
    pub(super) const JOINS: u8 = 10;
    /// What the hub told our devices about the group, by epoch (D7).
    pub(super) const STATES: u8 = 11;
    /// The leaves of that, by epoch.
    pub(super) const STATE_LEAVES: u8 = 12;
    /// KeyPackageRefs by the time from which on they may be forgotten (R33).
    pub(super) const CLAIM_ENDS: u8 = 13;
}

/// The room's log.
const LOG: RoomLog = RoomLog::new(table::LOG);

/// What a follower knows of a room, beside its leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Room {
    cipher_suite: u16,
    /// The profile, once something came that says it.
    profile: Option<RoomProfile>,
    /// The current epoch; unknown until the first handshake, and after a Welcome.
    epoch: Option<u64>,
    /// Whether the table of leaves is the group's, as far as anything says.
    leaves_known: bool,
    /// The last position at which something did not fit to what came before (D7, D22).
    gap: Option<u64>,
}

impl Room {
    /// A room of which nothing came yet.
    const fn new(cipher_suite: u16) -> Self {
        Self { cipher_suite, profile: None, epoch: None, leaves_known: false, gap: None }
    }

    fn load(transaction: &Transaction<'_>) -> Result<Option<Self>, InternalError> {
        transaction.load(&[table::ROOM])
    }

    fn require(transaction: &Transaction<'_>) -> Result<Self> {
        Ok(Self::load(transaction)?.ok_or(ProtocolError::NotFound("room"))?)
    }

    fn store(&self, transaction: &mut Transaction<'_>) -> Result<(), InternalError> {
        transaction.store(vec![table::ROOM], self)
    }
}

/// How to go on after somebody was asked.
#[derive(Debug, Serialize, Deserialize)]
enum Then {
    /// Record whose KeyPackages these are, and answer with them (R32).
    Claimed,
    /// Answer the device with what the hub said.
    Pass,
    /// As `Pass`, to a device that asked for the group's state (D7).
    GroupInfo,
    /// As `Pass`, to a device that sent an external commit (R81b).
    Joining(joining::Forwarded),
    /// Take in the body of a notification, now that these KeyPackages were asked for.
    Notify { references: Vec<Vec<u8>>, body: Vec<u8> },
}

/// A room of another provider, or the claims between us and another provider that name no room.
pub struct FollowedRoom {
    /// `None` when the name is no room's: then nothing is found here.
    uri: Option<RoomUri>,
    crypto: MlsCrypto,
}

impl FollowedRoom {
    /// The object `name`: a room's identifier, or `*@domain` for claims without a room.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { uri: RoomUri::parse(name).ok(), crypto: MlsCrypto::new() }
    }

    fn uri(&self) -> Result<&RoomUri, ProtocolError> {
        self.uri.as_ref().ok_or(ProtocolError::NotFound("room"))
    }

    /// What a device of ours may read of the log after `after` (D11).
    fn events(&self, step: &Step<'_>, source: &Source, after: u64) -> Result<Response> {
        let device = own_device(source)?;
        if joining::is_accepted(&step.transaction, device)? {
            // Its log begins with the Commit that has not come around yet (D11).
            let page = EventPage { events: Vec::new(), end: after, more: false, gap: false };
            return Ok(Response::tls(200, encode(&page)?));
        }
        let room = Room::require(&step.transaction)?;
        let mut page = LOG.page(&step.transaction, self.uri()?, device, after, MAX_PAGE_EVENTS)?;
        if let Some(gap) = room.gap.filter(|gap| after < *gap) {
            page.gap |= LOG.reaches(&step.transaction, device, gap)?;
        }
        Ok(Response::tls(200, encode(&page)?))
    }
}

/// The device of ours that asks.
fn own_device(source: &Source) -> Result<&ClientUri, ProtocolError> {
    match source {
        Source::Device(device) => Ok(device),
        Source::Provider(_) | Source::Own => {
            Err(ProtocolError::PeerRefused("for devices of this provider"))
        }
    }
}

/// The room's hub: the provider of its domain (R1, R81).
fn require_hub(uri: &RoomUri, source: &Source) -> Result<(), ProtocolError> {
    match source {
        Source::Provider(domain) if domain == uri.domain() => Ok(()),
        _ => Err(ProtocolError::PeerRefused("not the room's hub")),
    }
}

/// Whether a client is one of ours.
fn is_own(client: &ClientUri, own: &Domain) -> bool {
    client.domain() == own
}

impl Role for FollowedRoom {
    const SENDS: &str = "requests";

    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        let IncomingRequest { source, endpoint, body } = request;
        let uri = self.uri()?;
        let response = match endpoint {
            Endpoint::KeyMaterial { target } => {
                return key_material::claim(uri, step, &source, target, body);
            }
            Endpoint::Update { .. } => return proxy::update(uri, step, &source, body),
            Endpoint::SubmitMessage { .. } => return proxy::submit(uri, step, &source, body),
            Endpoint::GroupInfo { .. } => return proxy::group_info(uri, &source, body),
            Endpoint::Notify { .. } => {
                require_hub(uri, &source)?;
                return notify::receive(uri, &self.crypto, step, body);
            }
            Endpoint::ClaimedBy if source == Source::Own => {
                key_material::claimed_by(&step.transaction, &body)?
            }
            Endpoint::Granted { user } if source == Source::Own => {
                key_material::record_granted(step, &user, &body)?
            }
            Endpoint::UserDeleted { user } if source == Source::Own => {
                roster::forget_user(step, &user)?;
                Response::empty(200)
            }
            Endpoint::Events { after, .. } => self.events(step, &source, after)?,
            Endpoint::Acknowledge { position, .. } => {
                LOG.acknowledge(&mut step.transaction, own_device(&source)?, position)?;
                Response::empty(200)
            }
            Endpoint::Exists => {
                Room::require(&step.transaction)?;
                Response::empty(200)
            }
            _ => return Err(ProtocolError::NotFound("not an endpoint of a followed room").into()),
        };
        Ok(Reply::Respond(response))
    }

    fn resume(&mut self, step: &mut Step<'_>, then: &[u8], outcome: Outcome) -> Result<Reply> {
        let response = match decode_row(then)? {
            Then::Claimed => key_material::record(&self.crypto, step, outcome)?,
            Then::Pass => outcome.ok_or(ProtocolError::HubUnresponsive)?,
            Then::GroupInfo => {
                let response = outcome.ok_or(ProtocolError::HubUnresponsive)?;
                if response.is_success() {
                    joining::keep_state(self.uri()?, step, &response.body)?;
                }
                response
            }
            Then::Joining(forwarded) => {
                joining::settle(self.uri()?, step, &forwarded, &outcome)?;
                outcome.ok_or(ProtocolError::HubUnresponsive)?
            }
            Then::Notify { references, body } => {
                key_material::record_claimed_by(step, &references, outcome)?;
                notify::take_in(self.uri()?, &self.crypto, step, &body)?
            }
        };
        Ok(Reply::Respond(proxy::passed_on(response)?))
    }

    fn lane_request(
        &mut self,
        _step: &mut Step<'_>,
        lane: &Lane,
        entries: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        match lane {
            Lane::Object(object) => UserEntry::request(self.uri()?, object, entries),
            // Nothing is sent to the hub but what devices ask, and that at once.
            Lane::Provider(_) => Ok(None),
        }
    }

    fn refuse(endpoint: &Endpoint, error: &ProtocolError) -> Response {
        room_refusal(endpoint, error)
    }

    // Nothing is held in memory.
    fn forget(&mut self) {}
}
