//! Which object a request is for: the transport rules of both of a provider's doors.
//!
//! In scope: who is at the other end (R2, R3, D21), `Host`, path, method, size (D18), media type
//! (WIRE a.3), identifiers in paths (D15, A27). Out of scope: what the body says, but for the room
//! of a claim, which decides where the claim goes; that is for the objects. Requests that are
//! refused here reach no object.

use super::consent;
use crate::{
    config::{ProviderConfig, Registration},
    error::{InternalError, ProtocolError},
    object::plain_refusal,
    transport::{
        Endpoint, HttpRequest, IncomingRequest, JSON, ObjectCall, ObjectName, Response, Source,
    },
    wire::{
        DeviceAuth, DeviceRegistration, Directory, IdentifierUri, KeyMaterialRequest,
        MAX_BODY_BYTES, MAX_NOTIFY_BYTES, MAX_UPDATE_BYTES, decode_exact, encode, percent_decode,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// How long others may keep our directory document (D13).
const DIRECTORY_CACHE_CONTROL: &str = "max-age=3600";
/// Where our MIMI endpoints are; [`Directory::of`] publishes it.
const MIMI_PATH: &str = "/v1/";
/// Where the client API is (R4).
pub(super) const CLIENT_PATH: &str = "/client/v1/";
/// Where devices open their sockets, below [`CLIENT_PATH`].
const SOCKET_PATH: &str = "socket/";

/// What the TLS layer knows of the provider at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Its certificate was verified; these are the DNS names in its subjectAltName.
    Verified(Vec<String>),
    /// It showed no certificate.
    None,
    /// It showed one that is not valid here.
    Refused,
}

/// The door that a request came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The one for our clients: the client API alone (R4).
    Clients,
    /// The same, for who is signed in with the operator's accounts.
    SignedIn {
        /// The user, or its part before the domain, as the token has it.
        account: String,
    },
    /// The one for other providers: MIMI alone.
    Providers {
        /// Who is at the other end.
        peer: Peer,
    },
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    /// Nowhere: this is the answer.
    Respond(Response),
    /// To this object.
    Call(ObjectCall),
    /// It opens a WebSocket, which this object holds.
    Socket(ObjectName),
}

/// Finds the object that a request is for, or the answer to it.
#[must_use]
pub fn route(config: &ProviderConfig, request: &HttpRequest, via: &Via) -> Routed {
    let routed = match via {
        Via::Clients => route_client(config, request, None),
        Via::SignedIn { account } => route_client(config, request, Some(account)),
        Via::Providers { peer } => route_provider(config, request, peer),
    };
    routed.unwrap_or_else(|error| {
        let mut response = plain_refusal(&error);
        if error == ProtocolError::MethodNotAllowed {
            response.headers.push(("allow".into(), allowed_method(request).into()));
        }
        Routed::Respond(response)
    })
}

/// The method of the path of a request that had another one.
fn allowed_method(request: &HttpRequest) -> &'static str {
    let is_read = request.path == Directory::PATH
        || request.path.strip_prefix(CLIENT_PATH).is_some_and(|path| path.starts_with(SOCKET_PATH));
    if is_read { "GET" } else { "POST" }
}

fn require_method(request: &HttpRequest, method: &str) -> Result<(), ProtocolError> {
    if request.method == method { Ok(()) } else { Err(ProtocolError::MethodNotAllowed) }
}

fn require_size(request: &HttpRequest, max_bytes: usize) -> Result<(), ProtocolError> {
    if request.body.len() > max_bytes { Err(ProtocolError::TooLarge) } else { Ok(()) }
}

/// WIRE a.3: no type and unknown types are taken; what says that it is JSON or text is not.
fn require_media_type(request: &HttpRequest) -> Result<(), ProtocolError> {
    let Some(value) = request.header("content-type") else { return Ok(()) };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == JSON || media_type.starts_with("text/") {
        return Err(ProtocolError::UnsupportedMediaType);
    }
    Ok(())
}

