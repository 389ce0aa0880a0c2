//! Pseudonyms, as a provider issues them and keeps them apart (R91–R93).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{
    Bob, Device, answer, asked, claim_request, config, dismissed, refusal, revoked, uri, user,
};
use mimi_edge::{
    config::{ProviderConfig, Registration},
    mls::labels::{DEVICE, PSEUDONYM},
    transport::{
        Action, Effect, Endpoint, ObjectCall, ObjectClass, ObjectName, Outgoing, Response,
        RoomFacts, Source,
    },
    wire::{
        IdentifierUri, KeyMaterialRequest, KeyMaterialResponse, KeyMaterialUserCode,
        PseudonymGrant, RoomList, decode_exact, encode,
        uri::{ClientUri, RoomUri},
    },
};

const PSEUDONYMS: &str = "/client/v1/pseudonyms";
const CLUB: &str = "club@alpha.example";
const DEN: &str = "den@alpha.example";

/// What a room is like.
const FACTS: Option<RoomFacts> = Some(RoomFacts { cipher_suite: 1, profile: None });

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn room(text: &str) -> RoomUri {
    RoomUri::parse(text).unwrap()
}

/// Asks for a pseudonym with the key of `fresh`; its object answers through `issue`.
fn request(
    bob: &mut Bob,
    device: &Device,
    fresh: &Device,
    issue: impl FnOnce(&ObjectCall) -> Option<Response>,
) -> Response {
    let body = encode(&fresh.signed_key(&device.client, PSEUDONYM)).unwrap();
    match bob.signed(device, "POST", PSEUDONYMS, &body) {
        Action::Respond(response) => response,
        action @ Action::Forward(_) => {
            let (call, then) = asked(action);
            let outcome = issue(&call);
            answer(bob.resume(&then, outcome))
        }
    }
}

fn client_of(response: &Response) -> ClientUri {
    let grant: PseudonymGrant = decode_exact(&response.body).unwrap();
    ClientUri::from_wire(&grant.client_uri).unwrap()
}

/// A pseudonym of Bob: its object, and its device.
fn issued(bob: &mut Bob, device: &Device) -> (Bob, Device) {
    let mut fresh = phone();
    let mut pseudonym = None;
    let response = request(bob, device, &fresh, |call| {
        let mut object = Bob::of(user(&call.object.name), config());
        let response = object.own(call.request.endpoint.clone(), call.request.body.clone());
        pseudonym = Some(object);
        Some(response)
    });
    assert_eq!(response.status, 201);
    fresh.client = client_of(&response);
    (pseudonym.unwrap(), fresh)
}

/// A claim for the user of `device`, for the room `room`.
fn claim_for(pseudonym: &mut Bob, device: &Device, room: &str) -> KeyMaterialResponse {
    let target_users = vec![device.client.user().to_wire()];
    let request = KeyMaterialRequest { target_users, room_id: uri(room), ..claim_request() };
    pseudonym.claim(&request)
}

/// What the outbox sends, each answered with 200.
fn sent(object: &mut Bob) -> Vec<(String, Endpoint)> {
    let mut calls = Vec::new();
    while let Some(request) = object.object.poll_request(object.now).unwrap() {
        let Outgoing::Object(call) = request.outgoing else { panic!("not an object") };
        calls.push((call.object.name, call.request.endpoint));
        object.object.handle_response(request.id, Some(Response::empty(200)), object.now).unwrap();
    }
    calls
}

#[test]
fn r91_r92_a_pseudonym_is_a_random_name_with_one_random_client_and_the_key_that_was_given() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let fresh = Device::new("bob@bravo.example/fresh");
    let mut asked = Vec::new();
    let first = request(&mut bob, &phone, &fresh, |call| {
        asked.push(call.clone());
        Some(Response::empty(201))
    });
    assert_eq!(first.status, 201);
    let client = client_of(&first);
    let (name, rest) = client.as_str().split_once('@').unwrap();
    let (domain, device) = rest.split_once('/').unwrap();
    assert_eq!((name.len(), domain, device.len()), (16, "bravo.example", 8));
    let is_base32 = |text: &str| text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    assert!(is_base32(name) && is_base32(device));
    let object = ObjectName { class: ObjectClass::User, name: client.user().to_string() };
    let endpoint = Endpoint::IssuePseudonym { owner: user("bob@bravo.example") };
    assert_eq!((&asked[0].object, &asked[0].request.endpoint), (&object, &endpoint));
    assert_eq!(asked[0].request.source, Source::Own);

    // The same key again, after a lost answer: the same pseudonym.
    let again = request(&mut bob, &phone, &fresh, |call| {
        assert_eq!(*call, asked[0]);
        Some(Response::empty(200))
    });
    assert_eq!((again.status, client_of(&again)), (200, client.clone()));
    // Another key: another pseudonym.
    let other = request(&mut bob, &phone, &Device::new("bob@bravo.example/x"), |_| {
        Some(Response::empty(201))
    });
    assert_ne!(client_of(&other).user(), client.user());
}

