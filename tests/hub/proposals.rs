//! Proposals on their own (R45, R53, R58, R66, R67, D18): what is cached, and what is refused.

use mimi_edge::{
    mls::{
        capabilities, credential::credential_with_key, key_package_lifetime,
        own_commit::propose_app_sync,
    },
    transport::Endpoint,
    wire::{AppSync, Role, UpdateResponseCode as Code},
};
use openmls::{
    key_packages::KeyPackage,
    prelude::{Capabilities, ProposalType},
};
use tls_codec::{Serialize, VLBytes};

use crate::{
    BRAVO, CHARLIE, alices, bobs, cathys,
    common::{
        group::{Member, SUITE, now, room, sync},
        hub::{Hub, provider, update_response},
        member::{adds, bans, member, removes, uri, with_role},
        proposals::bundle,
    },
    invalid, not_allowed,
};

/// The room of alice, bob with two devices, and cathy.
fn with_bobs_laptop() -> (Hub, Member, [Member; 2], Member) {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let mut laptop = member("bob@bravo.example/laptop");
    hub.add(&mut alice, &mut laptop);
    let commit = hub.events(&alice.client, 2).remove(0).message;
    bob.process(&commit);
    cathy.process(&commit);
    (hub, alice, [bob, laptop], cathy)
}

/// Alice commits what waits, and the other one follows.
fn commits_what_waits(hub: &mut Hub, alice: &mut Member, other: &mut Member) {
    let waiting = hub.notified(other.client.domain().as_str());
    for proposal in &waiting {
        alice.process(proposal);
        other.process(proposal);
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
    other.process(&hub.notified(other.client.domain().as_str())[0]);
    assert_eq!(alice.list(), other.list());
    // Nothing waits any more.
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
}

#[test]
fn r53_r57_r75_a_leave_is_cached_and_sent_to_everybody_in_order() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    let (mut to_bravo, mut to_charlie) = (Vec::new(), Vec::new());
    for sent in hub.deliver() {
        let crate::common::hub::Sent::Notify { to, label, .. } = &sent else { panic!("{sent:?}") };
        assert!(label.starts_with("proposal ") && label.contains(", proposal "), "{label}");
        if to == BRAVO { &mut to_bravo } else { &mut to_charlie }.extend(sent.fanout());
    }
    assert_eq!(to_bravo, to_charlie, "the leaver's provider gets them too");
    let messages: Vec<_> =
        to_charlie.iter().map(|fanout| fanout.message.bytes()[4..].to_vec()).collect();
    assert_eq!(messages, leave);
    assert!(to_charlie[0].timestamp < to_charlie[1].timestamp, "R79");
    for proposal in &to_charlie {
        alice.process(proposal);
        cathy.process(proposal);
    }
    hub.restart();
    hub.accept(cathys(), &cathy.propose(Vec::new(), &[], &[]));
    cathy.merge_own();
    alice.process(&hub.notified(BRAVO)[0]);
    let users: Vec<_> = alice.list().participants.into_iter().map(|entry| entry.user.0).collect();
    assert_eq!(users, ["alice@alpha.example", "cathy@charlie.example"]);
    assert_eq!((alice.epoch(), cathy.epoch()), (3, 3));
}

#[test]
fn r75_connected_own_devices_get_proposals_pushed() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    hub.effects();
    hub.propose(bobs(), &bob.leave(&[&bob.client.clone()]));
    assert_eq!(hub.effects().len(), 2);
    for event in hub.events(&alice.client, 1) {
        alice.process(&event.message);
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
}

#[test]
fn r53_a_bundle_is_taken_whole_or_not_at_all() {
    let (mut hub, _, mut bob, _) = Hub::with_alice_bob_and_cathy();
    let good = bob.removal(&bob.client.clone());
    let dave = uri("dave@alpha.example");
    let bad = bob.app_sync(&removes(&dave));
    let body = bundle(&[good.clone(), bad.clone()]);
    hub.refuses_update(bobs(), body, invalid("a user is not on the list"));
    let body = bundle(&[bad, good.clone()]);
    hub.refuses_update(bobs(), body, invalid("a user is not on the list"));
    hub.propose(bobs(), &[good]);
}