/// The identifier in one percent-encoded segment (A27).
fn identifier(segment: &str) -> Result<String, ProtocolError> {
    percent_decode(segment).ok_or(ProtocolError::Malformed("identifier in the path"))
}

fn room_in(segment: &str) -> Result<RoomUri, ProtocolError> {
    room_named(&identifier(segment)?).ok_or(ProtocolError::Malformed("room in the path"))
}

/// The room of this name; `*@domain` names the object for claims without a room, and no room.
pub(super) fn room_named(text: &str) -> Option<RoomUri> {
    RoomUri::parse(text).ok().filter(|room| !room.as_str().starts_with("*@"))
}

fn user_in(segment: &str) -> Result<UserUri, ProtocolError> {
    UserUri::parse(&identifier(segment)?).map_err(|_| ProtocolError::Malformed("user in the path"))
}

// The door for other providers.

fn route_provider(
    config: &ProviderConfig,
    request: &HttpRequest,
    peer: &Peer,
) -> Result<Routed, ProtocolError> {
    require_host(config, request)?;
    if request.path == Directory::PATH {
        require_method(request, "GET")?;
        return directory_document(config).map_or_else(
            |_| Ok(Routed::Respond(Response::empty(500))),
            |response| Ok(Routed::Respond(response)),
        );
    }
    let source = source(config, request, peer)?;
    let path = request.path.strip_prefix(MIMI_PATH).ok_or(ProtocolError::NotFound("path"))?;
    let (endpoint, segment) = path.split_once('/').ok_or(ProtocolError::NotFound("path"))?;
    if segment.contains(['/', '?']) {
        return Err(ProtocolError::NotFound("path"));
    }
    let max_bytes = match endpoint {
        "keyMaterial" | "submitMessage" | "groupInfo" => MAX_BODY_BYTES,
        consent::REQUEST | consent::UPDATE => MAX_BODY_BYTES,
        "update" => MAX_UPDATE_BYTES,
        "notify" => MAX_NOTIFY_BYTES,
        _ => return Err(ProtocolError::NotFound("path")),
    };
    require_method(request, "POST")?;
    require_size(request, max_bytes)?;
    require_media_type(request)?;
    let (object, endpoint) = match endpoint {
        "keyMaterial" => claim(config, &source, user_in(segment)?, &request.body)?,
        "notify" => notification(config, room_in(segment)?)?,
        consent::REQUEST | consent::UPDATE => {
            let user =
                consent::told(config, &source, endpoint, &identifier(segment)?, &request.body)?;
            (ObjectName::user(&user), Endpoint::Consent)
        }
        endpoint => {
            let room = room_in(segment)?;
            if room.domain() != &config.domain {
                return Err(ProtocolError::NotFound("room"));
            }
            let object = ObjectName::room(&room, &config.domain);
            (object, hub_endpoint(endpoint, room, sending_user(request, &source)?)?)
        }
    };
    Ok(Routed::Call(ObjectCall {
        object,
        request: IncomingRequest {
            source: Source::Provider(source),
            endpoint,
            body: request.body.clone(),
        },
    }))
}

/// R10–R13. Anybody may read it: who is to present a certificate has to find us first.
fn directory_document(config: &ProviderConfig) -> Result<Response, InternalError> {
    Ok(Response {
        status: 200,
        headers: vec![
            ("content-type".into(), JSON.into()),
            ("cache-control".into(), DIRECTORY_CACHE_CONTROL.into()),
        ],
        body: Directory::of(&config.domain).to_json()?,
    })
}

/// R3: `Host` is the authority of the URLs in our directory, whatever the port.
fn require_host(config: &ProviderConfig, request: &HttpRequest) -> Result<(), ProtocolError> {
    let host = request.header("host").unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case(config.domain.as_str()) {
        Ok(())
    } else {
        Err(ProtocolError::Misdirected)
    }
}

