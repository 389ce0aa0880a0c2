//! Which object a request is for, and who is turned away at the door.
#![cfg(not(target_arch = "wasm32"))]

use mimi_edge::{
    config::{
        ConsentDefault, Limits, Peers, ProviderConfig, Registration, Retention, UnknownUsers,
    },
    provider::{Peer, PeerRates, Routed, Via, calling_device, route},
    time::UnixMillis,
    transport::{
        Endpoint, HttpRequest, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Response,
        Source,
    },
    wire::{
        DeviceAuth, DeviceRegistration, DeviceRegistrationTbs, IdentifierUri, KeyMaterialBody,
        KeyMaterialRequest, Mls10Request, Protocol, RequiredCapabilities, encode,
        uri::{Domain, RoomUri, UserUri},
    },
};

const DIRECTORY: &str = "/.well-known/mimi-protocol-directory";

/// The provider bravo.example.
fn config() -> ProviderConfig {
    ProviderConfig {
        domain: Domain::parse("bravo.example").unwrap(),
        hub_keys: Vec::new(),
        consent_default: ConsentDefault::Allow,
        unknown_users: UnknownUsers::Hidden,
        registration: Registration::Open,
        retention: Retention::default(),
        limits: Limits::default(),
        peers: Peers::default(),
    }
}

fn via(name: &str) -> Via {
    Via::Providers { peer: Peer::Verified(vec![name.into()]) }
}

fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A request of alpha.example, as it should be.
fn post(path: &str, body: &[u8]) -> HttpRequest {
    HttpRequest {
        method: "POST".into(),
        path: path.into(),
        headers: headers(&[
            ("host", "bravo.example"),
            ("from", "mimi@alpha.example"),
            ("content-type", "application/octet-stream"),
        ]),
        body: body.to_vec(),
    }
}

fn with(mut request: HttpRequest, name: &str, value: &str) -> HttpRequest {
    request.headers.retain(|(header, _)| header != name);
    request.headers.push((name.into(), value.into()));
    request
}

fn without(mut request: HttpRequest, name: &str) -> HttpRequest {
    request.headers.retain(|(header, _)| header != name);
    request
}

fn from_alpha(request: &HttpRequest) -> Routed {
    route(&config(), request, &via("alpha.example"))
}

fn from_client(request: &HttpRequest) -> Routed {
    route(&config(), request, &Via::Clients)
}

fn refused(status: u16, text: &str) -> Routed {
    Routed::Respond(Response::text(status, text))
}

fn status(routed: &Routed) -> u16 {
    match routed {
        Routed::Respond(response) => response.status,
        other => panic!("not an answer: {other:?}"),
    }
}

fn called(class: ObjectClass, name: &str, endpoint: Endpoint, body: &[u8]) -> Routed {
    Routed::Call(ObjectCall {
        object: ObjectName { class, name: name.into() },
        request: IncomingRequest {
            source: Source::Provider(Domain::parse("alpha.example").unwrap()),
            endpoint,
            body: body.to_vec(),
        },
    })
}

fn room(text: &str) -> RoomUri {
    RoomUri::parse(text).unwrap()
}

fn user(text: &str) -> UserUri {
    UserUri::parse(text).unwrap()
}

fn claim(room: &str) -> Vec<u8> {
    encode(&KeyMaterialRequest {
        protocol: Protocol::MLS10,
        requesting_user: IdentifierUri("alice@alpha.example".into()),
        target_users: vec![IdentifierUri("bob@bravo.example".into())],
        room_id: IdentifierUri(room.into()),
        body: KeyMaterialBody::Mls10(Mls10Request {
            acceptable_ciphersuites: vec![1],
            required_capabilities: RequiredCapabilities::default(),
            last_resort_allowed: false,
        }),
    })
    .unwrap()
}

/// A `DeviceAuth` in base64url (the nonce and signature are for the User to judge).
fn auth(client: &str) -> (Vec<u8>, String) {
    let auth = encode(&DeviceAuth {
        client_uri: IdentifierUri(client.into()),
        created: 1,
        nonce: vec![7; 16].into(),
        signature: vec![8; 64].into(),
    })
    .unwrap();
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in auth.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    (auth, text)
}