#[test]
fn r91_a_request_for_a_pseudonym_that_is_refused_leaves_nothing() {
    let (phone, fresh) = (phone(), Device::new("bob@bravo.example/fresh"));
    let tablet = Device::new("bob@bravo.example/tablet");
    let mut bob = Bob::with(&[&phone, &tablet]);
    let mut refused = |device: &Device, body: Vec<u8>, expected: Response| {
        let rows = |bob: &Bob| {
            let stored = bob.storage.snapshot();
            // Without the nonces.
            stored.rows().filter(|(key, _)| key[0] != 2).count()
        };
        let before = rows(&bob);
        assert_eq!(answer(bob.signed(device, "POST", PSEUDONYMS, &body)), expected);
        assert_eq!(rows(&bob), before);
    };
    let body = |key: &Device, client: &Device, label| {
        encode(&key.signed_key(&client.client, label)).unwrap()
    };
    refused(&phone, vec![1, 2], refusal(400, "malformed: body"));
    let another = refusal(400, "malformed: another device");
    refused(&phone, body(&fresh, &tablet, PSEUDONYM), another);
    let mut unsigned = refusal(401, "not signed in: signature");
    unsigned.headers.push(("www-authenticate".into(), "Mimi-Device".into()));
    refused(&phone, body(&fresh, &phone, DEVICE), unsigned);
    // R92: a key that others know already.
    for known in [&phone, &tablet] {
        let used = refusal(403, "not allowed: a key that is in use");
        refused(&phone, body(known, &phone, PSEUDONYM), used);
    }
    // A pseudonym's object that does not answer, or has another user.
    for outcome in [None, Some(Response::empty(500)), Some(Response::empty(409))] {
        let response = request(&mut bob, &phone, &fresh, |_| outcome);
        assert_eq!(response.status, 504);
    }
    // Nobody else gets the key's pseudonym.
    let mine = request(&mut bob, &phone, &fresh, |_| Some(Response::empty(201)));
    assert_eq!(mine.status, 201);
    let stolen = request(&mut bob, &tablet, &fresh, |_| panic!("asks"));
    assert_eq!(stolen, refusal(403, "not allowed: a key that is in use"));
}

#[test]
fn r91_a_pseudonym_is_a_user_and_its_device_is_signed_in_with_its_own_key() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    assert_eq!(pseudonym.own(Endpoint::Exists, vec![]), Response::empty(200));
    // The client registers as any other, and is known.
    assert_eq!(pseudonym.register(&device), Response::empty(200));
    assert_eq!(pseudonym.stock(&device).available, 0);
    assert_eq!(pseudonym.publish(&device, &[device.key_package(pseudonym.now)]).status, 200);
    let response = claim_for(&mut pseudonym, &device, CLUB);
    assert_eq!(response.user_status, KeyMaterialUserCode::Success);
    // Issued again, for the same owner and key, it is there; for others the name is taken.
    let fresh = Device::new("bob@bravo.example/fresh");
    let before = pseudonym.storage.snapshot();
    let stranger = Endpoint::IssuePseudonym { owner: user("eve@bravo.example") };
    let mut body = Vec::new();
    request(&mut bob, &phone, &fresh, |call| {
        body.clone_from(&call.request.body);
        None
    });
    let taken = refusal(409, "conflict: the name is taken");
    assert_eq!(pseudonym.own(stranger, body), taken);
    assert_eq!(pseudonym.storage.snapshot(), before);
}

#[test]
fn r91_nobody_registers_under_a_name_for_pseudonyms() {
    let open = config();
    assert_eq!(open.registration, Registration::Open);
    let name = "abcdefghijklmno7@bravo.example";
    let mut nobody = Bob::of(user(name), open);
    let device = Device::new(&format!("{name}/phone"));
    let why = "not allowed: a name for pseudonyms, which are asked for";
    assert_eq!(nobody.register(&device), refusal(403, why));
    assert_eq!(nobody.storage.snapshot().rows().count(), 0);

    // R92: nor does a pseudonym get a second device, or its device a second key.
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    let before = pseudonym.storage.snapshot();
    let second = Device::new(&format!("{}/second", device.client.user()));
    assert_eq!(pseudonym.register(&second), refusal(403, why));
    let conflict = refusal(409, "conflict: the device has another key");
    assert_eq!(pseudonym.register(&device.impostor()), conflict);
    assert_eq!(pseudonym.storage.snapshot(), before);
}

