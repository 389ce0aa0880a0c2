//! What a device asks for: method and path of a signed request, as one value.

use super::route::{CLIENT_PATH, room_named};
use crate::{
    error::ProtocolError,
    transport::Endpoint,
    wire::{
        percent_decode,
        uri::{ClientUri, Domain, RoomUri, UserUri},
    },
};

/// A request of the client API that a device signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientRequest {
    /// `POST keyPackages`.
    PublishKeyPackages,
    /// `GET keyPackages`.
    KeyPackageStock,
    /// `GET devices`.
    Devices,
    /// `POST devices/{client}/revoke`.
    RevokeDevice { client: ClientUri },
    /// `POST pseudonyms` (R91).
    RequestPseudonym,
    /// `POST delete-user` (D19).
    DeleteUser,
    /// `GET rooms` (D10).
    Rooms,
    /// `GET consent` (D17).
    ConsentState,
    /// `POST consent`.
    Consent,
    /// `GET inbox?after=N`.
    Inbox { after: u64 },
    /// `GET external-sender/{suite}`, the suite as a decimal number (D2).
    ExternalSender { cipher_suite: u16 },
    /// `GET directory/{domain}` (D13).
    Directory { domain: Domain },
    /// `POST keyMaterial/{user}`; the room stands in the body.
    KeyMaterial { target: UserUri },
    /// `POST rooms/{room}` (D1).
    CreateRoom { room: RoomUri },
    /// What the object of a room answers.
    Room { room: RoomUri, endpoint: Endpoint },
}

impl ClientRequest {
    /// Reads method and path (with query, as sent) of a request that `device` signed.
    ///
    /// # Errors
    /// `NotFound` for another path, `MethodNotAllowed`, `Malformed` for an identifier, a number or a
    /// query that is none.
    pub(super) fn parse(
        method: &str,
        path: &str,
        device: &ClientUri,
    ) -> Result<Self, ProtocolError> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let below = path.strip_prefix(CLIENT_PATH).ok_or(ProtocolError::NotFound("path"))?;
        let segments: Vec<String> = below
            .split('/')
            .map(percent_decode)
            .collect::<Option<_>>()
            .ok_or(ProtocolError::Malformed("path"))?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (allowed, takes_after) = shape(method, &segments)?;
        if method != allowed {
            return Err(ProtocolError::MethodNotAllowed);
        }
        if query.is_some() && !takes_after {
            return Err(ProtocolError::Malformed("query"));
        }
        let after = after(query)?;
        match segments.as_slice() {
            ["keyPackages"] if method == "GET" => Ok(Self::KeyPackageStock),
            ["keyPackages"] => Ok(Self::PublishKeyPackages),
            ["devices"] => Ok(Self::Devices),
            ["devices", client, "revoke"] => {
                let client = ClientUri::parse(client)
                    .map_err(|_| ProtocolError::Malformed("client in the path"))?;
                Ok(Self::RevokeDevice { client })
            }
            ["pseudonyms"] => Ok(Self::RequestPseudonym),
            ["delete-user"] => Ok(Self::DeleteUser),
            ["consent"] if method == "GET" => Ok(Self::ConsentState),
            ["consent"] => Ok(Self::Consent),
            ["rooms"] => Ok(Self::Rooms),
            ["inbox"] => Ok(Self::Inbox { after }),
            ["external-sender", suite] => Ok(Self::ExternalSender { cipher_suite: number(suite)? }),
            ["directory", domain] => Ok(Self::Directory { domain: parse_domain(domain)? }),
            ["rooms", room] => Ok(Self::CreateRoom { room: parse_room(room)? }),
            ["keyMaterial", target] => {
                let target = UserUri::parse(target)
                    .map_err(|_| ProtocolError::Malformed("user in the path"))?;
                Ok(Self::KeyMaterial { target })
            }
            [endpoint, room] => room_request(endpoint, parse_room(room)?, after, device),
            _ => Err(ProtocolError::NotFound("path")),
        }
    }
}

/// The method of a path, and whether it takes `?after=N`.
fn shape(method: &str, segments: &[&str]) -> Result<(&'static str, bool), ProtocolError> {
    match segments {
        ["keyPackages" | "consent"] if method == "GET" => Ok(("GET", false)),
        ["keyPackages" | "consent" | "pseudonyms" | "delete-user"] => Ok(("POST", false)),
        ["inbox"] | ["events", _] => Ok(("GET", true)),
        ["rooms" | "devices"] | ["external-sender" | "directory", _] => Ok(("GET", false)),
        ["devices", _, "revoke"] => Ok(("POST", false)),
        ["keyMaterial" | "update" | "submitMessage" | "groupInfo" | "rooms", _] => {
            Ok(("POST", false))
        }
        _ => Err(ProtocolError::NotFound("path")),
    }
}

fn room_request(
    endpoint: &str,
    room: RoomUri,
    after: u64,
    device: &ClientUri,
) -> Result<ClientRequest, ProtocolError> {
    let endpoint = match endpoint {
        "update" => Endpoint::Update { room: room.clone() },
        "submitMessage" => {
            Endpoint::SubmitMessage { room: room.clone(), sending_user: Some(device.user()) }
        }
        "groupInfo" => Endpoint::GroupInfo { room: room.clone() },
        "events" => Endpoint::Events { room: room.clone(), after },
        _ => return Err(ProtocolError::NotFound("path")),
    };
    Ok(ClientRequest::Room { room, endpoint })
}

