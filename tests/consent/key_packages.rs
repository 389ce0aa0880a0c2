//! KeyPackages in grants (R97).

use mimi_edge::{
    config::ConsentDefault,
    storage::{decode_row, encode_row},
    transport::{Endpoint, ObjectCall, ObjectName, Outgoing, Response, Source},
    wire::{
        ClientKeyMaterial, ClientMaterial, ConsentEntry, ConsentOperation, KeyMaterialRequest,
        KeyMaterialResponse, KeyMaterialUserCode as Code, Protocol, Verbatim, decode_exact, encode,
    },
};
use openmls::key_packages::KeyPackage;

use crate::{
    bench::{ALICE, BOB, Bench, Word, from_alpha, said_by_bob, said_to_bob, state},
    common::user::{
        DAY, Device, answer, asked, bytes_of, claim_request, mls10, uri, user, welcome,
    },
};

/// A room that Bob's provider hosts.
const DEN: &str = "den@bravo.example";

fn with(mut entry: ConsentEntry, key_packages: &[&KeyPackage]) -> ConsentEntry {
    let list = key_packages.iter().map(|it| Verbatim::own(bytes_of(it)).unwrap()).collect();
    entry.operation = ConsentOperation::Grant(list);
    entry
}

fn alices_phone() -> Device {
    Device::new("alice@alpha.example/phone")
}

/// Alice grants Bob with these KeyPackages.
fn told(bench: &mut Bench, room: Option<&str>, key_packages: &[&KeyPackage]) -> Response {
    let entry = with(said_to_bob(Word::Grant, ALICE, room), key_packages);
    answer(bench.bob.handle(from_alpha(), Endpoint::Consent, encode(&entry).unwrap()))
}

fn claim_of_bob(room: &str) -> KeyMaterialRequest {
    KeyMaterialRequest {
        requesting_user: uri(BOB),
        target_users: vec![uri(ALICE)],
        room_id: uri(room),
        ..claim_request()
    }
}

/// Whom Bob's claim of Alice's KeyPackages goes to, and with what.
fn claims(bench: &mut Bench, request: &KeyMaterialRequest) -> ObjectCall {
    let body = encode(request).unwrap();
    let path = "/client/v1/keyMaterial/alice%40alpha.example";
    asked(bench.bob.signed(&bench.phone, "POST", path, &body)).0
}

/// The KeyPackages that a claim of Bob's is answered with, without asking anybody else.
fn served(bench: &mut Bench, request: &KeyMaterialRequest) -> Vec<Vec<u8>> {
    let call = claims(bench, request);
    let target = user(ALICE);
    if call.request.endpoint == (Endpoint::KeyMaterial { target: target.clone() }) {
        assert_eq!(call.request.body, encode(request).unwrap());
        return Vec::new();
    }
    assert_eq!(call.request.endpoint, Endpoint::GrantedKeyMaterial { target });
    assert_eq!(call.request.source, Source::Device(bench.phone.client.clone()));
    assert_eq!(call.object.name, request.room_id.0);
    let (claim, response): (Vec<u8>, Vec<u8>) = decode_row(&call.request.body).unwrap();
    assert_eq!(claim, encode(request).unwrap());
    let response: KeyMaterialResponse = decode_exact(&response).unwrap();
    assert_eq!((response.protocol, response.user_status), (Protocol::MLS10, Code::Success));
    assert_eq!(response.user_uri, uri(ALICE));
    let bytes = |client: ClientKeyMaterial| match client.material {
        ClientMaterial::Success(key_package) => key_package.bytes().to_vec(),
        other => panic!("{other:?}"),
    };
    response.clients.into_iter().map(bytes).collect()
}

#[test]
fn r97_the_key_packages_of_a_grant_serve_the_next_claim_for_a_room_of_ours_and_once() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let (phone, tablet) = (alices_phone(), Device::new("alice@alpha.example/tablet"));
    let now = bench.bob.now;
    let packages = [phone.key_package(now), phone.key_package(now), tablet.key_package(now)];
    let [first, second, third] = &packages;
    assert_eq!(told(&mut bench, None, &[first, second, third]), Response::empty(201));
    // In rooms of others there is another hub.
    assert_eq!(served(&mut bench, &claim_of_bob("club@alpha.example")), Vec::<Vec<u8>>::new());
    assert_eq!(claims(&mut bench, &claim_of_bob("")).object.name, "*@bravo.example");
    let mut all = served(&mut bench, &claim_of_bob(DEN));
    assert_eq!(all.len(), 2, "one of each device");
    all.extend(served(&mut bench, &claim_of_bob(DEN)));
    let mut expected: Vec<Vec<u8>> = packages.iter().map(bytes_of).collect();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(served(&mut bench, &claim_of_bob(DEN)), Vec::<Vec<u8>>::new());
    // R27: delivered twice, served once.
    assert_eq!(told(&mut bench, None, &[first, second, third]), Response::empty(201));
    assert_eq!(served(&mut bench, &claim_of_bob(DEN)), Vec::<Vec<u8>>::new());
}

