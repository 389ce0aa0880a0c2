//! Requests as data: what the bindings move and what the roles decide about.
//!
//! No role talks HTTP. A provider's object is called with an [`IncomingRequest`] and answers with an
//! [`Action`]; what it wants sent comes out as [`OutgoingRequest`]s. The bindings move bytes between
//! these values and sockets, and nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    error::InternalError,
    time::UnixMillis,
    wire::{
        RoomProfile,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// An HTTP method that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

impl Method {
    /// The method's name in HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The challenge in the `WWW-Authenticate` of a 401 that carries the proposals which a commit left out
/// (R62).
pub const PENDING_PROPOSALS: &str = "MIMI-Pending-Proposals";

/// The body is TLS presentation language (WIRE a.3).
pub const OCTET_STREAM: &str = "application/octet-stream";
/// The body is one MLSMessage (RFC 9420 §17.10).
pub const MESSAGE_MLS: &str = "message/mls";
/// The body is JSON: the directory document alone.
pub const JSON: &str = "application/json";

/// An HTTP request as it arrived, before anyone looked at it. Header names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, as sent.
    pub method: String,
    /// Path and query, still percent-encoded.
    pub path: String,
    /// Header names (lower-case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of the header `name` (lower-case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header names (lower-case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with a TLS-encoded body.
    #[must_use]
    pub fn tls(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type".into(), OCTET_STREAM.into())], body }
    }

    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer with a short text for people.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())],
            body: text.as_bytes().to_vec(),
        }
    }

    /// An answer in JSON, for operators.
    ///
    /// # Errors
    /// When the value cannot be encoded.
    pub fn json(value: &impl Serialize) -> Result<Self, InternalError> {
        let body = serde_json::to_vec(value).map_err(|_| InternalError::Codec("json"))?;
        Ok(Self { status: 200, headers: vec![("content-type".into(), JSON.into())], body })
    }

    /// The value of the header `name` (lower-case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether the status is one of success (WIRE A11: any 2xx).
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The seconds of `Retry-After`, in milliseconds. A date there is ignored.
    #[must_use]
    pub fn retry_after_millis(&self) -> Option<u64> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(seconds.saturating_mul(1000))
    }
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Who a request is from, as established before an object sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Another provider, authenticated by its certificate, equal to its `From` (R2, R3).
    Provider(Domain),
    /// A device of this provider, authenticated by its `User` object.
    Device(ClientUri),
    /// Another object of this provider.
    Own,
}

/// The class of a provider's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectClass {
    /// A room that this provider hosts.
    HubRoom,
    /// A room that another provider hosts and users of this one take part in.
    FollowedRoom,
    /// A user of this provider with its devices.
    User,
    /// The index of the provider.
    Provider,
}

impl ObjectClass {
    /// The class name, as the Durable Object binding spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HubRoom => "HubRoom",
            Self::FollowedRoom => "FollowedRoom",
            Self::User => "User",
            Self::Provider => "Provider",
        }
    }
}

/// One object of a provider: class and the identifier that names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// The class.
    pub class: ObjectClass,
    /// The identifier's text.
    pub name: String,
}

impl ObjectName {
    /// The object of one of our users.
    #[must_use]
    pub fn user(user: &UserUri) -> Self {
        Self { class: ObjectClass::User, name: user.to_string() }
    }

    /// The object of a room at the provider `own`: the hub's if the room is its own (R1).
    #[must_use]
    pub fn room(room: &RoomUri, own: &Domain) -> Self {
        let class =
            if room.domain() == own { ObjectClass::HubRoom } else { ObjectClass::FollowedRoom };
        Self { class, name: room.to_string() }
    }

    /// The index of the provider of this domain.
    #[must_use]
    pub fn provider(own: &Domain) -> Self {
        Self { class: ObjectClass::Provider, name: own.to_string() }
    }

    /// The object for claims that name no room, from or to the provider `domain` (R20, R21).
    #[must_use]
    pub fn claims(domain: &Domain) -> Self {
        Self { class: ObjectClass::FollowedRoom, name: format!("*@{domain}") }
    }
}

/// What a device has to know of a room before it joins (D10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomFacts {
    /// The room's cipher suite.
    pub cipher_suite: u16,
    /// The room's profile, when it is known.
    pub profile: Option<RoomProfile>,
}