fn parse_room(text: &str) -> Result<RoomUri, ProtocolError> {
    room_named(text).ok_or(ProtocolError::Malformed("room in the path"))
}

fn parse_domain(text: &str) -> Result<Domain, ProtocolError> {
    Domain::parse(text).map_err(|_| ProtocolError::Malformed("domain in the path"))
}

/// The number in a query `after=N`; 0 without a query.
fn after(query: Option<&str>) -> Result<u64, ProtocolError> {
    match query {
        None => Ok(0),
        Some(query) => {
            number(query.strip_prefix("after=").ok_or(ProtocolError::Malformed("query"))?)
        }
    }
}

/// A decimal number without a sign.
fn number<N: std::str::FromStr>(text: &str) -> Result<N, ProtocolError> {
    if text.starts_with('+') {
        return Err(ProtocolError::Malformed("number"));
    }
    text.parse().map_err(|_| ProtocolError::Malformed("number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, path: &str) -> Result<ClientRequest, ProtocolError> {
        let device = ClientUri::parse("alice@alpha.example/phone").unwrap();
        ClientRequest::parse(method, path, &device)
    }

    fn room(text: &str) -> RoomUri {
        RoomUri::parse(text).unwrap()
    }

    #[test]
    fn a_path_is_percent_decoded_segment_by_segment() {
        let club = room("club@bravo.example");
        assert_eq!(
            parse("POST", "/client/v1/update/club%40bravo.example"),
            Ok(ClientRequest::Room {
                room: club.clone(),
                endpoint: Endpoint::Update { room: club.clone() }
            })
        );
        assert_eq!(
            parse("POST", "/client/v1/submitMessage/club@bravo.example"),
            Ok(ClientRequest::Room {
                room: club.clone(),
                endpoint: Endpoint::SubmitMessage {
                    room: club.clone(),
                    sending_user: Some(UserUri::parse("alice@alpha.example").unwrap())
                }
            })
        );
        let mimi = room("mimi://bravo.example/r/club");
        assert_eq!(
            parse("GET", "/client/v1/events/mimi%3A%2F%2Fbravo.example%2Fr%2Fclub?after=7"),
            Ok(ClientRequest::Room {
                room: mimi.clone(),
                endpoint: Endpoint::Events { room: mimi, after: 7 }
            })
        );
        assert_eq!(
            parse("POST", "/client/v1/rooms/club%40bravo.example"),
            Ok(ClientRequest::CreateRoom { room: club })
        );
    }

    #[test]
    fn own_requests_and_their_arguments() {
        assert_eq!(parse("GET", "/client/v1/inbox"), Ok(ClientRequest::Inbox { after: 0 }));
        assert_eq!(parse("GET", "/client/v1/inbox?after=3"), Ok(ClientRequest::Inbox { after: 3 }));
        assert_eq!(parse("GET", "/client/v1/rooms"), Ok(ClientRequest::Rooms));
        assert_eq!(parse("GET", "/client/v1/keyPackages"), Ok(ClientRequest::KeyPackageStock));
        assert_eq!(parse("POST", "/client/v1/keyPackages"), Ok(ClientRequest::PublishKeyPackages));
        assert_eq!(parse("GET", "/client/v1/consent"), Ok(ClientRequest::ConsentState));
        assert_eq!(parse("POST", "/client/v1/consent"), Ok(ClientRequest::Consent));
        assert_eq!(parse("GET", "/client/v1/devices"), Ok(ClientRequest::Devices));
        assert_eq!(parse("POST", "/client/v1/delete-user"), Ok(ClientRequest::DeleteUser));
        let tablet = ClientUri::parse("alice@alpha.example/tablet").unwrap();
        assert_eq!(
            parse("POST", "/client/v1/devices/alice%40alpha.example%2Ftablet/revoke"),
            Ok(ClientRequest::RevokeDevice { client: tablet })
        );
        assert_eq!(
            parse("GET", "/client/v1/external-sender/1"),
            Ok(ClientRequest::ExternalSender { cipher_suite: 1 })
        );
    }

    #[test]
    fn r4_what_is_no_path_of_the_client_api() {
        for path in [
            "/v1/update/club%40bravo.example",
            "/client/v1/",
            "/client/v1/notify/club%40bravo.example",
            "/client/v1/devices/bob%40bravo.example%2Fphone",
            "/client/v1/update",
            "/client/v1/update/a/b",
            "/client/v2/rooms",
        ] {
            assert_eq!(parse("POST", path), Err(ProtocolError::NotFound("path")), "{path}");
        }
        for (method, path) in [
            ("GET", "/client/v1/update/club%40bravo.example"),
            ("POST", "/client/v1/rooms"),
            ("POST", "/client/v1/devices"),
            ("GET", "/client/v1/delete-user"),
            ("POST", "/client/v1/inbox?after=3"),
            ("DELETE", "/client/v1/keyPackages"),
        ] {
            assert_eq!(parse(method, path), Err(ProtocolError::MethodNotAllowed), "{path}");
        }
        for path in [
            "/client/v1/inbox?after=+3",
            "/client/v1/inbox?after=",
            "/client/v1/inbox?before=3",
            "/client/v1/rooms?after=3",
            "/client/v1/events/club%40Bravo.example",
            "/client/v1/events/%2A%40bravo.example",
            "/client/v1/events/club%4",
            "/client/v1/external-sender/65536",
            "/client/v1/devices?after=3",
        ] {
            assert_eq!(parse("GET", path).unwrap_err().status(), 400, "{path}");
        }
    }
}