/// R2, R3: the domain in `From`, which the certificate has to hold.
fn source(
    config: &ProviderConfig,
    request: &HttpRequest,
    peer: &Peer,
) -> Result<Domain, ProtocolError> {
    let names = match peer {
        Peer::Verified(names) => names,
        Peer::None => return Err(ProtocolError::PeerRefused("no certificate")),
        Peer::Refused => return Err(ProtocolError::PeerRefused("certificate not valid")),
    };
    let from = request.header("from").ok_or(ProtocolError::Malformed("no From"))?;
    let domain = from.strip_prefix("mimi@").and_then(|domain| Domain::parse(domain).ok());
    let domain = domain.ok_or(ProtocolError::Malformed("From"))?;
    if !names.iter().any(|name| name.eq_ignore_ascii_case(domain.as_str())) {
        return Err(ProtocolError::PeerRefused("From is not in the certificate"));
    }
    if !config.peers.admits(&domain) {
        return Err(ProtocolError::PeerRefused("this provider is not admitted"));
    }
    if domain == config.domain {
        return Err(ProtocolError::PeerRefused("From is this provider"));
    }
    Ok(domain)
}

/// R71: the user for whom a provider submits; one of its own.
fn sending_user(request: &HttpRequest, source: &Domain) -> Result<Option<UserUri>, ProtocolError> {
    let Some(text) = request.header("mimi-sending-user") else { return Ok(None) };
    let user = UserUri::parse(text).map_err(|_| ProtocolError::Malformed("Mimi-Sending-User"))?;
    if user.domain() != source {
        return Err(ProtocolError::PeerRefused("Mimi-Sending-User is another provider's"));
    }
    Ok(Some(user))
}

/// R3: a claim is for the hub of the room that it names, else for the target's provider.
fn claim(
    config: &ProviderConfig,
    source: &Domain,
    target: UserUri,
    body: &[u8],
) -> Result<(ObjectName, Endpoint), ProtocolError> {
    let claim: KeyMaterialRequest = decode_exact(body)?;
    let room = room_of_claim(&claim.room_id)?;
    let object = match &room {
        Some(room) if room.domain() == &config.domain => ObjectName::room(room, &config.domain),
        _ if target.domain() != &config.domain => return Err(ProtocolError::NotFound("user")),
        Some(room) => ObjectName::room(room, &config.domain),
        None => ObjectName::claims(source),
    };
    Ok((object, Endpoint::KeyMaterial { target }))
}

/// The room of a claim, if it names one (A6).
pub(super) fn room_of_claim(room_id: &IdentifierUri) -> Result<Option<RoomUri>, ProtocolError> {
    if room_id.0.is_empty() {
        return Ok(None);
    }
    room_named(&room_id.0).map(Some).ok_or(ProtocolError::Malformed("roomId"))
}

/// R3, R81: a notification comes from the room's hub; of a room of ours nobody else is the hub.
fn notification(
    config: &ProviderConfig,
    room: RoomUri,
) -> Result<(ObjectName, Endpoint), ProtocolError> {
    if room.domain() == &config.domain {
        return Err(ProtocolError::PeerRefused("not the room's hub"));
    }
    Ok((ObjectName::room(&room, &config.domain), Endpoint::Notify { room }))
}

fn hub_endpoint(
    endpoint: &str,
    room: RoomUri,
    sending_user: Option<UserUri>,
) -> Result<Endpoint, ProtocolError> {
    match endpoint {
        "update" => Ok(Endpoint::Update { room }),
        "submitMessage" => Ok(Endpoint::SubmitMessage { room, sending_user }),
        "groupInfo" => Ok(Endpoint::GroupInfo { room }),
        _ => Err(ProtocolError::NotFound("path")),
    }
}

// The door for our clients.