/// What an object is asked.
///
/// The MIMI endpoints of a room or user come from providers and, with the same bodies, from devices
/// and objects of the own provider; [`Source`] tells which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Endpoint {
    /// `keyMaterial/{targetUser}` (E1). Body: `KeyMaterialRequest`.
    KeyMaterial {
        /// The user in the path (R18).
        target: UserUri,
    },
    /// `update/{roomId}` (E2). Body: `UpdateRequest`.
    Update {
        /// The room in the path.
        room: RoomUri,
    },
    /// `submitMessage/{roomId}` (E3). Body: an MLSMessage.
    SubmitMessage {
        /// The room in the path.
        room: RoomUri,
        /// `Mimi-Sending-User` from another provider, the device's user from our own (R71).
        sending_user: Option<UserUri>,
    },
    /// `notify/{roomId}` (E4). Body: one or more `FanoutMessage`s.
    Notify {
        /// The room in the path.
        room: RoomUri,
    },
    /// `groupInfo/{roomId}` (E5). Body: `GroupInfoRequest`.
    GroupInfo {
        /// The room in the path.
        room: RoomUri,
    },
    /// `requestConsent/{targetUser}` and `updateConsent/{requesterUser}` (E6, E7), to the `User` who
    /// is told. Body: a `ConsentEntry`.
    Consent,
    /// Client API: `rooms/{room}` (D1). Body: GroupInfo ‖ RatchetTreeOption.
    CreateRoom {
        /// The room in the path.
        room: RoomUri,
    },
    /// Client API: `events/{room}?after=N`.
    Events {
        /// The room in the path.
        room: RoomUri,
        /// The last position that the device has.
        after: u64,
    },
    /// Own objects, for a device: it has stored everything of the room up to this position (D22). No
    /// body.
    Acknowledge {
        /// The room.
        room: RoomUri,
        /// The position.
        position: u64,
    },
    /// Client API: `devices`. Body: `DeviceRegistration`.
    RegisterDevice,
    /// Client API: any request that a device signed; the `User` checks it and takes it on from
    /// there. Body: the request's.
    Signed {
        /// The HTTP method.
        method: String,
        /// Path and query as sent.
        path: String,
        /// The encoded `DeviceAuth`.
        auth: Vec<u8>,
    },
    /// Own objects, to a `User`: a Welcome for it. Body: one `FanoutMessage`.
    DeliverWelcome {
        /// The room that it leads into.
        room: RoomUri,
    },
    /// Own objects, to a `User`: send this frame to these devices, if they are connected. Body: an
    /// encoded `FromProvider`.
    Push {
        /// The devices.
        devices: Vec<ClientUri>,
    },
    /// Own objects, to a `User`: it is now in this room, or no longer (D10).
    Membership {
        /// The room.
        room: RoomUri,
        /// What the room is like; `None` when the user is no longer in it.
        facts: Option<RoomFacts>,
    },
    /// Own objects, to the object of a room: this user of ours was deleted (D19). No body.
    UserDeleted {
        /// The user.
        user: UserUri,
    },
    /// Own objects or the operator, to a `User`: delete it, for good (D19). No body.
    DeleteUser,
    /// Own objects, to a `User`: it is a pseudonym from now on (R91). Body: a row of client and device.
    IssuePseudonym {
        /// Whose.
        owner: UserUri,
    },
    /// Own objects, to a `User`: this pseudonym of its was deleted. No body.
    PseudonymDeleted {
        /// The pseudonym.
        user: UserUri,
    },
    /// Own objects, to the object for claims that name no room: whose KeyPackages these are. Body: a
    /// row of KeyPackageRefs; 200 with a row of users, as many, `None` where it is nobody's.
    ClaimedBy,
    /// A device of ours claims, and a grant brought the KeyPackages (R97); to the `HubRoom`. Body: a row
    /// of the encoded `KeyMaterialRequest` and its `KeyMaterialResponse`.
    GrantedKeyMaterial {
        /// The user in the path (R18).
        target: UserUri,
    },
    /// Own objects, to the object for claims that name no room: a grant takes KeyPackages of this user
    /// to that provider (R97). Body: a row of KeyPackageRefs.
    Granted {
        /// The user.
        user: UserUri,
    },
    /// Own objects, to a `User` or a `HubRoom`: 200 if it exists, else 404 (D15).
    Exists,
    /// Own objects, to the index: news of them. Body: a row of encoded `News`.
    Announce,
    /// The operator, to the index: the objects of a class, in order. 200 with JSON.
    List {
        /// The class.
        class: ObjectClass,
        /// Those after this name; empty for the first.
        after: String,
    },
    /// The operator, to the index: what was reported. 200 with JSON.
    Reports,
    /// The operator, to the index: the other providers that were met. 200 with JSON.
    Peers,
    /// The operator, to a `HubRoom` or a `User`: what it is like. 200 with JSON.
    Describe,
    /// The operator, to a `User`: this device of its is revoked.
    RevokeDevice {
        /// The device.
        client: ClientUri,
    },
    /// The operator, to any object: what waits there for other providers. 200 with JSON.
    Waiting,
    /// The operator, to any object: what waits for this provider is tried now.
    Retry {
        /// The provider.
        peer: Domain,
    },
    /// The operator, to any object: what waits for this provider is not sent any more.
    Drop {
        /// The provider.
        peer: Domain,
    },
}

