//! Publishing KeyPackages: what is taken in, what is refused, what is in stock.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::user::{Bob, DAY, Device, answer, bytes_of, claim_request, list, mls10, refusal, user};
use mimi_edge::{
    transport::{Endpoint, Response},
    wire::{
        ClientMaterial, KeyMaterialUserCode, KeyPackageList, KeyPackageStock, Verbatim, encode,
    },
};

const PATH: &str = "/client/v1/keyPackages";

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn invalid(what: &str) -> Response {
    refusal(422, &format!("invalid proposal: {what}"))
}

#[test]
fn a_device_publishes_and_sees_its_own_stock() {
    let (phone, tablet) = (phone(), Device::new("bob@bravo.example/tablet"));
    let mut bob = Bob::with(&[&phone, &tablet]);
    assert_eq!(bob.stock(&phone), KeyPackageStock { available: 0, last_resort: 0, next_expiry: 0 });

    let sooner = bob.now.plus(50 * DAY);
    let packages = [
        phone.key_package(bob.now),
        phone.key_package_until(bob.now, sooner),
        phone.last_resort(bob.now),
    ];
    let response = bob.publish(&phone, &packages);
    let next_expiry = sooner.0 / 1000 * 1000 - 28 * DAY;
    let stock = KeyPackageStock { available: 2, last_resort: 1, next_expiry };
    assert_eq!(response, Response::tls(200, encode(&stock).unwrap()));
    assert_eq!(bob.stock(&phone), stock);
    assert_eq!(bob.stock(&tablet).available, 0);

    // The same again has no effect.
    assert_eq!(bob.publish(&phone, &packages), response);
}

#[test]
fn r27_a_key_package_that_was_handed_out_does_not_come_back() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let package = phone.key_package(bob.now);
    assert_eq!(bob.publish(&phone, std::slice::from_ref(&package)).status, 200);
    assert_eq!(bob.claim(&claim_request()).user_status, KeyMaterialUserCode::Success);
    assert_eq!(bob.publish(&phone, &[package]).status, 200);
    assert_eq!(bob.stock(&phone).available, 0);
    let again = bob.claim(&claim_request());
    assert_eq!(again.user_status, KeyMaterialUserCode::NoCompatibleMaterial);
    assert_eq!(again.clients[0].material, ClientMaterial::KeyMaterialExhausted);
}

#[test]
fn r30_one_bad_key_package_refuses_the_whole_list() {
    let phone = phone();
    let tablet = Device::new("bob@bravo.example/tablet");
    let mut bob = Bob::with(&[&phone, &tablet]);
    let before = bob.storage.snapshot();
    let good = phone.key_package(bob.now);

    let others = [good.clone(), tablet.key_package(bob.now)];
    assert_eq!(bob.publish(&phone, &others), invalid("a KeyPackage of another client"));
    let second_key = [good.clone(), phone.impostor().key_package(bob.now)];
    assert_eq!(bob.publish(&phone, &second_key), invalid("a KeyPackage with another key"));

    let mut forged = bytes_of(&phone.key_package(bob.now));
    *forged.last_mut().unwrap() ^= 1;
    let key_packages =
        vec![Verbatim::own(bytes_of(&good)).unwrap(), Verbatim::own(forged).unwrap()];
    let body = encode(&KeyPackageList { key_packages }).unwrap();
    let response = answer(bob.signed(&phone, "POST", PATH, &body));
    assert_eq!(response, invalid("a KeyPackage is not valid"));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d4_a_key_package_lives_at_most_84_days_and_at_least_28_more() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let now = bob.now;
    let too_long = phone.key_package_until(now, now.plus(85 * DAY));
    assert_eq!(bob.publish(&phone, &[too_long]), invalid("a KeyPackage's lifetime"));
    let too_short = phone.key_package_until(now, now.plus(28 * DAY - 2000));
    let response = bob.publish(&phone, &[too_short]);
    assert_eq!(response, invalid("a KeyPackage that ends within 28 days"));
    assert_eq!(bob.storage.snapshot(), before);
    let enough = phone.key_package_until(now, now.plus(28 * DAY + 2000));
    assert_eq!(bob.publish(&phone, &[enough]).status, 200);
}

#[test]
fn r29_expired_and_early_key_packages_are_not_taken() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let package = phone.key_package(bob.now);
    let start = bob.now;
    for now in [start.0 - 2 * DAY, start.0 + 84 * DAY] {
        bob.now.0 = now;
        let response = bob.publish(&phone, std::slice::from_ref(&package));
        assert_eq!(response, invalid("a KeyPackage's lifetime"));
    }
    bob.now = start;
    assert_eq!(bob.stock(&phone).available, 0);
}