#[test]
fn r38_r53_app_syncs_have_to_be_valid_with_those_that_wait() {
    let (mut hub, _, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let dave = uri("dave@alpha.example");
    hub.propose(bobs(), &[bob.app_sync(&adds(&dave))]);
    hub.settle();
    let admin = AppSync { add_users: vec![with_role(&dave, Role::Admin)], ..AppSync::default() };
    for app_sync in [admin, removes(&dave), bans(&dave)] {
        let body = bundle(&[cathy.app_sync(&app_sync)]);
        hub.refuses_update(cathys(), body, invalid("a user is named twice"));
    }
    // The same in one bundle.
    let twice =
        bundle(&[cathy.app_sync(&bans(&bob.user())), cathy.app_sync(&removes(&bob.user()))]);
    hub.refuses_update(cathys(), twice, invalid("a user is named twice"));
}

#[test]
fn r53_what_is_not_to_wait_is_refused() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let why = "not a proposal to wait for a commit";
    hub.refuses_update(bobs(), bundle(&[bob.update()]), invalid(why));
    // PSK (external, id, nonce), ReInit, ExternalInit, GroupContextExtensions; AppEphemeral, and a
    // custom type that is not AppSync's.
    for proposal in [
        &[0, 4, 1, 1, b'x', 1, b'n'][..],
        &[0, 5, 1, b'x', 0, 1, 0, 1, 0],
        &[0, 6, 1, b'x'],
        &[0, 7, 0],
        &[0, 9, 0xF0, 0x22, 0],
        &[0xF0, 0xA4, 1, b'x'],
    ] {
        let body = bundle(&[proposal_of_bob(proposal)]);
        hub.refuses_update(bobs(), body, invalid(why));
    }
    // A type that may wait comes as far as the signature.
    let body = bundle(&[proposal_of_bob(&[0, 3, 0, 0, 0, 1])]);
    hub.refuses_update(bobs(), body, invalid("MLS refuses the message"));
}

/// A proposal of bob in epoch 1; its signature and tag are nonsense.
fn proposal_of_bob(proposal: &[u8]) -> Vec<u8> {
    let vector = |bytes: &[u8]| VLBytes::from(bytes).tls_serialize_detached().unwrap();
    [
        &vector(room().as_str().as_bytes())[..],
        &1_u64.to_be_bytes(),
        &[1, 0, 0, 0, 1],
        &vector(&[]),
        &[2],
        proposal,
        &vector(&[0; 64]),
        &vector(&[0; 32]),
    ]
    .concat()
}

#[test]
fn r53_what_waits_already_is_answered_and_neither_cached_nor_sent() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let bob_client = bob.client.clone();
    hub.propose(bobs(), &bob.leave(&[&bob_client]));
    let waiting = hub.notified(CHARLIE);
    assert_eq!(waiting.len(), 2);
    // The same leaf out, by somebody else; the same user off the list.
    hub.propose(cathys(), &[cathy.removal(&bob_client)]);
    hub.propose(cathys(), &[cathy.app_sync(&removes(&bob.user()))]);
    hub.propose(bobs(), &[bob.self_removal()]);
    assert_eq!(hub.deliver(), Vec::new());
    cathy.forget_proposals();
    for proposal in &waiting {
        alice.process(proposal);
        cathy.process(proposal);
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
    cathy.process(&hub.notified(CHARLIE)[0]);
    assert_eq!(alice.list(), cathy.list());
}

#[test]
fn r53_two_removes_of_one_leaf_in_one_bundle_count_once() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let bob_client = bob.client.clone();
    let twice = [bob.removal(&bob_client), bob.removal(&bob_client)];
    hub.propose(bobs(), &twice);
    commits_what_waits(&mut hub, &mut alice, &mut cathy);
}

#[test]
fn r53_a_leaf_that_is_not_there_is_not_removed() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let body = bundle(&[bob.signed_proposal(&[0, 3, 0, 0, 0, 7])]);
    hub.refuses_update(bobs(), body, invalid("there is no such leaf"));
}

#[test]
fn r53_r57_two_devices_of_one_user_leave_at_once() {
    let (mut hub, mut alice, [mut bob, mut laptop], mut cathy) = with_bobs_laptop();
    let devices = [bob.client.clone(), laptop.client.clone()];
    let devices = [&devices[0], &devices[1]];
    hub.propose(bobs(), &bob.leave(&devices));
    hub.propose(bobs(), &laptop.leave(&devices));
    commits_what_waits(&mut hub, &mut alice, &mut cathy);
    assert_eq!(alice.list().participants.len(), 2);
}

