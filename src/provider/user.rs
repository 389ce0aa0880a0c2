//! A user of this provider, with its devices, their KeyPackages, and their Welcomes.

use openmls::{extensions::ExternalSender, prelude::Ciphersuite};
use serde::{Deserialize, Serialize};

use super::{
    claims,
    client_api::ClientRequest,
    client_auth::{self, SignedRequest},
    consent, deletion,
    devices::{self, Name, Registered},
    inbox, key_packages, outgoing, pseudonyms,
    route::room_of_claim,
    socket::{self, CatchUp, Noted},
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, credential::credential_of_hub},
    object::{Ask, Call, Lane, LaneRequest, Reply, Role, Step, plain_refusal},
    rate::Buckets,
    storage::{decode_row, encode_row},
    transport::{
        Effect, Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outcome, Response,
        RoomFacts, SocketId, Source,
    },
    wire::{
        Directory, KeyMaterialRequest, RatchetTreeSupport, decode_exact, encode,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// The tables of a user's storage.
pub(super) mod table {
    /// Client → device.
    pub(crate) const DEVICES: u8 = 0x01;
    /// Span of time, client, nonce → nothing.
    pub(crate) const NONCES: u8 = 0x02;
    /// KeyPackageRef → whose it is.
    pub(crate) const ISSUED: u8 = 0x03;
    /// Client, end, KeyPackageRef → KeyPackage to hand out once.
    pub(crate) const SINGLE_USE: u8 = 0x04;
    /// Client, end, KeyPackageRef → KeyPackage to hand out when there is no other.
    pub(crate) const LAST_RESORT: u8 = 0x05;
    /// End, KeyPackageRef → nothing.
    pub(crate) const KEY_PACKAGE_ENDS: u8 = 0x06;
    /// Position → Welcome.
    pub(crate) const INBOX: u8 = 0x07;
    /// The last position of the inbox.
    pub(crate) const INBOX_END: u8 = 0x08;
    /// Client → position of the last Welcome for it.
    pub(crate) const INBOX_LAST: u8 = 0x09;
    /// KeyPackageRef, hub, hash of room and Welcome → nothing.
    pub(crate) const WELCOMES_SEEN: u8 = 0x0A;
    /// Room → room and cipher suite.
    pub(crate) const ROOMS: u8 = 0x0B;
    /// When the user was deleted, if it was.
    pub(crate) const DELETED: u8 = 0x0C;
    /// What a pseudonym knows of itself.
    pub(crate) const PSEUDONYM: u8 = 0x10;
    /// Public key → pseudonym of this user.
    pub(crate) const PSEUDONYMS: u8 = 0x11;
    /// The version of what follows.
    pub(crate) const CONSENT_VERSION: u8 = 0x20;
    /// Requester, room → what the user said to it.
    pub(crate) const CONSENT_GIVEN: u8 = 0x21;
    /// Requester, room → open request.
    pub(crate) const CONSENT_INCOMING: u8 = 0x22;
    /// Version → key of an open request.
    pub(crate) const CONSENT_INCOMING_AGES: u8 = 0x23;
    /// Target, room → open request of the user.
    pub(crate) const CONSENT_REQUESTED: u8 = 0x24;
    /// Version → key of an open request of the user.
    pub(crate) const CONSENT_REQUESTED_AGES: u8 = 0x25;
    /// Target, room → grant.
    pub(crate) const CONSENT_RECEIVED: u8 = 0x26;
    /// Version → key of a grant.
    pub(crate) const CONSENT_RECEIVED_AGES: u8 = 0x27;
    /// Target, KeyPackageRef → KeyPackage that came with a grant.
    pub(crate) const CONSENT_KEY_PACKAGES: u8 = 0x28;
}

/// What the user waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Then {
    /// The answer is the device's.
    Pass,
    /// Whether a room has the new user's name; with the body of the registration.
    Register(Vec<u8>),
    /// A page of a room's log.
    CatchUp(CatchUp),
    /// The pseudonym is there: the row of its key, and its client.
    Issued { key: Vec<u8>, client: ClientUri },
    /// The directory document of this provider.
    Directory(Domain),
}

/// A user of this provider.
pub struct User {
    uri: UserUri,
    crypto: MlsCrypto,
    noted: Noted,
    /// What each device may still ask for (D18).
    buckets: Buckets,
}

impl User {
    /// The user `uri`, which need not exist yet.
    #[must_use]
    pub fn new(uri: UserUri) -> Self {
        Self { uri, crypto: MlsCrypto::new(), noted: Noted::default(), buckets: Buckets::default() }
    }