/// A request as an object meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingRequest {
    /// Who asks.
    pub source: Source,
    /// What is asked.
    pub endpoint: Endpoint,
    /// The body.
    pub body: Vec<u8>,
}

/// A call to an object of this provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCall {
    /// The object.
    pub object: ObjectName,
    /// The request.
    pub request: IncomingRequest,
}

/// The endpoints of another provider, as the directory names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the draft's")]
pub enum PeerEndpoint {
    KeyMaterial,
    Update,
    SubmitMessage,
    Notify,
    GroupInfo,
    RequestConsent,
    UpdateConsent,
}

/// A MIMI request to another provider, before its URL is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCall {
    /// The provider.
    pub domain: Domain,
    /// The endpoint.
    pub endpoint: PeerEndpoint,
    /// The identifier that goes into the URL template.
    pub identifier: String,
    /// `Mimi-Sending-User`, with submitMessage (R71).
    pub sending_user: Option<UserUri>,
    /// The body.
    pub body: Vec<u8>,
}

/// An HTTP request to another provider (from an object), or to the own one (from a client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The method.
    pub method: Method,
    /// The whole URL; from a client, path and query below the provider's base URL.
    pub url: String,
    /// Header names (lower-case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait for the answer, in milliseconds (D18).
    pub timeout_millis: u64,
}

/// Where an outgoing request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// To an object of this provider.
    Object(ObjectCall),
    /// To another provider.
    Http(HttpCall),
}

/// Names a request that waits for its answer. Unique per object and start of the object.
pub type RequestId = u64;

/// A request that the bindings are to send, outside of any answer, and whose outcome they report to
/// `handle_response` under the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRequest {
    /// Names it in `handle_response`.
    pub id: RequestId,
    /// What to send.
    pub outgoing: Outgoing,
    /// What it is, in words for a trace: `commit 1.2 kB`, `welcome + tree 3.4 kB`.
    pub label: String,
    /// When the first of what it carries was accepted, where that is known.
    pub since: Option<UnixMillis>,
}

/// What came back: an answer, or none in time.
pub type Outcome = Option<Response>;

/// What an object decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer with this.
    Respond(Response),
    /// Ask someone else first, then call `resume` with `then` and the outcome.
    Forward(Forward),
}

/// Something to ask before a request can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// What to ask.
    pub outgoing: Outgoing,
    /// What it is, in words for a trace.
    pub label: String,
    /// Given back to `resume`: opaque to the bindings.
    pub then: Vec<u8>,
}

/// Names a WebSocket for as long as it is open.
pub type SocketId = u64;

/// Something to do beside the answer, lost when it fails or when the object stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Call another object of this provider and forget the answer.
    Call(ObjectCall),
    /// Call a user's object, for the devices that are connected alone: one without sockets need not
    /// look at it. If there is none, `found_none` wants to know.
    Push {
        /// The call.
        call: ObjectCall,
        /// Names it in `found_none`.
        number: u64,
    },
    /// Ask someone, then call `resume` with the outcome; the answer that `resume` gives is dropped.
    Ask(Forward),
    /// This socket is this device's from now on.
    Bind {
        /// The socket.
        socket: SocketId,
        /// The device.
        device: ClientUri,
    },
    /// Send a binary frame on all sockets of a device.
    Send {
        /// The device.
        device: ClientUri,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Close all sockets of a device.
    Disconnect {
        /// The device.
        device: ClientUri,
        /// The WebSocket close code.
        code: u16,
    },
    /// Tell the operator (R82, D22).
    Report {
        /// One line, without users, rooms and content.
        line: String,
    },
    /// Close a socket.
    Close {
        /// The socket.
        socket: SocketId,
        /// The WebSocket close code.
        code: u16,
    },
}
