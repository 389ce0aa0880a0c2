//! `POST /groupInfo/{roomId}` (R64, R85–R89): who gets it, and that one can join with it.

use mimi_edge::{
    mls::labels::{DEVICE, sign_with_label},
    transport::{Endpoint, Source},
    wire::{GroupInfoRequest, Verbatim, encode, uri::RoomUri},
};
use openmls::prelude::{BasicCredential, Ciphersuite, Credential};

use crate::{
    BRAVO, alices, bobs, cathys,
    common::{
        group::{Member, room, sync},
        hub::{Hub, provider, source_of},
        member::{bans, member, removes},
    },
};

/// The request again, signed again.
fn signed(member: &Member, mut request: GroupInfoRequest, label: &str) -> GroupInfoRequest {
    let tbs = encode(&request.tbs).unwrap();
    request.signature = sign_with_label(&member.key, label, &tbs).unwrap().into();
    request
}

#[test]
fn r87_r89_a_new_device_joins_with_the_current_group_info_and_nobody_online() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    hub.accept(bobs(), &bob.propose(Vec::new(), &[], &[]));
    bob.merge_own();
    let commit = hub.notified(BRAVO).remove(0);
    alice.process(&commit);
    cathy.process(&commit);
    hub.restart();

    let mut laptop = member("cathy@charlie.example/laptop");
    let (group_info, tree) = hub.group_info(&laptop);
    let upload = laptop.external_commit(&group_info, &tree, &[]);
    hub.accept(cathys(), &upload);
    assert_eq!((laptop.epoch(), laptop.list()), (4, cathy.list()));
    let commit = hub.notified(BRAVO).remove(0);
    for member in [&mut alice, &mut bob, &mut cathy] {
        member.process(&commit);
        assert_eq!(member.state(), laptop.state());
    }
}

#[test]
fn r87_what_is_given_out_is_what_the_committer_signed_without_a_tree() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.accept(alices(), &upload);
    assert_eq!(hub.group_info(&alice), (upload.group_info, upload.tree));
}

#[test]
fn r85_r88_the_request_is_signed_with_the_key_in_it_in_the_rooms_scheme() {
    let (mut hub, alice, bob) = Hub::with_alice_and_bob();
    hub.effects();
    let good = alice.group_info_request(&room());
    for change in [
        (|request: &mut GroupInfoRequest, _: &Member| {
            let mut signature = request.signature.as_slice().to_vec();
            signature[7] ^= 1;
            request.signature = signature.into();
        }) as fn(&mut GroupInfoRequest, &Member),
        |request, _| request.signature = Vec::new().into(),
        |request, bob| request.tbs.requesting_signature_key = bob.key.public().into(),
        |request, _| request.tbs.requesting_signature_key = vec![1, 2, 3].into(),
    ] {
        let mut request = good.clone();
        change(&mut request, &bob);
        hub.refuses_group_info(alices(), &request);
    }
    // The label is part of it.
    let request = signed(&alice, good, DEVICE);
    hub.refuses_group_info(alices(), &request);
    // A good signature in another scheme than that of the room's suite.
    let mut p256 = member("alice@alpha.example/phone");
    let suite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
    p256.key = p256.crypto.signature_key_pair(suite).unwrap();
    hub.refuses_group_info(alices(), &p256.group_info_request(&room()));
    hub.group_info(&alice);
}

#[test]
fn r85_a_request_for_another_room_is_of_no_use() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    hub.effects();
    let other = RoomUri::parse("cellar@alpha.example").unwrap();
    hub.refuses_group_info(alices(), &alice.group_info_request(&other));
    // Nor with this room's name put in.
    let mut request = alice.group_info_request(&other);
    request.tbs.room_id = alice.group_info_request(&room()).tbs.room_id;
    hub.refuses_group_info(alices(), &request);
}

#[test]
fn r85_only_participants_get_it() {
    for change in [bans, removes] {
        let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
        let cathy = member("cathy@charlie.example/phone");
        hub.effects();
        hub.refuses_group_info(cathys(), &cathy.group_info_request(&room()));
        hub.group_info(&bob);
        hub.accept(alices(), &alice.propose(vec![sync(&change(&bob.user()))], &[], &[]));
        hub.settle();
        hub.refuses_group_info(bobs(), &bob.group_info_request(&room()));
    }
}

#[test]
fn r64_the_request_comes_from_the_clients_provider_and_of_ours_from_the_device() {
    let (mut hub, alice, bob) = Hub::with_alice_and_bob();
    hub.effects();
    let laptop = source_of(&alice.user().client("laptop").unwrap());
    for source in [cathys(), alices(), provider("alpha.example.org"), Source::Own] {
        hub.refuses_group_info(source, &bob.group_info_request(&room()));
    }
    for source in [bobs(), laptop] {
        hub.refuses_group_info(source, &alice.group_info_request(&room()));
    }
}

#[test]
fn r85_a_credential_that_names_no_client_is_refused() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    hub.effects();
    let credential: Credential = BasicCredential::new(b"alice@alpha.example".to_vec()).into();
    let mut request = alice.group_info_request(&room());
    request.tbs.requesting_credential = Verbatim::own(encode(&credential).unwrap()).unwrap();
    let request = signed(&alice, request, "GroupInfoRequestTBS");
    hub.refuses_group_info(alices(), &request);
}

#[test]
fn r86_the_three_answers_and_what_is_no_request() {
    let (mut hub, alice, _) = Hub::with_alice_and_bob();
    hub.effects();
    let endpoint = Endpoint::GroupInfo { room: room() };
    let body = encode(&alice.group_info_request(&room())).unwrap();
    let response = hub.call(alices(), endpoint.clone(), body.clone());
    assert_eq!((response.status, response.body[0]), (200, 1));
    hub.refused(bobs(), endpoint.clone(), body.clone(), (403, vec![2]));
    let malformed = (400, b"malformed: body".to_vec());
    hub.refused(alices(), endpoint.clone(), body[1..].to_vec(), malformed.clone());
    hub.refused(alices(), endpoint.clone(), [&body[..], &[0]].concat(), malformed);
    Hub::new().refused(alices(), endpoint, body, (404, vec![3]));
}