#[test]
fn r1_both_spellings_of_an_identifier_reach_the_object_of_their_domain() {
    for text in ["club@bravo.example", "mimi://bravo.example/r/club"] {
        let encoded = text.replace('@', "%40").replace(':', "%3A").replace('/', "%2f");
        assert_eq!(
            from_alpha(&post(&format!("/v1/update/{encoded}"), b"x")),
            called(ObjectClass::HubRoom, text, Endpoint::Update { room: room(text) }, b"x"),
        );
    }
    // `@` may stand unescaped in a segment.
    assert_eq!(
        from_alpha(&post("/v1/groupInfo/club@bravo.example", b"")),
        called(
            ObjectClass::HubRoom,
            "club@bravo.example",
            Endpoint::GroupInfo { room: room("club@bravo.example") },
            b""
        ),
    );
}

#[test]
fn d15_what_is_no_identifier_gets_400() {
    for segment in [
        "",
        "club",
        "club%40Bravo.example",
        "club%4",
        "club%zz%40bravo.example",
        "cl%20ub%40bravo.example",
        "club%2Fx%40bravo.example",
        "%ff%40bravo.example",
        "%2A%40bravo.example",
        &format!("{}%40bravo.example", "a".repeat(250)),
    ] {
        let routed = from_alpha(&post(&format!("/v1/update/{segment}"), b""));
        assert_eq!(status(&routed), 400, "{segment}");
    }
}

#[test]
fn r2_a_peer_without_a_valid_certificate_gets_403() {
    let request = post("/v1/update/club%40bravo.example", b"x");
    let peer = |peer| route(&config(), &request, &Via::Providers { peer });
    assert_eq!(peer(Peer::None), refused(403, "peer refused: no certificate"));
    assert_eq!(peer(Peer::Refused), refused(403, "peer refused: certificate not valid"));
    let other = peer(Peer::Verified(vec!["charlie.example".into()]));
    assert_eq!(other, refused(403, "peer refused: From is not in the certificate"));
    assert_eq!(status(&peer(Peer::Verified(Vec::new()))), 403);
    // A wildcard does not hold the domain itself, and a suffix is not the domain.
    for name in ["*.alpha.example", "x.alpha.example", "*.example", "alpha.example.charlie.example"]
    {
        assert_eq!(status(&peer(Peer::Verified(vec![name.into()]))), 403, "{name}");
    }
    // One of several names is enough, in any case.
    let several = vec!["www.alpha.example".into(), "Alpha.Example".into()];
    assert!(matches!(peer(Peer::Verified(several)), Routed::Call(_)));
}

#[test]
fn r2_nobody_is_this_provider_itself() {
    let request = with(post("/v1/update/club%40bravo.example", b""), "from", "mimi@bravo.example");
    let routed = route(&config(), &request, &via("bravo.example"));
    assert_eq!(routed, refused(403, "peer refused: From is this provider"));
}

#[test]
fn d21_a_refused_peer_gets_403_on_every_path() {
    for path in ["/v1/keyMaterial/x", "/v1/nothing", "/", "/client/v1/rooms"] {
        let routed = route(&config(), &post(path, b""), &Via::Providers { peer: Peer::Refused });
        assert_eq!(status(&routed), 403, "{path}");
    }
}

#[test]
fn r3_from_names_the_source() {
    let request = post("/v1/update/club%40bravo.example", b"x");
    let missing = from_alpha(&without(request.clone(), "from"));
    assert_eq!(missing, refused(400, "malformed: no From"));
    for from in ["alpha.example", "bob@alpha.example", "mimi@", "mimi@Alpha.example", "mimi@a, b"] {
        let routed = from_alpha(&with(request.clone(), "from", from));
        assert_eq!(routed, refused(400, "malformed: From"), "{from}");
    }
}

