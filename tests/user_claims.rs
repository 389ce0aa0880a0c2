//! Claims of a user's KeyPackages, as the target's provider answers them.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::BTreeSet;

use common::user::{Bob, DAY, Device, bytes_of, claim_request, config, mls10, refusal, uri, user};
use mimi_edge::{
    config::{ConsentDefault, ProviderConfig},
    room::{Profile, app_sync::required_capabilities},
    transport::{Endpoint, Response},
    wire::{
        ClientKeyMaterial, ClientMaterial, KeyMaterialRequest, KeyMaterialResponse,
        KeyMaterialUserCode, Protocol, RequiredCapabilities, encode,
    },
};
use openmls::prelude::{Capabilities, ExtensionType, ProposalType};

fn phone() -> Device {
    Device::new("bob@bravo.example/phone")
}

fn tablet() -> Device {
    Device::new("bob@bravo.example/tablet")
}

/// The bytes of the KeyPackage of each client, `None` where there is none.
fn key_packages(response: &KeyMaterialResponse) -> Vec<Option<Vec<u8>>> {
    let of = |client: &ClientKeyMaterial| match &client.material {
        ClientMaterial::Success(key_package) => Some(key_package.bytes().to_vec()),
        _ => None,
    };
    response.clients.iter().map(of).collect()
}

fn one_client(bob: &mut Bob, request: &KeyMaterialRequest) -> ClientMaterial {
    let mut response = bob.claim(request);
    assert_eq!(response.clients.len(), 1);
    response.clients.remove(0).material
}

#[test]
fn r17_r18_the_target_is_exactly_the_user_in_the_path() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let before = bob.storage.snapshot();
    let wrong = refusal(400, "malformed: target user");
    for targets in [vec![], vec!["bob@bravo.example"; 2], vec!["alice@bravo.example"]] {
        let target_users = targets.into_iter().map(uri).collect();
        let request = KeyMaterialRequest { target_users, ..claim_request() };
        assert_eq!(bob.claim_answer(&request), wrong);
    }
    let elsewhere = Endpoint::KeyMaterial { target: user("alice@bravo.example") };
    assert_eq!(bob.own(elsewhere, encode(&claim_request()).unwrap()), wrong);
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn r22_at_least_one_suite_is_acceptable() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let before = bob.storage.snapshot();
    let mut request = claim_request();
    mls10(&mut request).acceptable_ciphersuites.clear();
    let response = bob.claim_answer(&request);
    assert_eq!(response, refusal(400, "malformed: no acceptable cipher suite"));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn d15_identifiers_in_a_claim_are_identifiers() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let requester = KeyMaterialRequest { requesting_user: uri("Alice"), ..claim_request() };
    assert_eq!(bob.claim_answer(&requester), refusal(400, "malformed: requesting user"));
    let room = KeyMaterialRequest { room_id: uri("club"), ..claim_request() };
    assert_eq!(bob.claim_answer(&room), refusal(400, "malformed: roomId"));
}

#[test]
fn r24_success_means_that_every_client_got_one() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let now = bob.now;
    let (of_phone, of_tablet) = (phone.key_package(now), tablet.key_package(now));
    bob.publish(&phone, &[of_phone.clone(), phone.key_package(now)]);
    bob.publish(&tablet, std::slice::from_ref(&of_tablet));

    let both = bob.claim(&claim_request());
    assert_eq!(
        (both.protocol, both.user_status, &both.user_uri),
        (Protocol::MLS10, KeyMaterialUserCode::Success, &uri("bob@bravo.example"))
    );
    let clients: Vec<_> = both.clients.iter().map(|client| client.client_uri.clone()).collect();
    assert_eq!(clients, [phone.client.to_wire(), tablet.client.to_wire()]);
    assert_eq!(key_packages(&both)[1], Some(bytes_of(&of_tablet)));

    // R24: then one of two, then none; always both are listed.
    let partial = bob.claim(&claim_request());
    assert_eq!(partial.user_status, KeyMaterialUserCode::PartialSuccess);
    assert!(key_packages(&partial)[0].is_some());
    assert_eq!(partial.clients[1].material, ClientMaterial::KeyMaterialExhausted);

    let none = bob.claim(&claim_request());
    assert_eq!(none.user_status, KeyMaterialUserCode::NoCompatibleMaterial);
    assert_eq!(key_packages(&none), [None, None]);
}