#[test]
fn r53_adds_wait_with_their_user_on_the_list() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let mut dave = member("dave@alpha.example/phone");
    let package = hub.claim(&bob.client, &mut [&mut dave]).remove(0);
    let why = "a client enters whose user does not take part";
    let add = bob.add(&package);
    hub.effects();
    hub.refuses_update(bobs(), bundle(std::slice::from_ref(&add)), not_allowed(why));
    let app_sync = bob.app_sync(&adds(&dave.user()));
    hub.propose(bobs(), &[add, app_sync]);
    let waiting = hub.notified(CHARLIE);
    // Who waits to enter does not leave the list meanwhile.
    let body = bundle(&[cathy.app_sync(&removes(&dave.user()))]);
    hub.effects();
    hub.refuses_update(cathys(), body, invalid("a user is named twice"));
    for proposal in &waiting {
        alice.process(proposal);
    }
    // R46, R52: the Welcome for an Add by reference.
    let upload = alice.propose(Vec::new(), &[], &[]);
    let without = crate::common::member::Upload { welcome: None, ..upload.clone() };
    hub.refuses_update(alices(), without.body(), invalid("a Welcome is missing"));
    hub.accept(alices(), &upload);
    let sent = hub.deliver();
    dave.enter(&sent.iter().find_map(|sent| sent.welcome_for(&dave.client)).unwrap());
    alice.merge_own();
    assert_eq!((dave.epoch(), dave.list()), (3, alice.list()));
}

#[test]
fn r40_r53_nobody_leaves_the_list_while_an_add_of_a_client_waits() {
    let (mut hub, _, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let mut laptop = member("bob@bravo.example/laptop");
    let package = hub.claim(&bob.client, &mut [&mut laptop]).remove(0);
    hub.propose(bobs(), &[bob.add(&package)]);
    hub.settle();
    let why = "a client enters whose user does not take part";
    for change in [removes, bans] {
        let body = bundle(&[cathy.app_sync(&change(&bob.user()))]);
        hub.refuses_update(cathys(), body, not_allowed(why));
    }
}

#[test]
fn r51_r64_an_add_on_its_own_is_of_a_key_package_that_was_claimed() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let package = member("alice@alpha.example/laptop").single_use();
    let why = "a KeyPackage that its provider did not give out through this hub";
    hub.refuses_update(bobs(), bundle(&[bob.add(&package)]), not_allowed(why));
}

#[test]
fn r53_an_add_that_no_commit_could_carry_does_not_wait() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    // A client that is there already, and the same KeyPackage's keys twice.
    let mut twin = member("alice@alpha.example/phone");
    let package = hub.claim(&bob.client, &mut [&mut twin]).remove(0);
    hub.effects();
    let body = bundle(&[bob.add(&package)]);
    hub.refuses_update(bobs(), body, invalid("a client has two leaves"));
    // Two clients with one signature key.
    let mut laptop = member("alice@alpha.example/laptop");
    let mut tablet = member("alice@alpha.example/tablet");
    let key = serde_json::to_value(&laptop.key).unwrap();
    tablet.key = serde_json::from_value(key).unwrap();
    let packages = hub.claim(&bob.client, &mut [&mut laptop, &mut tablet]);
    hub.effects();
    let body = bundle(&[bob.add(&packages[0]), bob.add(&packages[1])]);
    hub.refuses_update(bobs(), body, invalid("a key is used twice"));
}

/// A KeyPackage of a client that cannot do everything.
fn incapable(member: &mut Member, capabilities: Capabilities) -> Vec<u8> {
    let client = member.client.clone();
    member
        .step(|provider, key| {
            let bundle = KeyPackage::builder()
                .key_package_lifetime(key_package_lifetime(now()))
                .leaf_node_capabilities(capabilities)
                .build(SUITE, provider, key, credential_with_key(&client, key.public()))
                .unwrap();
            Ok::<_, ()>(bundle.key_package().tls_serialize_detached().unwrap())
        })
        .unwrap()
}