#[test]
fn r3_another_host_gets_421() {
    let request = post("/v1/update/club%40bravo.example", b"x");
    for host in ["alpha.example", "x.bravo.example", "", "bravo.example:x", "bravo.example.evil"] {
        let routed = from_alpha(&with(request.clone(), "host", host));
        assert_eq!(routed, refused(421, "misdirected request"), "{host}");
    }
    assert_eq!(status(&from_alpha(&without(request.clone(), "host"))), 421);
    for host in ["bravo.example:8802", "Bravo.Example"] {
        assert!(matches!(from_alpha(&with(request.clone(), "host", host)), Routed::Call(_)));
    }
}

#[test]
fn r3_a_target_that_is_not_ours_gets_404() {
    for endpoint in ["update", "submitMessage", "groupInfo"] {
        let routed = from_alpha(&post(&format!("/v1/{endpoint}/club%40alpha.example"), b""));
        assert_eq!(routed, refused(404, "not found: room"), "{endpoint}");
    }
    let routed =
        from_alpha(&post("/v1/keyMaterial/cathy%40charlie.example", &claim("club@alpha.example")));
    assert_eq!(routed, refused(404, "not found: user"));
}

#[test]
fn r3_a_claim_goes_to_the_hub_of_its_room_or_to_the_targets_provider() {
    let target = || Endpoint::KeyMaterial { target: user("bob@bravo.example") };
    let path = "/v1/keyMaterial/bob%40bravo.example";
    for (room_id, class, name) in [
        ("den@bravo.example", ObjectClass::HubRoom, "den@bravo.example"),
        ("club@alpha.example", ObjectClass::FollowedRoom, "club@alpha.example"),
        ("club@charlie.example", ObjectClass::FollowedRoom, "club@charlie.example"),
        // R21: without a room, the object of the provider that asks.
        ("", ObjectClass::FollowedRoom, "*@alpha.example"),
    ] {
        let body = claim(room_id);
        assert_eq!(from_alpha(&post(path, &body)), called(class, name, target(), &body));
    }
    // The hub hop: the room is ours, the target is not.
    let body = claim("den@bravo.example");
    let endpoint = Endpoint::KeyMaterial { target: user("cathy@charlie.example") };
    assert_eq!(
        from_alpha(&post("/v1/keyMaterial/cathy%40charlie.example", &body)),
        called(ObjectClass::HubRoom, "den@bravo.example", endpoint, &body)
    );
    for room_id in ["club", "*@alpha.example"] {
        let routed = from_alpha(&post(path, &claim(room_id)));
        assert_eq!(routed, refused(400, "malformed: roomId"), "{room_id}");
    }
    assert_eq!(status(&from_alpha(&post(path, b"\x01"))), 400);
}

#[test]
fn r3_r81_a_notification_goes_to_the_followed_room() {
    let endpoint = Endpoint::Notify { room: room("club@alpha.example") };
    assert_eq!(
        from_alpha(&post("/v1/notify/club%40alpha.example", b"x")),
        called(ObjectClass::FollowedRoom, "club@alpha.example", endpoint, b"x")
    );
    let own = from_alpha(&post("/v1/notify/den%40bravo.example", b"x"));
    assert_eq!(own, refused(403, "peer refused: not the room's hub"));
}

#[test]
fn r4_the_two_doors_do_not_answer_for_each_other() {
    let (_, token) = auth("bob@bravo.example/phone");
    let signed =
        |path: &str| with(post(path, b""), "authorization", &format!("Mimi-Device {token}"));
    for path in [
        "/v1/update/club%40bravo.example",
        "/v1/keyMaterial/bob%40bravo.example",
        "/v1/notify/club%40alpha.example",
        DIRECTORY,
    ] {
        assert_eq!(from_client(&signed(path)), refused(404, "not found: path"), "{path}");
    }
    for path in ["/client/v1/rooms", "/client/v1/devices", "/client/v1/update/club%40bravo.example"]
    {
        assert_eq!(from_alpha(&signed(path)), refused(404, "not found: path"), "{path}");
    }
}