#[test]
fn r91_pseudonyms_are_issued_also_where_registration_is_closed() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let mut call = None;
    let fresh = Device::new("bob@bravo.example/fresh");
    request(&mut bob, &phone, &fresh, |asked| {
        call = Some(asked.clone());
        None
    });
    let call = call.unwrap();
    let closed = ProviderConfig { registration: Registration::Closed, ..config() };
    let mut pseudonym = Bob::of(user(&call.object.name), closed);
    let ObjectCall { request, .. } = call;
    assert_eq!(pseudonym.own(request.endpoint.clone(), request.body.clone()).status, 201);
    assert_eq!(pseudonym.own(request.endpoint, request.body).status, 200);
}

#[test]
fn r91_a_pseudonym_is_for_the_first_room_that_claims_it() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    let packages = [(); 3].map(|()| device.key_package(pseudonym.now));
    // A claim that gets nothing, and one that names no room, bind nothing.
    let before = pseudonym.storage.snapshot();
    let empty = claim_for(&mut pseudonym, &device, DEN);
    assert_eq!(empty.user_status, KeyMaterialUserCode::NoCompatibleMaterial);
    let agnostic = claim_for(&mut pseudonym, &device, "");
    assert_eq!((agnostic.user_status, agnostic.clients), (KeyMaterialUserCode::NoConsent, vec![]));
    assert_eq!(pseudonym.storage.snapshot(), before);

    pseudonym.publish(&device, &packages);
    let first = claim_for(&mut pseudonym, &device, CLUB);
    assert_eq!(first.user_status, KeyMaterialUserCode::Success);
    let before = pseudonym.storage.snapshot();
    let second = claim_for(&mut pseudonym, &device, DEN);
    assert_eq!((second.user_status, second.clients), (KeyMaterialUserCode::NoConsent, vec![]));
    assert_eq!(pseudonym.storage.snapshot(), before);
    let again = claim_for(&mut pseudonym, &device, CLUB);
    assert_eq!(again.user_status, KeyMaterialUserCode::Success);
}

#[test]
fn r91_a_pseudonyms_device_acts_in_one_room_and_in_no_other() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    let post = |pseudonym: &mut Bob, path: &str, body: &[u8]| {
        pseudonym.signed(&device, "POST", &format!("/client/v1/{path}"), body)
    };
    let create = post(&mut pseudonym, "rooms/club%40bravo.example", b"body");
    let object = ObjectName { class: ObjectClass::HubRoom, name: "club@bravo.example".into() };
    assert_eq!(asked(create).0.object, object);

    let refused = refusal(403, "not allowed: a pseudonym is for one room");
    for path in [
        "rooms/den%40bravo.example",
        "groupInfo/club%40alpha.example",
        "update/club%40alpha.example",
        "submitMessage/club%40alpha.example",
    ] {
        assert_eq!(answer(post(&mut pseudonym, path, b"body")), refused, "{path}");
    }
    let mut claim = |room: &str| {
        let requesting_user = device.client.user().to_wire();
        let request = KeyMaterialRequest { requesting_user, room_id: uri(room), ..claim_request() };
        let request = encode(&request).unwrap();
        post(&mut pseudonym, "keyMaterial/bob%40bravo.example", &request)
    };
    assert_eq!(answer(claim(CLUB)), refused);
    assert_eq!(answer(claim("")), refused);
    assert_eq!(asked(claim("club@bravo.example")).0.object, object);
    // Nor does it have pseudonyms of its own.
    let fresh = Device::new("bob@bravo.example/fresh");
    let response = request(&mut pseudonym, &device, &fresh, |_| panic!("asks"));
    assert_eq!(response, refusal(403, "not allowed: a pseudonym has no pseudonyms"));
}

#[test]
fn r91_a_room_that_lists_a_pseudonym_is_one_it_may_join_until_it_is_in_another() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    let list = |pseudonym: &mut Bob, name: &str| {
        let endpoint = Endpoint::Membership { room: room(name), facts: FACTS };
        assert_eq!(pseudonym.own(endpoint, vec![]), Response::empty(200));
    };
    let rooms = |pseudonym: &mut Bob| -> Vec<IdentifierUri> {
        let response = answer(pseudonym.signed(&device, "GET", "/client/v1/rooms", b""));
        let list: RoomList = decode_exact(&response.body).unwrap();
        list.rooms.into_iter().map(|room| room.room_id).collect()
    };
    list(&mut pseudonym, CLUB);
    list(&mut pseudonym, DEN);
    assert_eq!(rooms(&mut pseudonym), [uri(CLUB), uri(DEN)]);
    let join = pseudonym.signed(&device, "POST", "/client/v1/groupInfo/den%40alpha.example", b"x");
    assert_eq!(asked(join).0.object.name, DEN);
    list(&mut pseudonym, "pit@alpha.example");
    assert_eq!(rooms(&mut pseudonym), [uri(CLUB), uri(DEN)]);
    let join = pseudonym.signed(&device, "POST", "/client/v1/groupInfo/club%40alpha.example", b"");
    assert_eq!(answer(join).status, 403);
}