fn route_client(
    config: &ProviderConfig,
    request: &HttpRequest,
    account: Option<&str>,
) -> Result<Routed, ProtocolError> {
    let path = request.path.strip_prefix(CLIENT_PATH).ok_or(ProtocolError::NotFound("path"))?;
    let max_bytes = if path.starts_with("update/") { MAX_UPDATE_BYTES } else { MAX_BODY_BYTES };
    require_size(request, max_bytes)?;
    if path.starts_with(SOCKET_PATH) {
        require_method(request, "GET")?;
    } else {
        require_media_type(request)?;
    }
    let (object, endpoint) = match caller(request, path)? {
        Caller::Socket(device) => return Ok(Routed::Socket(user_object(config, &device)?)),
        Caller::New(device) => {
            let object = user_object(config, &device)?;
            let is_own = account.is_some_and(|account| is_account(config, account, &device.user()));
            if config.registration == Registration::Jwt && !is_own {
                return Err(ProtocolError::NoAccount);
            }
            (object, Endpoint::RegisterDevice)
        }
        Caller::Signed(device, auth) => {
            let object = user_object(config, &device)
                .map_err(|_| ProtocolError::Unauthenticated("not a device of this provider"))?;
            let (method, path) = (request.method.clone(), request.path.clone());
            (object, Endpoint::Signed { method, path, auth })
        }
    };
    // The User finds out whether it is the device: until then it is nobody.
    let source = Source::Own;
    let request = IncomingRequest { source, endpoint, body: request.body.clone() };
    Ok(Routed::Call(ObjectCall { object, request }))
}

/// Whether an account, a whole identifier or the part before the domain, is this user's.
fn is_account(config: &ProviderConfig, account: &str, user: &UserUri) -> bool {
    let whole = user.as_str();
    account == whole || format!("{account}@{}", config.domain) == whole
}

fn client_uri(uri: &IdentifierUri) -> Result<ClientUri, ProtocolError> {
    ClientUri::parse(&uri.0).map_err(|_| ProtocolError::Malformed("client"))
}

fn user_object(config: &ProviderConfig, device: &ClientUri) -> Result<ObjectName, ProtocolError> {
    if device.domain() != &config.domain {
        return Err(ProtocolError::NotFound("client"));
    }
    Ok(ObjectName::user(&device.user()))
}

/// The device that a request to the client API says it is from. Nobody has checked it: for traces.
#[must_use]
pub fn calling_device(request: &HttpRequest) -> Option<ClientUri> {
    let path = request.path.strip_prefix(CLIENT_PATH)?;
    match caller(request, path).ok()? {
        Caller::Socket(device) | Caller::New(device) | Caller::Signed(device, _) => Some(device),
    }
}

/// Who a device says that it is, and where it says so.
enum Caller {
    /// In the path of its socket; its first frame proves it.
    Socket(ClientUri),
    /// In its registration.
    New(ClientUri),
    /// In its proof, which is here encoded (D21).
    Signed(ClientUri, Vec<u8>),
}

/// Reads who calls from a request; `path` is what is below [`CLIENT_PATH`].
fn caller(request: &HttpRequest, path: &str) -> Result<Caller, ProtocolError> {
    if let Some(segment) = path.strip_prefix(SOCKET_PATH) {
        return client_uri(&IdentifierUri(identifier(segment)?)).map(Caller::Socket);
    }
    // With another method it is a request that a device signs.
    if path == "devices" && request.method == "POST" {
        let registration: DeviceRegistration = decode_exact(&request.body)?;
        return client_uri(&registration.tbs.client_uri).map(Caller::New);
    }
    device_auth(request).map(|(device, auth)| Caller::Signed(device, auth))
}

/// The device that a request says it is from, and its encoded proof (D21).
fn device_auth(request: &HttpRequest) -> Result<(ClientUri, Vec<u8>), ProtocolError> {
    const UNREADABLE: ProtocolError = ProtocolError::Unauthenticated("Authorization");
    let header = request
        .header("authorization")
        .ok_or(ProtocolError::Unauthenticated("no Authorization"))?;
    let auth = DeviceAuth::from_header(header)?;
    let device = ClientUri::from_wire(&auth.client_uri).map_err(|_| UNREADABLE)?;
    Ok((device, encode(&auth).map_err(|_| UNREADABLE)?))
}