    /// Takes in a binary frame of a WebSocket. `device` is whose the socket is, after its hello.
    ///
    /// # Errors
    /// When the storage fails. A bad frame closes the socket instead.
    pub fn handle_frame(
        &mut self,
        step: &mut Step<'_>,
        socket: SocketId,
        device: Option<&ClientUri>,
        frame: &[u8],
    ) -> Result<()> {
        socket::handle_frame(step, &self.crypto, &mut self.noted, (socket, device), frame)
    }

    fn register(&self, step: &mut Step<'_>, body: &[u8], name: Name) -> Result<Reply> {
        match devices::register(step, &self.crypto, &self.uri, body, name)? {
            Registered::Now(response) => Ok(Reply::Respond(response)),
            Registered::UnlessRoom(room) => {
                let object = ObjectName { class: ObjectClass::HubRoom, name: room.to_string() };
                let then = Then::Register(body.to_vec());
                ask(object, Source::Own, Endpoint::Exists, Vec::new(), "exists", &then)
            }
        }
    }

    fn signed(
        &mut self,
        step: &mut Step<'_>,
        (method, path, auth): (&str, &str, &[u8]),
        body: Vec<u8>,
    ) -> Result<Reply> {
        let auth = client_auth::decode_auth(auth)?;
        let request = SignedRequest { method, path, body: &body };
        let device = client_auth::authenticate(step, &self.crypto, &auth, &request)?;
        let rate = step.config.limits.device_rate();
        self.buckets
            .take(device.as_str(), rate, step.now)
            .map_err(|after_seconds| ProtocolError::TooFast { after_seconds })?;
        self.serve(step, ClientRequest::parse(method, path, &device)?, device, body)
    }

    fn serve(
        &self,
        step: &mut Step<'_>,
        request: ClientRequest,
        device: ClientUri,
        body: Vec<u8>,
    ) -> Result<Reply> {
        let response = match request {
            ClientRequest::PublishKeyPackages => {
                let row = devices::device(&step.transaction, &device)?
                    .ok_or(ProtocolError::Unauthenticated("unknown device"))?;
                let stock = key_packages::publish(step, &self.crypto, &device, &row, &body)?;
                Response::tls(200, encode(&stock)?)
            }
            ClientRequest::KeyPackageStock => {
                let stock = key_packages::stock(&step.transaction, &device, step.now)?;
                Response::tls(200, encode(&stock)?)
            }
            ClientRequest::Rooms => Response::tls(200, encode(&inbox::room_list(step)?)?),
            ClientRequest::Inbox { after } => {
                let page = inbox::page(&step.transaction, &device, after)?;
                Response::tls(200, encode(&page)?)
            }
            ClientRequest::Devices => {
                Response::tls(200, encode(&devices::list(&step.transaction)?)?)
            }
            ClientRequest::RevokeDevice { client } => {
                devices::revoke_by(step, &device, &client)?;
                Response::empty(200)
            }
            ClientRequest::RequestPseudonym => {
                return pseudonyms::request(step, &self.crypto, &device, &body);
            }
            ClientRequest::DeleteUser => {
                deletion::delete(step, &self.uri)?;
                Response::empty(200)
            }
            ClientRequest::ExternalSender { cipher_suite } => external_sender(step, cipher_suite)?,
            ClientRequest::Directory { domain } => return directory(step, domain),
            ClientRequest::KeyMaterial { target } => {
                return claim_for(step, device, target, body);
            }
            ClientRequest::ConsentState => {
                Response::tls(200, encode(&consent::state(&step.transaction)?)?)
            }
            ClientRequest::Consent => consent::post(step, &self.crypto, &self.uri, &body)?,
            ClientRequest::CreateRoom { room } => {
                if inbox::rooms(&step.transaction)?.len() >= step.config.limits.rooms_per_user {
                    return Err(ProtocolError::TooManyRequests.into());
                }
                if room.domain() != &step.config.domain {
                    return Err(ProtocolError::NotFound("room of another provider").into());
                }
                pseudonyms::bind(step, Some(&room))?;
                let object = ObjectName::room(&room, &step.config.domain);
                return pass(object, device, Endpoint::CreateRoom { room }, body);
            }
            ClientRequest::Room { room, endpoint } => {
                pseudonyms::bind(step, Some(&room))?;
                return pass(ObjectName::room(&room, &step.config.domain), device, endpoint, body);
            }
        };
        Ok(Reply::Respond(response))
    }
}

impl Role for User {
    // Each entry says itself how long it waits.
    const SENDS: &str = "consent";

