//! A room at the provider that hosts it: it orders what happens, checks it, and sends it on.
//!
//! In scope: creation (D1), claims of KeyPackages through the hub (E1), updates (E2), messages (E3),
//! fan-out (E4), GroupInfo (E5), the end of a room (R57), and what the hub's own devices read of the
//! log. Out of scope: who a request is from
//! (`provider::route`, `provider::User`), rooms of other hubs (`follower`).

mod closing;
mod create;
mod departure;
mod fanout;
mod group;
mod group_info;
mod key_material;
mod queue;
mod submit;
mod update;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::group::Room;
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::MlsCrypto,
    object::{Lane, LaneRequest, Reply, Role, Step, room_refusal},
    room_log::MAX_PAGE_EVENTS,
    storage::{Key, Transaction, decode_row},
    transport::{Endpoint, IncomingRequest, Outcome, Response, Source},
    wire::{
        self,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// The tables of a room.
mod table {
    use crate::room_log::LogTables;

    /// The hash of the room's first state: the room exists.
    pub(super) const CREATION: u8 = 1;
    /// The MLS group, and the GroupInfo of its epoch.
    pub(super) const GROUP: u8 = 3;
    /// Bodies that were accepted, by source and hash (R67).
    pub(super) const ACCEPTED: u8 = 5;
    /// KeyPackages that were claimed through this hub, by KeyPackageRef (R32).
    pub(super) const KEY_PACKAGES: u8 = 6;
    /// The same, by the time from which on they may be forgotten (R33).
    pub(super) const KEY_PACKAGE_ENDS: u8 = 7;
    /// The log.
    pub(super) const LOG: LogTables = LogTables {
        events: 8,
        windows: 9,
        activity: 10,
        end: 11,
        forgotten: 20,
        readers: 21,
        days: 22,
        along: 23,
    };
    /// The proposals that wait for a commit, as they were signed, in order (R54).
    pub(super) const PROPOSALS: u8 = 12;
    /// The users who are on their way out (R56).
    pub(super) const DEPARTURES: u8 = 13;
}

/// What a room needs to go on after it asked somebody.
#[derive(Debug, Serialize, Deserialize)]
enum Then {
    /// Create the room, if its name is no user's (D15).
    Create { creator: ClientUri, body: Vec<u8> },
    /// Record whose KeyPackages came back, and pass them on (R32).
    Claimed { target: UserUri },
}

/// A room that this provider hosts.
pub struct HubRoom {
    uri: RoomUri,
    crypto: MlsCrypto,
    cache: Option<Room>,
}

impl HubRoom {
    /// The room `uri`, which may not exist yet.
    #[must_use]
    pub fn new(uri: RoomUri) -> Self {
        Self { uri, crypto: MlsCrypto::new(), cache: None }
    }

    fn check_exists(transaction: &Transaction<'_>) -> Result<()> {
        let creation = transaction.read(&[table::CREATION])?;
        creation.map(|_| ()).ok_or_else(|| ProtocolError::NotFound("room").into())
    }

    /// What an operator may know of the room.
    fn describe(&mut self, step: &Step<'_>, source: &Source) -> Result<Response> {
        if *source != Source::Own {
            return Err(ProtocolError::PeerRefused("not for others").into());
        }
        let room = Room::cached(&mut self.cache, &self.uri, &step.transaction)?;
        let providers: Vec<_> = room.roster.providers().into_iter().collect();
        let description = serde_json::json!({
            "room": self.uri.as_str(),
            "epoch": room.epoch(),
            "participants": room.roster.list.participants().count(),
            "devices": room.roster.leaves.len(),
            "providers": providers.iter().map(Domain::as_str).collect::<Vec<_>>(),
            "events": fanout::LOG.end(&step.transaction)?,
            "pendingProposals": room.queue.iter().count(),
        });
        Ok(Response::json(&description)?)
    }

    /// What a device of this provider may read of the log after `after` (D11).
    fn events(&self, step: &Step<'_>, source: &Source, after: u64) -> Result<Response> {
        let device = own_device(source)?;
        Self::check_exists(&step.transaction)?;
        let page =
            fanout::LOG.page(&step.transaction, &self.uri, device, after, MAX_PAGE_EVENTS)?;
        Ok(Response::tls(200, wire::encode(&page)?))
    }
}

impl Role for HubRoom {
    const SENDS: &str = "fan-out";
    const GIVES_UP: bool = true;

    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        let IncomingRequest { source, endpoint, body } = request;
        let response = match endpoint {
            Endpoint::KeyMaterial { target } => {
                return key_material::claim(self, step, &source, &target, body);
            }
            Endpoint::GrantedKeyMaterial { target } => {
                return key_material::granted(self, step, &source, &target, &body);
            }
            Endpoint::CreateRoom { .. } => return create::create(self, step, &source, body),
            Endpoint::Update { .. } => update::update(self, step, &source, &body)?,
            Endpoint::SubmitMessage { sending_user, .. } => {
                submit::submit(self, step, &source, sending_user.as_ref(), &body)?
            }
            Endpoint::GroupInfo { .. } => group_info::group_info(self, step, &source, &body)?,
            Endpoint::UserDeleted { user } => departure::user_deleted(self, step, &source, &user)?,
            Endpoint::Events { after, .. } => self.events(step, &source, after)?,
            Endpoint::Acknowledge { position, .. } => {
                fanout::LOG.acknowledge(&mut step.transaction, own_device(&source)?, position)?;
                Response::empty(200)
            }
            Endpoint::Describe => self.describe(step, &source)?,
            Endpoint::Exists => {
                Self::check_exists(&step.transaction)?;
                Response::empty(200)
            }
            _ => return Err(ProtocolError::NotFound("not an endpoint of a room").into()),
        };
        Ok(Reply::Respond(response))
    }

    fn resume(&mut self, step: &mut Step<'_>, then: &[u8], outcome: Outcome) -> Result<Reply> {
        match decode_row(then)? {
            Then::Create { creator, body } => create::resume(self, step, &creator, &body, outcome),
            Then::Claimed { target } => key_material::resume(&self.crypto, step, &target, outcome),
        }
    }

    fn lane_request(
        &mut self,
        step: &mut Step<'_>,
        lane: &Lane,
        entries: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        fanout::lane_request(step, &self.uri, lane, entries)
    }

    fn refuse(endpoint: &Endpoint, error: &ProtocolError) -> Response {
        room_refusal(endpoint, error)
    }

    fn forget(&mut self) {
        self.cache = None;
    }
}