#[test]
fn r10_the_directory_document_is_for_everybody() {
    let mut request = without(post(DIRECTORY, b""), "from");
    request.method = "GET".into();
    for peer in [Peer::None, Peer::Refused, Peer::Verified(vec!["alpha.example".into()])] {
        let routed = route(&config(), &request, &Via::Providers { peer });
        let Routed::Respond(response) = routed else { panic!("{routed:?}") };
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("cache-control"), Some("max-age=3600"));
        let document: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        let expected = serde_json::json!({
            "keyMaterial": "https://bravo.example/v1/keyMaterial/{targetUser}",
            "update": "https://bravo.example/v1/update/{roomId}",
            "notify": "https://bravo.example/v1/notify/{roomId}",
            "submitMessage": "https://bravo.example/v1/submitMessage/{roomId}",
            "groupInfo": "https://bravo.example/v1/groupInfo/{roomId}",
            "requestConsent": "https://bravo.example/v1/requestConsent/{targetUser}",
            "updateConsent": "https://bravo.example/v1/updateConsent/{requesterUser}",
            "mimi-edge-ratchet-tree": "full byReference",
        });
        assert_eq!(document, expected);
    }
    let posted = route(&config(), &post(DIRECTORY, b""), &Via::Providers { peer: Peer::None });
    let Routed::Respond(response) = posted else { panic!("{posted:?}") };
    assert_eq!((response.status, response.header("allow")), (405, Some("GET")));
    // The path is exactly that one.
    for path in ["/.well-known/mimi-protocol-directory/", "/mimi-protocol-directory"] {
        request.path = path.into();
        assert_eq!(status(&from_alpha(&with(request.clone(), "from", "mimi@alpha.example"))), 404);
    }
    assert_eq!(status(&from_alpha(&with(request, "host", "alpha.example"))), 421);
}

#[test]
fn r71_the_sending_user_is_one_of_the_sources() {
    let request = post("/v1/submitMessage/club%40bravo.example", b"m");
    let endpoint =
        |sending_user| Endpoint::SubmitMessage { room: room("club@bravo.example"), sending_user };
    let hub = |endpoint| called(ObjectClass::HubRoom, "club@bravo.example", endpoint, b"m");
    assert_eq!(from_alpha(&request), hub(endpoint(None)));
    let alice = with(request.clone(), "mimi-sending-user", "alice@alpha.example");
    assert_eq!(from_alpha(&alice), hub(endpoint(Some(user("alice@alpha.example")))));
    let forged = with(request.clone(), "mimi-sending-user", "cathy@charlie.example");
    assert_eq!(status(&from_alpha(&forged)), 403);
    let garbled = with(request, "mimi-sending-user", "alice");
    assert_eq!(status(&from_alpha(&garbled)), 400);
}

#[test]
fn r73_message_is_no_path() {
    for path in [
        "/v1/message/club%40bravo.example",
        "/message/club%40bravo.example",
        "/submitMessage/club%40bravo.example",
        "/v1/update",
        "/v1/update/club%40bravo.example/x",
        "/v1/update/club%40bravo.example?x=1",
        "/v1/",
    ] {
        assert_eq!(from_alpha(&post(path, b"")), refused(404, "not found: path"), "{path}");
    }
}

#[test]
fn another_method_gets_405() {
    let mut request = post("/v1/update/club%40bravo.example", b"");
    for method in ["GET", "PUT", "post"] {
        request.method = method.into();
        let routed = from_alpha(&request);
        let Routed::Respond(response) = routed else { panic!("{routed:?}") };
        assert_eq!((response.status, response.header("allow")), (405, Some("POST")), "{method}");
    }
}

#[test]
fn d18_a_body_over_the_limit_gets_413_before_anybody_reads_it() {
    for (path, limit) in [
        ("/v1/keyMaterial/bob%40bravo.example", 256 << 10),
        ("/v1/submitMessage/club%40bravo.example", 256 << 10),
        ("/v1/groupInfo/club%40bravo.example", 256 << 10),
        ("/v1/update/club%40bravo.example", 4 << 20),
        ("/v1/notify/club%40alpha.example", 8 << 20),
    ] {
        let over = from_alpha(&post(path, &vec![0; limit + 1]));
        assert_eq!(over, refused(413, "body too large"), "{path}");
        let at = from_alpha(&post(path, &vec![0; limit]));
        assert!(!matches!(&at, Routed::Respond(response) if response.status == 413), "{path}");
    }
    let (_, token) = auth("bob@bravo.example/phone");
    for (path, limit) in [
        ("/client/v1/keyPackages", 256 << 10),
        ("/client/v1/devices", 256 << 10),
        ("/client/v1/update/club%40alpha.example", 4 << 20),
    ] {
        let authorization = format!("Mimi-Device {token}");
        let request = |size| with(post(path, &vec![0; size]), "authorization", &authorization);
        assert_eq!(from_client(&request(limit + 1)), refused(413, "body too large"), "{path}");
        let at = from_client(&request(limit));
        assert!(!matches!(&at, Routed::Respond(response) if response.status == 413), "{path}");
    }
}