#[test]
fn r97_a_granted_key_package_has_to_fit_room_suite_capabilities_and_time() {
    let phone = alices_phone();
    let mut bench = Bench::new(ConsentDefault::Ask);
    let end = bench.bob.now.plus(10 * DAY);
    let package = phone.key_package_until(bench.bob.now, end);
    told(&mut bench, Some(DEN), &[&package]);
    let nothing = Vec::<Vec<u8>>::new();
    assert_eq!(served(&mut bench, &claim_of_bob("lounge@bravo.example")), nothing);
    let mut suite = claim_of_bob(DEN);
    mls10(&mut suite).acceptable_ciphersuites = vec![3];
    assert_eq!(served(&mut bench, &suite), nothing);
    let mut required = claim_of_bob(DEN);
    mls10(&mut required).required_capabilities.extension_types = vec![0xF0FF];
    assert_eq!(served(&mut bench, &required), nothing);
    let other = KeyMaterialRequest { protocol: Protocol::MLS10, ..claim_of_bob(DEN) };
    let before = bench.bob.now;
    bench.bob.now = end.plus(1000);
    assert_eq!(served(&mut bench, &other), nothing);
    bench.bob.now = before;
    assert_eq!(served(&mut bench, &other), [bytes_of(&package)]);
}

#[test]
fn r97_r100_a_revoke_puts_the_key_packages_of_its_scope_away() {
    for (granted, revoked, left) in [
        (None, None, 0),
        (Some(DEN), None, 0),
        (None, Some(DEN), 0),
        (Some(DEN), Some(DEN), 0),
        (Some(DEN), Some("lounge@bravo.example"), 1),
    ] {
        let mut bench = Bench::new(ConsentDefault::Ask);
        let package = alices_phone().key_package(bench.bob.now);
        told(&mut bench, granted, &[&package]);
        bench.told(Word::Revoke, ALICE, revoked);
        assert_eq!(served(&mut bench, &claim_of_bob(DEN)).len(), left, "{granted:?} {revoked:?}");
        // It does not come back by a grant that was under way.
        told(&mut bench, granted, &[&package]);
        assert_eq!(served(&mut bench, &claim_of_bob(DEN)).len(), 0);
    }
}

#[test]
fn r97_what_comes_with_a_grant_is_valid_and_the_targets_or_nothing_is_taken() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let now = bench.bob.now;
    let phone = alices_phone();
    let good = phone.key_package(now);
    let eve = Device::new("eve@alpha.example/phone").key_package(now);
    let last_resort = phone.last_resort(now);
    let ended = phone.key_package_until(now, now);
    let before = bench.bob.storage.snapshot();
    let refused = Response::text(400, "malformed: KeyPackages of a grant");
    for bad in [&eve, &last_resort, &ended] {
        assert_eq!(told(&mut bench, None, &[&good, bad]), refused);
    }
    assert_eq!(told(&mut bench, None, &[&good; 33]), refused);
    let mut tampered = bytes_of(&good);
    *tampered.last_mut().unwrap() ^= 1;
    let mut entry = said_to_bob(Word::Grant, ALICE, None);
    entry.operation = ConsentOperation::Grant(vec![Verbatim::own(tampered).unwrap()]);
    let body = encode(&entry).unwrap();
    let response = answer(bench.bob.handle(from_alpha(), Endpoint::Consent, body));
    assert_eq!(response, refused);
    assert_eq!(bench.bob.storage.snapshot(), before);
    assert_eq!(bench.bob.object.take_effects(), []);
}

/// Bob grants Alice with these KeyPackages.
fn gives(bench: &mut Bench, key_packages: &[&KeyPackage]) -> Response {
    bench.post(&with(said_by_bob(Word::Grant, ALICE, Some("club@alpha.example")), key_packages))
}

