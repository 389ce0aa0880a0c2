//! What a device asks its user for beside its own things: rooms, claims, keys, directories.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{Bob, Device, answer, asked, claim_request, config, refusal, uri};
use mimi_edge::{
    config::{Limits, ProviderConfig},
    transport::{
        Action, Endpoint, IncomingRequest, ObjectCall, ObjectClass, ObjectName, Outgoing, Response,
        RoomFacts, Source,
    },
    wire::{
        Directory, KeyMaterialRequest, RatchetTreeSupport, encode,
        uri::{Domain, RoomUri, UserUri},
    },
};

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn call(device: &Device, class: ObjectClass, name: &str, endpoint: Endpoint) -> ObjectCall {
    ObjectCall {
        object: ObjectName { class, name: name.into() },
        request: IncomingRequest {
            source: Source::Device(device.client.clone()),
            endpoint,
            body: b"body".to_vec(),
        },
    }
}

#[test]
fn a_request_for_a_room_goes_to_its_object_and_the_answer_is_passed_through() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let user = phone.client.user();
    for (domain, class) in
        [("alpha.example", ObjectClass::FollowedRoom), ("bravo.example", ObjectClass::HubRoom)]
    {
        let name = format!("club@{domain}");
        let room = RoomUri::parse(&name).unwrap();
        let sending_user = Some(user.clone());
        for (method, path, endpoint) in [
            ("POST", "update/{}", Endpoint::Update { room: room.clone() }),
            (
                "POST",
                "submitMessage/{}",
                Endpoint::SubmitMessage { room: room.clone(), sending_user },
            ),
            ("POST", "groupInfo/{}", Endpoint::GroupInfo { room: room.clone() }),
            ("GET", "events/{}?after=4", Endpoint::Events { room: room.clone(), after: 4 }),
        ] {
            let path = format!("/client/v1/{}", path.replace("{}", &name.replace('@', "%40")));
            let (made, then) = asked(bob.signed(&phone, method, &path, b"body"));
            assert_eq!(made, call(&phone, class, &name, endpoint));
            let mut response = Response::tls(409, vec![1, 2, 3]);
            response.headers.push(("www-authenticate".into(), "MIMI-Pending-Proposals".into()));
            assert_eq!(answer(bob.resume(&then, Some(response.clone()))), response);
            assert_eq!(answer(bob.resume(&then, None)), refusal(504, "hub unresponsive"));
        }
    }
}

#[test]
fn d1_rooms_are_created_at_this_provider() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let path = "/client/v1/rooms/club%40bravo.example";
    let (made, _) = asked(bob.signed(&phone, "POST", path, b"body"));
    let room = RoomUri::parse("club@bravo.example").unwrap();
    let endpoint = Endpoint::CreateRoom { room };
    assert_eq!(made, call(&phone, ObjectClass::HubRoom, "club@bravo.example", endpoint));

    let before = bob.storage.snapshot();
    let elsewhere = "/client/v1/rooms/club%40alpha.example";
    assert_eq!(
        answer(bob.signed(&phone, "POST", elsewhere, b"body")),
        refusal(404, "not found: room of another provider")
    );
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn r20_a_device_claims_for_its_own_user() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let target = UserUri::parse("alice@alpha.example").unwrap();
    let path = "/client/v1/keyMaterial/alice%40alpha.example";
    let claim = |requesting_user: &str, room: &str| {
        let request = KeyMaterialRequest {
            requesting_user: uri(requesting_user),
            target_users: vec![target.to_wire()],
            room_id: uri(room),
            ..claim_request()
        };
        encode(&request).unwrap()
    };
    for (room, class, name) in [
        ("club@alpha.example", ObjectClass::FollowedRoom, "club@alpha.example"),
        ("club@bravo.example", ObjectClass::HubRoom, "club@bravo.example"),
        // R21: without a room, the object for such claims.
        ("", ObjectClass::FollowedRoom, "*@bravo.example"),
    ] {
        let body = claim("bob@bravo.example", room);
        let (made, _) = asked(bob.signed(&phone, "POST", path, &body));
        let endpoint = Endpoint::KeyMaterial { target: target.clone() };
        let mut expected = call(&phone, class, name, endpoint);
        expected.request.body = body;
        assert_eq!(made, expected);
    }

    let before = bob.storage.snapshot();
    for (body, refused) in [
        (claim("alice@bravo.example", ""), refusal(403, "not allowed: requesting user")),
        (claim("bob@bravo.example", "*@alpha.example"), refusal(400, "malformed: roomId")),
        (b"".to_vec(), refusal(400, "malformed: body")),
    ] {
        assert_eq!(answer(bob.signed(&phone, "POST", path, &body)), refused);
    }
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d2_the_hub_key_is_told_as_an_external_sender() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    for suite in [1, 3] {
        let path = format!("/client/v1/external-sender/{suite}");
        // RFC 9420: signature_key<V>, then Credential{basic, identity<V>}.
        let sender = [&[32][..], &[2; 32], &[0, 1, 13], b"bravo.example"].concat();
        let response = answer(bob.signed(&phone, "GET", &path, b""));
        assert_eq!(response, Response::tls(200, sender));
    }
    // P-256, for which there is no key, and no suite at all.
    for suite in [2, 0] {
        let path = format!("/client/v1/external-sender/{suite}");
        assert_eq!(
            answer(bob.signed(&phone, "GET", &path, b"")),
            refusal(404, "not found: no key for this cipher suite")
        );
    }
}