    fn handle(&mut self, step: &mut Step<'_>, request: IncomingRequest) -> Result<Reply> {
        let IncomingRequest { source, endpoint, body } = request;
        if !is_for(&source, &endpoint) {
            return Err(ProtocolError::PeerRefused("not for others").into());
        }
        let response = match endpoint {
            Endpoint::RegisterDevice => return self.register(step, &body, Name::Unchecked),
            Endpoint::Signed { method, path, auth } => {
                return self.signed(step, (&method, &path, &auth), body);
            }
            Endpoint::KeyMaterial { target } => claims::claim(step, &self.uri, &target, &body)?,
            Endpoint::Consent => consent::receive(step, &self.crypto, &self.uri, &body)?,
            Endpoint::DeliverWelcome { room } => inbox::deliver(step, &room, &body)?,
            Endpoint::Push { devices } => push(step, devices, &body)?,
            Endpoint::Membership { room, facts } => {
                membership(step, &room, facts)?;
                Response::empty(200)
            }
            Endpoint::DeleteUser => {
                deletion::delete(step, &self.uri)?;
                Response::empty(200)
            }
            Endpoint::IssuePseudonym { owner } => pseudonyms::issue(step, owner, &body)?,
            Endpoint::PseudonymDeleted { user } => {
                pseudonyms::forget(step, &user)?;
                Response::empty(200)
            }
            Endpoint::Exists => {
                require_name(step)?;
                Response::empty(200)
            }
            Endpoint::Describe => {
                require_name(step)?;
                devices::describe(&step.transaction, &self.uri)?
            }
            Endpoint::RevokeDevice { client } => {
                devices::revoke(step, &client)?;
                Response::empty(200)
            }
            Endpoint::Update { .. }
            | Endpoint::SubmitMessage { .. }
            | Endpoint::Notify { .. }
            | Endpoint::GroupInfo { .. }
            | Endpoint::CreateRoom { .. }
            | Endpoint::UserDeleted { .. }
            | Endpoint::ClaimedBy
            | Endpoint::Announce
            | Endpoint::List { .. }
            | Endpoint::Reports
            | Endpoint::Peers
            | Endpoint::Waiting
            | Endpoint::Retry { .. }
            | Endpoint::Drop { .. }
            | Endpoint::Granted { .. }
            | Endpoint::GrantedKeyMaterial { .. }
            | Endpoint::Events { .. }
            | Endpoint::Acknowledge { .. } => return Err(ProtocolError::NotFound("room").into()),
        };
        Ok(Reply::Respond(response))
    }

    fn resume(&mut self, step: &mut Step<'_>, then: &[u8], outcome: Outcome) -> Result<Reply> {
        match decode_row(then)? {
            Then::Pass => Ok(Reply::Respond(outcome.ok_or(ProtocolError::HubUnresponsive)?)),
            Then::Register(body) => match outcome.map(|response| response.status) {
                Some(200) => Err(ProtocolError::Conflict("a room has this name").into()),
                Some(404) => self.register(step, &body, Name::Free),
                Some(_) | None => Err(ProtocolError::HubUnresponsive.into()),
            },
            Then::Issued { key, client } => {
                Ok(Reply::Respond(pseudonyms::issued(step, key, &client, outcome)?))
            }
            Then::Directory(domain) => {
                Ok(Reply::Respond(directory_fetched(step, &domain, outcome)?))
            }
            Then::CatchUp(catch_up) => {
                socket::resume(step, catch_up, outcome)?;
                Ok(Reply::Respond(Response::empty(200)))
            }
        }
    }

    fn lane_request(
        &mut self,
        step: &mut Step<'_>,
        lane: &Lane,
        entries: &[Vec<u8>],
    ) -> Result<Option<LaneRequest>> {
        outgoing::request(step, &self.uri, lane, entries)
    }

    fn refuse(_endpoint: &Endpoint, error: &ProtocolError) -> Response {
        plain_refusal(error)
    }

    fn forget(&mut self) {
        self.noted = Noted::default();
    }
}

/// `POST keyMaterial/{user}`: to the object of the room in the body, or without one to the object
/// for claims without a room (A6). The requester is the device's user (R20).
fn claim_for(
    step: &mut Step<'_>,
    device: ClientUri,
    target: UserUri,
    body: Vec<u8>,
) -> Result<Reply> {
    let request: KeyMaterialRequest = decode_exact(&body)?;
    if request.requesting_user != device.user().to_wire() {
        return Err(ProtocolError::NotAllowed("requesting user".into()).into());
    }
    let room = room_of_claim(&request.room_id)?;
    pseudonyms::bind(step, room.as_ref())?;
    let own = step.config.domain.clone();
    let Some(room) = room else {
        return pass(ObjectName::claims(&own), device, Endpoint::KeyMaterial { target }, body);
    };
    let object = ObjectName::room(&room, &own);
    if let Some(answer) = consent::granted_answer(step, &target, &room, &request)? {
        let body = encode_row(&(body, answer))?;
        return pass(object, device, Endpoint::GrantedKeyMaterial { target }, body);
    }
    pass(object, device, Endpoint::KeyMaterial { target }, body)
}