#[test]
fn r53_r66_somebody_elses_proposal_or_epoch_is_refused() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let body = bundle(&bob.leave(&[&bob.client.clone()]));
    for source in [alices(), cathys(), provider("alpha.example.org")] {
        let refused = not_allowed("not the sender's provider");
        hub.refuses_update(source, body.clone(), refused);
    }
    // One of somebody else's among good ones.
    let mixed = bundle(&[bob.removal(&bob.client.clone()), alice.removal(&bob.client)]);
    hub.refuses_update(bobs(), mixed, not_allowed("not the sender's provider"));
    hub.accept(alices(), &{
        alice.forget_proposals();
        alice.propose(Vec::new(), &[], &[])
    });
    hub.settle();
    hub.refuses_update(bobs(), body, (409, Code::WrongEpoch, "epoch=2"));
}

#[test]
fn r7_a_proposal_with_a_flipped_signature_bit_is_refused() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let mut removal = bob.removal(&bob.client.clone());
    let at = removal.len() - 33 - 1;
    removal[at] ^= 1;
    hub.refuses_update(bobs(), bundle(&[removal]), invalid("MLS refuses the message"));
}

#[test]
fn r67_the_same_bundle_again_is_answered_again_also_in_a_later_epoch() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let leave = bob.leave(&[&bob.client.clone()]);
    let success = update_response(Code::Success, "");
    let endpoint = Endpoint::Update { room: room() };
    hub.propose(bobs(), &leave);
    let waiting = hub.notified(CHARLIE);
    hub.effects();
    hub.refused(bobs(), endpoint.clone(), bundle(&leave), (200, success.clone()));
    for proposal in &waiting {
        alice.process(proposal);
        cathy.process(proposal);
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    hub.settle();
    hub.restart();
    hub.refused(bobs(), endpoint, bundle(&leave), (200, success));
}

#[test]
fn r45_a_removed_or_banned_user_may_only_take_its_own_leaves_out() {
    for change in [bans, removes] {
        let (mut hub, mut alice, [mut bob, mut laptop], mut cathy) = with_bobs_laptop();
        hub.accept(alices(), &alice.propose(vec![sync(&change(&bob.user()))], &[], &[]));
        alice.merge_own();
        let commit = hub.notified(BRAVO).remove(0);
        for member in [&mut bob, &mut laptop, &mut cathy] {
            member.process(&commit);
        }
        hub.effects();
        let mut dave = member("dave@alpha.example/phone");
        let add = bob.add(&dave.single_use());
        for proposal in [bob.app_sync(&adds(&dave.user())), add, bob.update()] {
            let refused = not_allowed("only participants propose this");
            hub.refuses_update(bobs(), bundle(&[proposal]), refused);
        }
        let others = bundle(&[bob.removal(&cathy.client)]);
        let refused = not_allowed("only participants propose to remove others");
        hub.refuses_update(bobs(), others, refused);
        hub.propose(bobs(), &[bob.removal(&laptop.client)]);
        hub.propose(bobs(), &[bob.self_removal()]);
        commits_what_waits(&mut hub, &mut alice, &mut cathy);
        let clients = [&bob.client, &laptop.client];
        let left = alice.clients();
        assert!(clients.iter().all(|client| !left.contains(client)), "{left:?}");
    }
}

#[test]
fn r58_anybody_commits_what_anybody_proposed() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let dave = uri("dave@alpha.example");
    // Alice, the owner, proposes; bob, a regular user, commits.
    hub.propose(alices(), &[alice.app_sync(&adds(&dave)), alice.removal(&cathy.client)]);
    for proposal in hub.notified(BRAVO) {
        bob.process(&proposal);
        cathy.process(&proposal);
    }
    hub.accept(bobs(), &bob.propose(Vec::new(), &[], &[]));
    bob.merge_own();
    alice.process(&hub.notified(BRAVO)[0]);
    assert_eq!(alice.list(), bob.list());
    assert_eq!(alice.list().participants.len(), 4);
    assert!(!alice.clients().contains(&cathy.client));
    assert_eq!(cathy.epoch(), 2);
}