#[test]
fn r24_r26_r28_every_client_is_listed_with_what_there_is_of_it() {
    let [exhausted, incompatible, last_resort, fine] =
        ["a", "b", "c", "d"].map(|name| Device::new(&format!("bob@bravo.example/{name}")));
    let mut bob = Bob::with(&[&exhausted, &incompatible, &last_resort, &fine]);
    let now = bob.now;
    bob.publish(&incompatible, &[incompatible.key_package_with(now, profile_a_alone())]);
    bob.publish(&last_resort, &[last_resort.last_resort(now)]);
    let package = fine.key_package(now);
    bob.publish(&fine, std::slice::from_ref(&package));
    let mut request = claim_request();
    mls10(&mut request).required_capabilities = required_capabilities(Profile::B);

    let response = bob.claim(&request);
    assert_eq!(response.user_status, KeyMaterialUserCode::PartialSuccess);
    let clients: Vec<_> = response.clients.iter().map(|client| &client.client_uri).collect();
    let all = [&exhausted, &incompatible, &last_resort, &fine];
    assert_eq!(clients, all.map(|device| device.client.to_wire()).iter().collect::<Vec<_>>());
    assert_eq!(response.clients[0].material, ClientMaterial::KeyMaterialExhausted);
    assert_eq!(response.clients[1].material, ClientMaterial::NothingCompatible(None));
    assert_eq!(response.clients[2].material, ClientMaterial::OnlyLastResort);
    assert_eq!(key_packages(&response)[3], Some(bytes_of(&package)));
    // What was not handed out is still there.
    assert_eq!(bob.stock(&incompatible).available, 1);
    assert_eq!(bob.stock(&last_resort).last_resort, 1);
}

/// The capabilities of an MLS stack that knows profile A and not B.
fn profile_a_alone() -> Capabilities {
    let RequiredCapabilities { extension_types, proposal_types, .. } =
        required_capabilities(Profile::A);
    let extensions: Vec<_> = extension_types.into_iter().map(ExtensionType::from).collect();
    let proposals: Vec<_> = proposal_types.into_iter().map(ProposalType::from).collect();
    Capabilities::new(None, None, Some(&extensions), Some(&proposals), None)
}

#[test]
fn r30_a_device_that_knows_one_profile_is_not_claimed_for_a_room_of_the_other() {
    let (phone, tablet) = (phone(), tablet());
    let mut bob = Bob::with(&[&phone, &tablet]);
    let now = bob.now;
    for _ in 0..2 {
        bob.publish(&phone, &[phone.key_package(now)]);
    }
    bob.publish(&tablet, &[tablet.key_package_with(now, profile_a_alone())]);
    let mut claimed_for = |profile| {
        let mut request = claim_request();
        mls10(&mut request).required_capabilities = required_capabilities(profile);
        bob.claim(&request)
    };
    let in_b = claimed_for(Profile::B);
    assert_eq!(in_b.user_status, KeyMaterialUserCode::PartialSuccess);
    assert_eq!(in_b.clients[1].material, ClientMaterial::NothingCompatible(None));
    let in_a = claimed_for(Profile::A);
    assert_eq!(in_a.user_status, KeyMaterialUserCode::Success);
    assert!(key_packages(&in_a).iter().all(Option::is_some));
}

#[test]
fn r25_a_refusal_lists_no_client() {
    let phone = phone();
    let ask = ProviderConfig { consent_default: ConsentDefault::Ask, ..config() };
    let mut bob = Bob::with_config(ask, &[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let before = bob.storage.snapshot();
    let response = bob.claim_answer(&claim_request());
    // WIRE's known answer: noConsent, bob@bravo.example, no clients.
    let bytes = [&[1, 5, 17][..], b"bob@bravo.example", &[0]].concat();
    assert_eq!(response, Response::tls(200, bytes));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn r26_what_a_client_can_do_is_not_told() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let mut request = claim_request();
    mls10(&mut request).required_capabilities.extension_types = vec![0xF0FF];
    let material = one_client(&mut bob, &request);
    assert_eq!(material, ClientMaterial::NothingCompatible(None));
    assert_eq!(bob.stock(&phone).available, 1);
}

#[test]
fn r27_64_claims_in_a_row_get_64_key_packages() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let packages: Vec<_> = (0..64).map(|_| phone.key_package(bob.now)).collect();
    bob.publish(&phone, &packages);
    let mut seen = BTreeSet::new();
    for _ in 0..64 {
        let response = bob.claim(&claim_request());
        assert_eq!(response.user_status, KeyMaterialUserCode::Success);
        seen.insert(key_packages(&response).remove(0).unwrap());
    }
    assert_eq!(seen, packages.iter().map(bytes_of).collect());
    let material = one_client(&mut bob, &claim_request());
    assert_eq!(material, ClientMaterial::KeyMaterialExhausted);
}

#[test]
fn r27_the_key_package_that_ends_first_goes_first() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let now = bob.now;
    let ends = [60, 40, 50].map(|days| phone.key_package_until(now, now.plus(days * DAY)));
    bob.publish(&phone, &ends);
    for expected in [1, 2, 0] {
        let response = bob.claim(&claim_request());
        assert_eq!(key_packages(&response), [Some(bytes_of(&ends[expected]))]);
    }
}

#[test]
fn r28_a_last_resort_is_handed_out_when_allowed_and_nothing_else_is_left() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let (single, last) = (phone.key_package(bob.now), phone.last_resort(bob.now));
    bob.publish(&phone, &[last.clone(), single.clone()]);
    let mut allowed = claim_request();
    mls10(&mut allowed).last_resort_allowed = true;

    assert_eq!(key_packages(&bob.claim(&allowed)), [Some(bytes_of(&single))]);
    let before = bob.storage.snapshot();
    let refused = bob.claim(&claim_request());
    assert_eq!(refused.user_status, KeyMaterialUserCode::NoCompatibleMaterial);
    assert_eq!(refused.clients[0].material, ClientMaterial::OnlyLastResort);
    assert_eq!(bob.storage.snapshot(), before);
    // R27: a last resort, and nothing but that, is handed out again.
    for _ in 0..2 {
        assert_eq!(key_packages(&bob.claim(&allowed)), [Some(bytes_of(&last))]);
    }
}