#[test]
fn r91_d19_pseudonyms_go_with_their_owner_and_with_the_device_that_asked_for_them() {
    let (phone, tablet) = (phone(), Device::new("bob@bravo.example/tablet"));
    let mut bob = Bob::with(&[&phone, &tablet]);
    let (_, of_phone) = issued(&mut bob, &phone);
    let (_, of_tablet) = issued(&mut bob, &tablet);
    let delete = |device: &Device| (device.client.user().to_string(), Endpoint::DeleteUser);
    let path = "/client/v1/devices/bob%40bravo.example%2Ftablet/revoke";
    assert_eq!(answer(bob.signed(&phone, "POST", path, b"")).status, 200);
    assert_eq!(sent(&mut bob), [delete(&of_tablet)]);

    assert_eq!(bob.own(Endpoint::DeleteUser, vec![]), Response::empty(200));
    assert_eq!(sent(&mut bob), [delete(&of_phone)]);
}

#[test]
fn r91_d19_a_pseudonym_that_is_deleted_tells_its_room_and_its_owner_and_nobody_who_that_is() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    let joined = Endpoint::Membership { room: room(CLUB), facts: FACTS };
    pseudonym.own(joined, vec![]);
    pseudonym.object.take_effects();
    assert_eq!(pseudonym.own(Endpoint::DeleteUser, vec![]), Response::empty(200));
    let effects: Vec<Effect> = pseudonym.object.take_effects();
    assert_eq!(effects, dismissed(&device));
    let user = device.client.user();
    let mut told = sent(&mut pseudonym);
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let to_owner = Endpoint::PseudonymDeleted { user: user.clone() };
    let to_room = Endpoint::UserDeleted { user };
    let expected = [("bob@bravo.example".to_owned(), to_owner.clone()), (CLUB.to_owned(), to_room)];
    assert_eq!(told, expected);
    let claim = claim_for(&mut pseudonym, &device, CLUB);
    assert_eq!(claim.user_status, KeyMaterialUserCode::UserDeleted);
    let stock = answer(pseudonym.signed(&device, "GET", "/client/v1/keyPackages", b""));
    assert_eq!(stock, revoked());
    // Its owner forgets it: nothing is left to be deleted.
    assert_eq!(bob.own(to_owner, vec![]), Response::empty(200));
    bob.own(Endpoint::DeleteUser, vec![]);
    assert_eq!(sent(&mut bob), []);
}

#[test]
fn r91_a_pseudonym_whose_owner_is_gone_already_does_not_come_to_be() {
    let (phone, fresh) = (phone(), Device::new("bob@bravo.example/fresh"));
    let mut bob = Bob::with(&[&phone]);
    let mut pseudonym = None;
    let response = request(&mut bob, &phone, &fresh, |call| {
        let mut object = Bob::of(user(&call.object.name), config());
        // The owner's deletion overtakes the request.
        assert_eq!(object.own(Endpoint::DeleteUser, vec![]), Response::empty(200));
        let response = object.own(call.request.endpoint.clone(), call.request.body.clone());
        assert_eq!(response, refusal(409, "conflict: the name is taken"));
        pseudonym = Some(object);
        Some(response)
    });
    assert_eq!(response.status, 504);
    let mark_and_version = pseudonym.unwrap().storage.snapshot();
    assert_eq!(mark_and_version.rows().count(), 2);
}

#[test]
fn r93_a_claim_for_the_user_gets_nothing_of_a_pseudonym_and_the_other_way_round() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (mut pseudonym, device) = issued(&mut bob, &phone);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    pseudonym.publish(&device, &[device.key_package(bob.now)]);
    let clients = |response: KeyMaterialResponse| -> Vec<IdentifierUri> {
        response.clients.into_iter().map(|client| client.client_uri).collect()
    };
    assert_eq!(clients(bob.claim(&claim_request())), [phone.client.to_wire()]);
    let of_pseudonym = claim_for(&mut pseudonym, &device, CLUB);
    assert_eq!(clients(of_pseudonym), [device.client.to_wire()]);
    // The body's target is the object's: no claim goes from one to the other.
    let target_users = vec![uri("bob@bravo.example")];
    let crossed = KeyMaterialRequest { target_users, ..claim_request() };
    assert_eq!(pseudonym.claim_answer(&crossed), refusal(400, "malformed: target user"));
    // And what Bob's devices see of Bob is not the pseudonym.
    let devices = answer(bob.signed(&phone, "GET", "/client/v1/devices", b""));
    let name = device.client.user().to_string();
    assert!(!devices.body.windows(name.len()).any(|window| window == name.as_bytes()));
}