#[test]
fn r53_a_proposal_that_a_member_does_not_know_does_not_wait() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let known = capabilities();
    let proposals: Vec<_> = known
        .proposals()
        .iter()
        .copied()
        .filter(|known| *known != ProposalType::SelfRemove)
        .collect();
    let modest = Capabilities::new(
        None,
        None,
        Some(known.extensions()),
        Some(&proposals),
        Some(known.credentials()),
    );
    let mut cathy = member("cathy@charlie.example/phone");
    let package = incapable(&mut cathy, modest);
    let packages = hub.claim_bytes(&alice.client, &cathy.client, &package);
    hub.accept(alices(), &alice.propose(vec![sync(&adds(&cathy.user()))], &packages, &[]));
    bob.process(&hub.notified(BRAVO)[0]);
    hub.effects();
    let body = bundle(&[bob.self_removal()]);
    hub.refuses_update(bobs(), body, invalid("not all members know this proposal"));
    hub.propose(bobs(), &bob.leave(&[&bob.client.clone()]));
}

#[test]
fn r53_an_add_that_cannot_do_what_the_room_requires_does_not_wait() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let mut laptop = member("alice@alpha.example/laptop");
    let package = incapable(&mut laptop, Capabilities::default());
    hub.claim_bytes(&bob.client, &laptop.client, &package);
    hub.effects();
    let body = bundle(&[bob.signed_proposal(&[&[0, 1], &package[..]].concat())]);
    hub.refuses_update(bobs(), body, invalid("a KeyPackage does not fit into the group"));
}

#[test]
fn d18_at_most_256_proposals_wait() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let user = |number: usize| uri(&format!("user{number}@charlie.example"));
    let mut proposals: Vec<_> = (0..257).map(|number| bob.app_sync(&adds(&user(number)))).collect();
    let last = proposals.pop().unwrap();
    hub.propose(bobs(), &proposals);
    hub.settle();
    let endpoint = Endpoint::Update { room: room() };
    let answer = (429, b"too many requests".to_vec());
    hub.refused(bobs(), endpoint, bundle(&[last]), answer);
    for proposal in &proposals {
        alice.receive_proposal(proposal);
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
    assert_eq!(alice.list().participants.len(), 258);
}

/// An AppSync that adds a user nobody knows, with so many bytes beside it.
fn padded(bob: &mut Member, number: usize, bytes: usize) -> Vec<u8> {
    let app_sync = adds(&uri(&format!("user{number}@charlie.example")));
    bob.with_group(|group, provider, key| {
        group.set_aad(vec![0; bytes]);
        propose_app_sync(group, provider, key, &app_sync)
    })
    .unwrap()
}

#[test]
fn d18_a_proposal_is_of_at_most_64_kib() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let endpoint = Endpoint::Update { room: room() };
    let long = padded(&mut bob, 0, 64 << 10);
    let bundle_of_both = bundle(&[bob.removal(&bob.client.clone()), long]);
    hub.refused(bobs(), endpoint, bundle_of_both, (413, b"body too large".to_vec()));
    let fits = padded(&mut bob, 0, (64 << 10) - 512);
    hub.propose(bobs(), &[fits]);
}

#[test]
fn d18_the_proposals_that_wait_are_of_at_most_1_mib() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let endpoint = Endpoint::Update { room: room() };
    let too_many = (429, b"too many requests".to_vec());
    let proposals: Vec<_> = (0..17).map(|number| padded(&mut bob, number, 63 << 10)).collect();
    hub.refused(bobs(), endpoint.clone(), bundle(&proposals), too_many.clone());
    hub.propose(bobs(), &proposals[..9]);
    hub.settle();
    hub.restart();
    hub.refused(bobs(), endpoint, bundle(&proposals[9..]), too_many);
    hub.propose(bobs(), &proposals[9..16]);
}

#[test]
fn d18_a_bundle_of_more_than_256_is_refused_whatever_is_in_it() {
    let (mut hub, _, mut bob) = Hub::with_alice_and_bob();
    let removal = bob.removal(&bob.client.clone());
    let body = bundle(&vec![removal; 257]);
    let endpoint = Endpoint::Update { room: room() };
    hub.refused(bobs(), endpoint, body, (429, b"too many requests".to_vec()));
}

#[test]
fn r53_r67_what_waits_already_leaves_no_trace() {
    let (mut hub, _, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    hub.propose(bobs(), &bob.leave(&[&bob.client.clone()]));
    hub.settle();
    let again = bundle(&[cathy.removal(&bob.client)]);
    let success = update_response(Code::Success, "");
    hub.refused(cathys(), Endpoint::Update { room: room() }, again, (200, success));
}
