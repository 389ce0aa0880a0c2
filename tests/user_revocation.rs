//! The list of a user's devices, and revoking one of them (D9).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{
    Bob, Device, answer, claim_request, dismissed, mls10, not_signed_in, refusal, revoked, uri,
    welcome,
};
use mimi_edge::{
    storage::MemoryStorage,
    transport::{Effect, Endpoint, Response},
    wire::{
        ClientMaterial, Cursor, DeviceList, EventPage, FromClient, FromProvider,
        KeyMaterialUserCode, decode_exact, encode, percent_encode, uri::RoomUri,
    },
};

const DEVICES: &str = "/client/v1/devices";
const STOCK: &str = "/client/v1/keyPackages";

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn tablet() -> Device {
    Device::new("bob@bravo.example/tablet")
}

fn list(bob: &mut Bob, device: &Device) -> Vec<(String, u64)> {
    let response = answer(bob.signed(device, "GET", DEVICES, b""));
    assert_eq!(response.status, 200);
    let list: DeviceList = decode_exact(&response.body).unwrap();
    list.devices.into_iter().map(|device| (device.client_uri.0, device.registered_at)).collect()
}

fn revoke(bob: &mut Bob, by: &Device, client: &str) -> Response {
    let path = format!("{DEVICES}/{}/revoke", percent_encode(client));
    answer(bob.signed(by, "POST", &path, b""))
}

/// Without the nonces, which every signed request leaves.
fn without_nonces(bob: &Bob) -> Vec<(Vec<u8>, Vec<u8>)> {
    const NONCES: u8 = 2;
    let stored: MemoryStorage = bob.storage.snapshot();
    let rows = stored.rows().filter(|(key, _)| key[0] != NONCES);
    rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

#[test]
fn d9_a_device_sees_the_devices_of_its_user_by_name_with_the_time_of_their_registration() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&tablet]);
    let first = bob.now;
    bob.now = bob.now.plus(1000);
    assert_eq!(bob.register(&phone).status, 201);
    let frame = encode(&FromProvider::DevicesChanged).unwrap();
    let told = Effect::Send { device: tablet.client.clone(), frame };
    assert_eq!(bob.object.take_effects(), [told]);
    let listed = [
        ("bob@bravo.example/phone".to_owned(), bob.now.0),
        ("bob@bravo.example/tablet".to_owned(), first.0),
    ];
    assert_eq!(list(&mut bob, &phone), listed);
    assert_eq!(list(&mut bob, &tablet), listed);
    let stranger = Device::new("bob@bravo.example/other");
    let response = answer(bob.signed(&stranger, "GET", DEVICES, b""));
    assert_eq!(response, not_signed_in("unknown device"));
}

#[test]
fn d9_d21_a_revoked_device_is_not_known_any_more() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    assert_eq!(revoke(&mut bob, &phone, "bob@bravo.example/tablet"), Response::empty(200));
    let frame = encode(&FromProvider::DevicesChanged).unwrap();
    let told = Effect::Send { device: phone.client.clone(), frame };
    assert_eq!(bob.object.take_effects(), [&dismissed(&tablet)[..], &[told]].concat());
    assert_eq!(list(&mut bob, &phone).len(), 1);

    let before = bob.storage.snapshot();
    for (method, path) in [("GET", STOCK), ("GET", DEVICES), ("POST", "/client/v1/delete-user")] {
        assert_eq!(answer(bob.signed(&tablet, method, path, b"")), revoked());
    }
    assert_eq!(bob.publish(&tablet, &[tablet.key_package(bob.now)]), revoked());
    // Only who has the key is told so.
    let impostor = tablet.impostor().auth("GET", STOCK, b"", bob.now);
    assert_eq!(answer(bob.signed_with(&impostor, "GET", STOCK, b"")), not_signed_in("signature"));
    let path = "/client/v1/socket/bob%40bravo.example%2Ftablet";
    let hello = FromClient::Hello {
        auth: tablet.auth("GET", path, b"", bob.now),
        cursors: vec![Cursor { room_id: uri(""), position: 0 }],
    };
    let effects = bob.frame(None, &encode(&hello).unwrap());
    assert_eq!(effects, [Effect::Close { socket: 7, code: 4401 }]);
    // What a room pushes to it goes nowhere.
    let push = Endpoint::Push { devices: vec![tablet.client.clone(), phone.client.clone()] };
    assert_eq!(bob.own(push, vec![1]), Response::empty(200));
    let to_phone = Effect::Send { device: phone.client.clone(), frame: vec![1] };
    assert_eq!(bob.object.take_effects(), [to_phone]);
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d9_the_name_of_a_revoked_device_does_not_come_back() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    revoke(&mut bob, &phone, "bob@bravo.example/tablet");
    let before = bob.storage.snapshot();
    for device in [&tablet, &tablet.impostor()] {
        assert_eq!(bob.register(device), refusal(409, "conflict: the device was revoked"));
    }
    assert_eq!(bob.storage.snapshot(), before);
    // It makes room for another one.
    assert_eq!(bob.register(&Device::new("bob@bravo.example/watch")), Response::empty(201));
}