#[test]
fn r97_r32_a_grant_goes_out_after_its_refs_are_known_here() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let package = bench.phone.key_package(bench.bob.now);
    let reference = bench.phone.reference(&package);
    assert_eq!(gives(&mut bench, &[&package]).status, 200);
    let sent = bench.sent().unwrap();
    let Outgoing::Object(call) = &sent.outgoing else { panic!("{sent:?}") };
    assert_eq!(call.object, ObjectName::claims(user(ALICE).domain()));
    assert_eq!(call.request.source, Source::Own);
    assert_eq!(call.request.endpoint, Endpoint::Granted { user: user(BOB) });
    assert_eq!(call.request.body, encode_row(&vec![reference.clone()]).unwrap());
    // Until that is so, the grant waits.
    bench.settle(&sent, Some(Response::empty(500)));
    let sent = bench.sent().unwrap();
    assert!(matches!(&sent.outgoing, Outgoing::Object(_)));
    bench.settle(&sent, Some(Response::empty(200)));
    let sent = bench.sent().unwrap();
    let Outgoing::Http(call) = &sent.outgoing else { panic!("{sent:?}") };
    let entry: ConsentEntry = decode_exact(&call.body).unwrap();
    let grant = said_by_bob(Word::Grant, ALICE, Some("club@alpha.example"));
    assert_eq!(entry, with(grant, &[&package]));
    bench.settle(&sent, Some(Response::empty(201)));
    assert_eq!(bench.sent(), None);
    // The Welcome finds Bob, and the KeyPackage is nobody else's any more.
    let room = claim_request().room_id;
    let room = mimi_edge::wire::uri::RoomUri::from_wire(&room).unwrap();
    let delivered = bench.bob.own(Endpoint::DeliverWelcome { room }, welcome(&[&reference], 1));
    assert_eq!(delivered, Response::empty(200));
    let stock = bench.bob.stock(&bench.phone).available;
    bench.bob.publish(&bench.phone, std::slice::from_ref(&package));
    assert_eq!(bench.bob.stock(&bench.phone).available, stock);
    // R100: then, and only then, a revoke has somebody to tell.
    bench.says(Word::Grant, ALICE, Some("club@alpha.example"));
    let sent = bench.sent().unwrap();
    bench.settle(&sent, Some(Response::empty(201)));
    bench.says(Word::Revoke, ALICE, Some("lounge@alpha.example"));
    assert_eq!(bench.sent(), None);
    bench.says(Word::Revoke, ALICE, None);
    let sent = bench.sent().unwrap();
    assert_eq!(sent.label, "consent revoke");
    bench.settle(&sent, Some(Response::empty(201)));
    bench.says(Word::Revoke, ALICE, None);
    assert_eq!(bench.sent(), None);
}

#[test]
fn r97_what_goes_out_with_a_grant_is_of_a_device_of_the_user_and_not_published() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let now = bench.bob.now;
    let good = bench.phone.key_package(now);
    let published = bench.phone.key_package(now);
    bench.bob.publish(&bench.phone, std::slice::from_ref(&published));
    let stranger = Device::new("bob@bravo.example/stranger").key_package(now);
    let impostor = bench.phone.impostor().key_package(now);
    let eve = Device::new("eve@bravo.example/phone").key_package(now);
    let last_resort = bench.phone.last_resort(now);
    let before = state(&mut bench);
    for (bad, status) in
        [(&stranger, 422), (&impostor, 422), (&eve, 422), (&last_resort, 422), (&published, 409)]
    {
        assert_eq!(gives(&mut bench, &[&good, bad]).status, status);
    }
    assert_eq!(gives(&mut bench, &[&good; 33]).status, 422);
    assert_eq!(bench.sent(), None);
    assert_eq!(state(&mut bench), before);
    // The same call again is taken, in another's favour it is not.
    assert_eq!(gives(&mut bench, &[&good]).status, 200);
    assert_eq!(gives(&mut bench, &[&good]).status, 200);
    let other = with(said_by_bob(Word::Grant, "eve@alpha.example", None), &[&good]);
    assert_eq!(bench.post(&other), Response::text(409, "conflict: a KeyPackage is known"));
}

#[test]
fn r97_between_users_of_one_provider_a_grant_goes_straight() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    let package = bench.phone.key_package(bench.bob.now);
    let grant = with(said_by_bob(Word::Grant, "beth@bravo.example", None), &[&package]);
    assert_eq!(bench.post(&grant).status, 200);
    let sent = bench.sent().unwrap();
    let Outgoing::Object(call) = &sent.outgoing else { panic!("{sent:?}") };
    assert_eq!(call.object, ObjectName::user(&user("beth@bravo.example")));
    assert_eq!(call.request.endpoint, Endpoint::Consent);
    bench.settle(&sent, Some(Response::empty(201)));
    assert_eq!(bench.sent(), None);
}