/// Own objects ask a user; other providers tell it what somebody says of consent, and no more.
const fn is_for(source: &Source, endpoint: &Endpoint) -> bool {
    match source {
        Source::Own => true,
        Source::Provider(_) => matches!(endpoint, Endpoint::Consent),
        Source::Device(_) => false,
    }
}

fn pass(object: ObjectName, device: ClientUri, endpoint: Endpoint, body: Vec<u8>) -> Result<Reply> {
    let label = match &endpoint {
        Endpoint::KeyMaterial { .. } | Endpoint::GrantedKeyMaterial { .. } => "keyMaterial",
        Endpoint::Update { .. } => "update",
        Endpoint::SubmitMessage { .. } => "submitMessage",
        Endpoint::GroupInfo { .. } => "groupInfo",
        Endpoint::CreateRoom { .. } => "create room",
        _ => "events",
    };
    ask(object, Source::Device(device), endpoint, body, label, &Then::Pass)
}

/// Asks an object of our own before the request is answered.
pub(super) fn ask(
    object: ObjectName,
    source: Source,
    endpoint: Endpoint,
    body: Vec<u8>,
    label: &str,
    then: &Then,
) -> Result<Reply> {
    let request = IncomingRequest { source, endpoint, body };
    let call = Call::Object(ObjectCall { object, request });
    Ok(Reply::Ask(Ask { call, label: label.into(), then: encode_row(then)? }))
}

/// The user is in a room now, or no longer (D10). A deleted one does not stay there (D19).
fn membership(step: &mut Step<'_>, room: &RoomUri, facts: Option<RoomFacts>) -> Result<()> {
    if deletion::is_deleted(&step.transaction)? {
        if facts.is_some() {
            deletion::tell(step, room)?;
        }
        return Ok(());
    }
    require_name(step)?;
    if !pseudonyms::may_use(&step.transaction, Some(room))? {
        return Ok(());
    }
    Ok(inbox::set_membership(&mut step.transaction, room, facts)?)
}

/// There is this user, or there was: the name is not free (D15, D19).
fn require_name(step: &Step<'_>) -> Result<()> {
    if devices::exists(&step.transaction)? || deletion::is_deleted(&step.transaction)? {
        return Ok(());
    }
    Err(ProtocolError::NotFound("user").into())
}

/// Sends a frame to those of `devices` that are the user's.
fn push(step: &mut Step<'_>, devices: Vec<ClientUri>, frame: &[u8]) -> Result<Response> {
    for device in devices {
        if devices::device(&step.transaction, &device)?.is_some() {
            step.effect(Effect::Send { device, frame: frame.to_vec() });
        }
    }
    Ok(Response::empty(200))
}

/// RFC 9420's `ExternalSender` of this provider for rooms of `cipher_suite` (D2).
fn external_sender(step: &Step<'_>, cipher_suite: u16) -> Result<Response> {
    let none = ProtocolError::NotFound("no key for this cipher suite");
    let suite = Ciphersuite::try_from(cipher_suite).map_err(|_| none.clone())?;
    let key = step.config.hub_key(suite.signature_algorithm() as u16).ok_or(none)?;
    let credential = credential_of_hub(&step.config.domain);
    let sender = ExternalSender::new(key.public.as_slice().into(), credential);
    Ok(Response::tls(200, encode(&sender)?))
}

/// Which trees a provider takes in an update, when its directory document is known (A23, D13).
pub(super) fn ratchet_tree_support(
    step: &Step<'_>,
    domain: &Domain,
) -> Result<Option<RatchetTreeSupport>, InternalError> {
    let directory = match step.config.domain == *domain {
        true => Some(Directory::of(domain)),
        false => step.directory(domain)?.and_then(|json| Directory::from_json(&json).ok()),
    };
    Ok(directory.map(|directory| directory.ratchet_tree_support()))
}

/// What a device has to know of a provider's directory document: this one's, or another one's that is
/// fetched if it is not known (D13).
fn directory(step: &Step<'_>, domain: Domain) -> Result<Reply> {
    if let Some(support) = ratchet_tree_support(step, &domain)? {
        return Ok(Reply::Respond(Response::tls(200, encode(&support)?)));
    }
    let then = encode_row(&Then::Directory(domain.clone()))?;
    Ok(Reply::Ask(Ask { call: Call::Directory(domain), label: "directory".into(), then }))
}

/// The directory was asked for: here it is, or the provider did not give one.
fn directory_fetched(step: &Step<'_>, domain: &Domain, outcome: Outcome) -> Result<Response> {
    match (ratchet_tree_support(step, domain)?, outcome) {
        (Some(support), _) => Ok(Response::tls(200, encode(&support)?)),
        (None, Some(_)) => Err(ProtocolError::BadGateway("directory document").into()),
        (None, None) => Err(ProtocolError::HubUnresponsive.into()),
    }
}