/// The device of this provider that asks.
fn own_device(source: &Source) -> Result<&ClientUri, ProtocolError> {
    match source {
        Source::Device(device) => Ok(device),
        Source::Provider(_) | Source::Own => {
            Err(ProtocolError::PeerRefused("events are for own devices"))
        }
    }
}

/// A body as this room remembers it once it was accepted (R67).
struct Acceptance(Vec<u8>);

impl Acceptance {
    fn of(source: &Source, body: &[u8]) -> Self {
        let source = match source {
            Source::Provider(domain) => domain.as_str(),
            Source::Device(client) => client.as_str(),
            Source::Own => "",
        };
        Self(Key::table(table::ACCEPTED).text(source).bytes(&Sha256::digest(body)).build())
    }

    /// When the same body from the same source was accepted, if it was.
    fn earlier(&self, transaction: &Transaction<'_>) -> Result<Option<u64>, InternalError> {
        transaction.load(&self.0)
    }

    /// Remembers that the body was accepted at `timestamp`, as long as the log has what it brought.
    fn record(
        self,
        transaction: &mut Transaction<'_>,
        timestamp: u64,
    ) -> Result<(), InternalError> {
        fanout::LOG.forget_along(transaction, &self.0)?;
        transaction.store(self.0, &timestamp)
    }
}

/// The time of the message that is accepted now, which the log gets next: later than that of any before
/// (R79).
fn next_timestamp(step: &Step<'_>) -> Result<u64, InternalError> {
    let last = fanout::LOG.last_timestamp(&step.transaction)?;
    Ok(step.now.0.max(last.saturating_add(1)))
}