#[test]
fn a_body_that_says_it_is_json_or_text_gets_415() {
    let request = post("/v1/update/club%40bravo.example", b"x");
    for media_type in ["application/json", "text/plain; charset=utf-8", "TEXT/html"] {
        let routed = from_alpha(&with(request.clone(), "content-type", media_type));
        assert_eq!(routed, refused(415, "unsupported media type"), "{media_type}");
    }
    for media_type in ["message/mls", "application/octet-stream", "application/vnd.x"] {
        let routed = from_alpha(&with(request.clone(), "content-type", media_type));
        assert!(matches!(routed, Routed::Call(_)), "{media_type}");
    }
    assert!(matches!(from_alpha(&without(request, "content-type")), Routed::Call(_)));
}

#[test]
fn a_signed_request_goes_to_the_user_of_its_client() {
    let (encoded, token) = auth("bob@bravo.example/phone");
    let path = "/client/v1/update/club%40alpha.example";
    let request = with(post(path, b"u"), "authorization", &format!("Mimi-Device {token}"));
    let endpoint = Endpoint::Signed { method: "POST".into(), path: path.into(), auth: encoded };
    let expected = ObjectCall {
        object: ObjectName { class: ObjectClass::User, name: "bob@bravo.example".into() },
        request: IncomingRequest { source: Source::Own, endpoint, body: b"u".to_vec() },
    };
    assert_eq!(from_client(&request), Routed::Call(expected));
}

#[test]
fn d21_a_client_that_is_not_signed_in_gets_401_and_the_scheme() {
    let request = post("/client/v1/rooms", b"");
    let (_, token) = auth("bob@bravo.example/phone");
    let (_, foreign) = auth("alice@alpha.example/phone");
    let (_, user) = auth("bob@bravo.example");
    let mut unsigned = vec![request.clone()];
    for value in [
        String::new(),
        "Mimi-Device".into(),
        "Mimi-Device ".into(),
        "Mimi-Device ***".into(),
        format!("Bearer {token}"),
        token.clone(),
        format!("Mimi-Device {token}A"),
        format!("Mimi-Device {foreign}"),
        format!("Mimi-Device {user}"),
        "ümlautümlautümlaut".into(),
    ] {
        unsigned.push(with(request.clone(), "authorization", &value));
    }
    for request in unsigned {
        let routed = from_client(&request);
        let Routed::Respond(response) = &routed else { panic!("{request:?} {routed:?}") };
        assert_eq!(response.status, 401, "{request:?}");
        assert_eq!(response.header("www-authenticate"), Some("Mimi-Device"));
    }
}

fn registration(client: &str) -> Vec<u8> {
    encode(&DeviceRegistration {
        tbs: DeviceRegistrationTbs {
            client_uri: IdentifierUri(client.into()),
            signature_scheme: 0x0807,
            signature_key: vec![1; 32].into(),
        },
        signature: vec![2; 64].into(),
    })
    .unwrap()
}

#[test]
fn a_registration_goes_to_the_user_of_its_client() {
    let body = registration("bob@bravo.example/phone");
    let expected = ObjectCall {
        object: ObjectName { class: ObjectClass::User, name: "bob@bravo.example".into() },
        request: IncomingRequest {
            source: Source::Own,
            endpoint: Endpoint::RegisterDevice,
            body: body.clone(),
        },
    };
    assert_eq!(from_client(&post("/client/v1/devices", &body)), Routed::Call(expected));
    let foreign = post("/client/v1/devices", &registration("alice@alpha.example/phone"));
    assert_eq!(from_client(&foreign), refused(404, "not found: client"));
    assert_eq!(status(&from_client(&post("/client/v1/devices", &registration("bob")))), 400);
    assert_eq!(status(&from_client(&post("/client/v1/devices", b""))), 400);
    // The list of them is for devices alone.
    let mut get = post("/client/v1/devices", &body);
    get.method = "GET".into();
    assert_eq!(status(&from_client(&get)), 401);
}