#[test]
fn a_call_and_a_stock_have_their_caps() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let packages: Vec<_> = (0..301).map(|_| phone.key_package(bob.now)).collect();
    let before = bob.storage.snapshot();
    assert_eq!(
        bob.publish(&phone, &packages[..101]),
        refusal(400, "malformed: more than 100 KeyPackages")
    );
    assert_eq!(bob.storage.snapshot(), before);
    for hundred in packages[..300].chunks(100) {
        assert_eq!(bob.publish(&phone, hundred).status, 200);
    }
    let before = bob.storage.snapshot();
    assert_eq!(bob.publish(&phone, &packages[300..]), refusal(429, "too many requests"));
    assert_eq!(bob.storage.snapshot(), before);
    assert_eq!(bob.stock(&phone).available, 300);
}

#[test]
fn r28_a_new_last_resort_key_package_takes_the_place_of_the_old_one() {
    let (phone, tablet) = (phone(), Device::new("bob@bravo.example/tablet"));
    let mut bob = Bob::with(&[&phone, &tablet]);
    let [old, middle, new] = [0; 3].map(|_| phone.last_resort(bob.now));
    bob.publish(&phone, &[old.clone(), phone.key_package(bob.now)]);
    bob.publish(&tablet, &[tablet.last_resort(bob.now)]);
    bob.publish(&phone, &[middle, new.clone()]);
    // Of that kind, and of that device, alone.
    assert_eq!((bob.stock(&phone).last_resort, bob.stock(&phone).available), (1, 1));
    assert_eq!(bob.stock(&tablet).last_resort, 1);
    // What came before does not come back.
    bob.publish(&phone, std::slice::from_ref(&old));
    let mut request = claim_request();
    mls10(&mut request).last_resort_allowed = true;
    bob.claim(&request);
    let claimed = bob.claim(&request).clients.remove(0).material;
    let ClientMaterial::Success(key_package) = claimed else { panic!("{claimed:?}") };
    assert_eq!(key_package.bytes(), bytes_of(&new));
    // A Welcome for the old one still finds its way.
    let room = mimi_edge::wire::uri::RoomUri::parse("club@alpha.example").unwrap();
    let welcome = common::user::welcome(&[&phone.reference(&old)], 1);
    let response = bob.own(Endpoint::DeliverWelcome { room }, welcome);
    assert_eq!(response.status, 200, "{response:?}");
}

#[test]
fn a_body_that_is_no_list_is_malformed() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let before = bob.storage.snapshot();
    let mut trailing = list(&[phone.key_package(bob.now)]);
    trailing.push(0);
    let response = answer(bob.signed(&phone, "POST", PATH, &trailing));
    assert_eq!(response, refusal(400, "malformed: body"));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d5_r33_a_ref_is_kept_until_one_day_after_the_end() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let package = phone.key_package_until(bob.now, bob.now.plus(40 * DAY));
    let reference = phone.reference(&package);
    bob.publish(&phone, &[package]);
    bob.claim(&claim_request());
    let welcome = |timestamp| common::user::welcome(&[&reference], timestamp);
    let deliver = || Endpoint::DeliverWelcome {
        room: mimi_edge::wire::uri::RoomUri::parse("club@alpha.example").unwrap(),
    };

    // A claim clears away what has ended: at the last moment of the day after, nothing has.
    bob.now = bob.now.plus(41 * DAY - 1000);
    bob.claim(&claim_request());
    assert_eq!(bob.own(deliver(), welcome(1)).status, 200);
    bob.now = bob.now.plus(2000);
    bob.claim(&claim_request());
    let response = bob.own(deliver(), welcome(2));
    assert_eq!(response, refusal(404, "not found: no KeyPackage of this user"));
}

#[test]
fn what_can_no_longer_be_handed_out_makes_room() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    for _ in 0..2 {
        let packages: Vec<_> =
            (0..100).map(|_| phone.key_package_until(bob.now, bob.now.plus(29 * DAY))).collect();
        assert_eq!(bob.publish(&phone, &packages).status, 200);
    }
    let next = phone.key_package(bob.now);
    bob.now = bob.now.plus(2 * DAY);
    assert_eq!(bob.stock(&phone).available, 0);
    assert_eq!(bob.publish(&phone, &[next]).status, 200);
    assert_eq!(bob.stock(&phone).available, 1);
}

#[test]
fn r22_another_suite_than_the_stock_is_not_compatible() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let mut request = claim_request();
    mls10(&mut request).acceptable_ciphersuites = vec![2, 3];
    let response = bob.claim(&request);
    assert_eq!(response.user_status, KeyMaterialUserCode::NoCompatibleMaterial);
    assert_eq!(response.user_uri, user("bob@bravo.example").to_wire());
    assert_eq!(response.clients[0].material, ClientMaterial::NothingCompatible(None));
}