#[test]
fn r24_r27_the_key_packages_of_a_revoked_device_are_not_handed_out() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let now = bob.now;
    bob.publish(&phone, &[phone.key_package(now)]);
    bob.publish(&tablet, &[tablet.key_package(now), tablet.last_resort(now)]);
    revoke(&mut bob, &phone, "bob@bravo.example/tablet");
    let mut request = claim_request();
    mls10(&mut request).last_resort_allowed = true;
    let response = bob.claim(&request);
    assert_eq!(response.user_status, KeyMaterialUserCode::Success);
    assert_eq!(response.clients.len(), 1);
    assert_eq!(response.clients[0].client_uri, phone.client.to_wire());
    let again = bob.claim(&request);
    assert_eq!(again.user_status, KeyMaterialUserCode::NoCompatibleMaterial);
    assert_eq!(again.clients[0].material, ClientMaterial::KeyMaterialExhausted);
}

#[test]
fn r76_a_welcome_waits_for_the_devices_that_are_left_alone() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let packages = [phone.key_package(bob.now), tablet.key_package(bob.now)];
    bob.publish(&phone, &packages[..1]);
    bob.publish(&tablet, &packages[1..]);
    let references = [phone.reference(&packages[0]), tablet.reference(&packages[1])];
    let room = RoomUri::parse("club@alpha.example").unwrap();
    let deliver = |bob: &mut Bob, references: &[&[u8]], timestamp| {
        let endpoint = Endpoint::DeliverWelcome { room: room.clone() };
        assert_eq!(bob.own(endpoint, welcome(references, timestamp)), Response::empty(200));
    };
    deliver(&mut bob, &[&references[1]], 1);
    let rows = without_nonces(&bob).len();
    deliver(&mut bob, &[&references[0], &references[1]], 2);
    revoke(&mut bob, &phone, "bob@bravo.example/tablet");
    let after = without_nonces(&bob);
    // The tablet's Welcome and its KeyPackage are gone; the one for both still waits for the phone.
    deliver(&mut bob, &[&references[1]], 3);
    assert_eq!(without_nonces(&bob), after);
    assert!(after.len() > rows - 2);
    let page: EventPage =
        decode_exact(&answer(bob.signed(&phone, "GET", "/client/v1/inbox", b"")).body).unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].position, 2);
}

#[test]
fn d9_who_may_revoke_which_device() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let before = without_nonces(&bob);
    let own = revoke(&mut bob, &phone, "bob@bravo.example/phone");
    assert_eq!(own, refusal(403, "not allowed: a device is revoked by another one"));
    for unknown in ["bob@bravo.example/watch", "alice@bravo.example/phone"] {
        assert_eq!(revoke(&mut bob, &phone, unknown), refusal(404, "not found: device"));
    }
    let none = revoke(&mut bob, &phone, "bob@bravo.example");
    assert_eq!(none, refusal(400, "malformed: client in the path"));
    assert_eq!(without_nonces(&bob), before);

    for _ in 0..2 {
        assert_eq!(revoke(&mut bob, &phone, "bob@bravo.example/tablet").status, 200);
    }
    // The tablet does not strike back.
    assert_eq!(revoke(&mut bob, &tablet, "bob@bravo.example/phone"), revoked());
    assert_eq!(list(&mut bob, &phone).len(), 1);
}