#[test]
fn a_socket_is_held_by_the_user_of_its_client() {
    let mut request = post("/client/v1/socket/bob%40bravo.example%2Fphone", b"");
    request.method = "GET".into();
    let user = ObjectName { class: ObjectClass::User, name: "bob@bravo.example".into() };
    assert_eq!(from_client(&request), Routed::Socket(user));
    request.path = "/client/v1/socket/alice%40alpha.example%2Fphone".into();
    assert_eq!(status(&from_client(&request)), 404);
    request.path = "/client/v1/socket/bob%40bravo.example".into();
    assert_eq!(status(&from_client(&request)), 400);
    request.method = "POST".into();
    assert_eq!(status(&from_client(&request)), 405);
}

#[test]
fn a_trace_is_told_the_device_that_a_request_says_it_is_from() {
    let phone = "bob@bravo.example/phone";
    let (_, token) = auth(phone);
    let bearer = with(post("/client/v1/rooms", b""), "authorization", &format!("Bearer {token}"));
    let signed =
        with(post("/client/v1/rooms", b""), "authorization", &format!("Mimi-Device {token}"));
    let mut socket = post("/client/v1/socket/bob%40bravo.example%2Fphone", b"");
    socket.method = "GET".into();
    let new = post("/client/v1/devices", &registration(phone));
    for request in [signed, socket, new] {
        let device = calling_device(&request).map(|device| device.to_string());
        assert_eq!(device.as_deref(), Some(phone), "{request:?}");
    }
    for request in [
        bearer,
        post("/client/v1/devices", b""),
        post("/client/v1/socket/bob%40bravo.example", b""),
        post("/v1/update/club%40bravo.example", b""),
    ] {
        assert_eq!(calling_device(&request), None, "{request:?}");
    }
}

#[test]
fn r2_a_provider_that_is_denied_or_not_allowed_is_refused_whatever_it_asks() {
    let domain = |text: &str| Domain::parse(text).unwrap();
    let request = post("/v1/update/club%40bravo.example", b"");
    let lists = [
        (vec![], vec!["alpha.example"], 403),
        (vec!["alpha.example"], vec!["alpha.example"], 403),
        (vec!["charlie.example"], vec![], 403),
        (vec!["alpha.example"], vec!["charlie.example"], 200),
    ];
    for (allow, deny, expected) in lists {
        let read = |names: Vec<&str>| names.into_iter().map(domain).collect();
        let peers = Peers { allow: read(allow), deny: read(deny) };
        let config = ProviderConfig { peers, ..config() };
        match route(&config, &request, &via("alpha.example")) {
            Routed::Call(_) => assert_eq!(expected, 200),
            Routed::Respond(response) => assert_eq!(response.status, expected),
            Routed::Socket(_) => panic!("no socket"),
        }
    }
}

#[test]
fn d18_a_provider_that_asks_too_fast_is_told_when_to_ask_again_and_others_are_not() {
    let limits = Limits { requests_per_peer: 2, burst_per_peer: 2, ..Limits::default() };
    let config = ProviderConfig { limits, ..config() };
    let rates = PeerRates::default();
    let now = UnixMillis(1_000_000);
    let ask = |peer: &str, now| {
        let from = format!("mimi@{peer}");
        let request = with(post("/v1/update/club%40bravo.example", b"x"), "from", &from);
        rates.admit(&config, route(&config, &request, &via(peer)), now)
    };
    for _ in 0..2 {
        assert!(matches!(ask("alpha.example", now), Routed::Call(_)));
    }
    let Routed::Respond(refused) = ask("alpha.example", now) else { panic!("let through") };
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(matches!(ask("charlie.example", now), Routed::Call(_)));
    assert!(matches!(ask("alpha.example", now.plus(500)), Routed::Call(_)));
}