#[test]
fn r29_d4_a_key_package_is_handed_out_with_28_days_left_and_no_less() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    let end = bob.now.plus(40 * DAY);
    let packages = [phone.key_package_until(bob.now, end), phone.key_package_until(bob.now, end)];
    bob.publish(&phone, &packages);
    // Lifetimes are in whole seconds.
    bob.now.0 = end.0 / 1000 * 1000 - 28 * DAY;
    assert!(matches!(one_client(&mut bob, &claim_request()), ClientMaterial::Success(_)));
    bob.now = bob.now.plus(1);
    let material = one_client(&mut bob, &claim_request());
    assert_eq!(material, ClientMaterial::KeyMaterialExhausted);
    assert_eq!(bob.stock(&phone).available, 0);
}

#[test]
fn r29_a_key_package_that_is_not_valid_yet_is_not_handed_out() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    bob.now.0 -= DAY;
    let material = one_client(&mut bob, &claim_request());
    assert_eq!(material, ClientMaterial::KeyMaterialExhausted);
}

#[test]
fn r30_a_key_package_covers_the_required_capabilities() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let lacking = [
        RequiredCapabilities { extension_types: vec![0xF0FF], ..Default::default() },
        RequiredCapabilities { proposal_types: vec![0xF0FF], ..Default::default() },
        RequiredCapabilities { credential_types: vec![2], ..Default::default() },
    ];
    let mut request = claim_request();
    for required in lacking {
        mls10(&mut request).required_capabilities = required;
        let material = one_client(&mut bob, &request);
        assert_eq!(material, ClientMaterial::NothingCompatible(None));
    }
    // What a room of profile B requires, and RFC 9420's own types, which nobody lists.
    mls10(&mut request).required_capabilities = RequiredCapabilities {
        extension_types: vec![6, 0xF0A7, 3],
        proposal_types: vec![8, 1],
        credential_types: vec![1],
    };
    assert!(matches!(one_client(&mut bob, &request), ClientMaterial::Success(_)));
}

#[test]
fn r31_d5_a_claim_is_stored_before_it_is_answered_and_never_undone() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now), phone.key_package(bob.now)]);
    let first = bob.claim(&claim_request());
    // The same requester, room and target: another KeyPackage, not the same one again.
    let second = bob.claim(&claim_request());
    assert_ne!(key_packages(&first), key_packages(&second));
    assert_eq!(bob.stock(&phone).available, 0);
}

#[test]
fn r34_another_protocol_is_incompatible_whatever_follows() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let before = bob.storage.snapshot();
    let bob_uri = [&[17][..], b"bob@bravo.example"].concat();
    let alice = [&[19][..], b"alice@alpha.example"].concat();
    let target = || Endpoint::KeyMaterial { target: user("bob@bravo.example") };
    let body = [&[9][..], &alice, &[18], &bob_uri, &[0], b"whatever"].concat();
    let response = bob.own(target(), body);
    assert_eq!(response, Response::tls(200, [&[9, 2][..], &bob_uri, &[0]].concat()));

    let reserved = [&[0][..], &alice, &[18], &bob_uri, &[0]].concat();
    assert_eq!(bob.own(target(), reserved), refusal(400, "malformed: body"));
    assert_eq!(bob.storage.snapshot(), before);
}

#[test]
fn r34_a_user_who_does_not_exist_gives_no_consent() {
    for consent_default in [ConsentDefault::Allow, ConsentDefault::Ask] {
        let mut nobody = Bob::new(ProviderConfig { consent_default, ..config() });
        let response = nobody.claim(&claim_request());
        assert_eq!(response.user_status, KeyMaterialUserCode::NoConsent);
        assert_eq!(response.clients, []);
        assert_eq!(nobody.storage.snapshot().rows().count(), 0);
    }
}

#[test]
fn r102_asking_is_the_default_for_others_and_not_for_own_devices() {
    let phone = phone();
    let ask = ProviderConfig { consent_default: ConsentDefault::Ask, ..config() };
    let mut bob = Bob::with_config(ask, &[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let others = bob.claim(&claim_request());
    assert_eq!(others.user_status, KeyMaterialUserCode::NoConsent);
    let own = KeyMaterialRequest { requesting_user: uri("bob@bravo.example"), ..claim_request() };
    assert_eq!(bob.claim(&own).user_status, KeyMaterialUserCode::Success);
}

#[test]
fn r21_a_claim_need_not_name_a_room() {
    let phone = phone();
    let mut bob = Bob::with(&[&phone]);
    bob.publish(&phone, &[phone.key_package(bob.now)]);
    let request = KeyMaterialRequest { room_id: uri(""), ..claim_request() };
    assert_eq!(bob.claim(&request).user_status, KeyMaterialUserCode::Success);
}