#[test]
fn a23_d13_a_device_is_told_which_trees_its_own_provider_takes() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let own = answer(bob.signed(&phone, "GET", "/client/v1/directory/bravo.example", b""));
    assert_eq!(own, Response::tls(200, vec![RatchetTreeSupport::ByReference as u8]));
}

#[test]
fn d13_the_directory_of_another_provider_is_fetched_and_kept() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let path = "/client/v1/directory/alpha.example";
    let document = Directory::of(&Domain::parse("alpha.example").unwrap()).to_json().unwrap();
    let found = Response {
        status: 200,
        headers: vec![("cache-control".into(), "max-age=7200".into())],
        body: document,
    };
    for (outcome, status) in [
        (None, 504),
        (Some(Response::empty(404)), 502),
        (Some(Response { body: b"{}".to_vec(), ..found.clone() }), 502),
    ] {
        let Action::Forward(forward) = bob.signed(&phone, "GET", path, b"") else {
            panic!("asked")
        };
        let Outgoing::Http(call) = &forward.outgoing else { panic!("of the provider") };
        assert_eq!(call.url, "https://alpha.example/.well-known/mimi-protocol-directory");
        assert_eq!(answer(bob.resume(&forward.then, outcome)).status, status);
    }
    let Action::Forward(forward) = bob.signed(&phone, "GET", path, b"") else { panic!("asked") };
    let told = Response::tls(200, vec![RatchetTreeSupport::ByReference as u8]);
    assert_eq!(answer(bob.resume(&forward.then, Some(found))), told);
    bob.now = bob.now.plus(7_199_000);
    assert_eq!(answer(bob.signed(&phone, "GET", path, b"")), told);
    bob.now = bob.now.plus(2_000);
    assert!(matches!(bob.signed(&phone, "GET", path, b""), Action::Forward(_)));
}

#[test]
fn r4_mimi_paths_are_not_for_devices_and_rooms_not_for_users() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    for (method, path, refused) in [
        ("POST", "/v1/update/club%40bravo.example", refusal(404, "not found: path")),
        ("POST", "/client/v1/notify/club%40bravo.example", refusal(404, "not found: path")),
        ("POST", "/client/v1/rooms", refusal(405, "method not allowed")),
        ("GET", "/client/v1/inbox?after=x", refusal(400, "malformed: number")),
    ] {
        assert_eq!(answer(bob.signed(&phone, method, path, b"")), refused);
    }
    let room = RoomUri::parse("club@bravo.example").unwrap();
    for endpoint in [Endpoint::Notify { room: room.clone() }, Endpoint::CreateRoom { room }] {
        let action = bob.handle(Source::Own, endpoint, vec![]);
        assert_eq!(action, Action::Respond(refusal(404, "not found: room")));
    }
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d18_a_device_that_asks_too_fast_is_told_when_to_ask_again_and_others_are_not() {
    let (phone, laptop) = (phone(), Device::new("bob@bravo.example/laptop"));
    let limits = Limits { requests_per_device: 1, burst_per_device: 3, ..Limits::default() };
    let config = ProviderConfig { limits, ..config() };
    let mut bob = Bob::with_config(config, &[&phone, &laptop]);
    bob.now = bob.now.plus(60_000);
    let devices = |bob: &mut Bob, device: &Device| {
        answer(bob.signed(device, "GET", "/client/v1/devices", b""))
    };
    for _ in 0..3 {
        assert_eq!(devices(&mut bob, &phone).status, 200);
    }
    let mut refused = refusal(429, "too many requests, again in 1 s");
    refused.headers.push(("retry-after".into(), "1".into()));
    assert_eq!(devices(&mut bob, &phone), refused);
    assert_eq!(devices(&mut bob, &laptop).status, 200);
    bob.now = bob.now.plus(1_000);
    assert_eq!(devices(&mut bob, &phone).status, 200);
    assert_eq!(devices(&mut bob, &phone).status, 429);
}

#[test]
fn d18_a_user_with_as_many_rooms_as_allowed_creates_no_other_one() {
    let phone = phone();
    let limits = Limits { rooms_per_user: 2, ..config().limits };
    let mut bob = Bob::with_config(ProviderConfig { limits, ..config() }, &[&phone]);
    let create = |bob: &mut Bob| {
        bob.signed(&phone, "POST", "/client/v1/rooms/new%40bravo.example", b"creation")
    };
    for name in ["one", "two"] {
        assert!(matches!(create(&mut bob), Action::Forward(_)));
        let room = RoomUri::parse(&format!("{name}@alpha.example")).unwrap();
        let facts = Some(RoomFacts { cipher_suite: 1, profile: None });
        let endpoint = Endpoint::Membership { room, facts };
        assert_eq!(bob.own(endpoint, Vec::new()).status, 200);
    }
    assert_eq!(answer(create(&mut bob)), refusal(429, "too many requests"));
}
