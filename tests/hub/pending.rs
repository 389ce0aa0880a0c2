//! Commits over proposals that wait (R38, R39, R54, R56, R62, A12).

use mimi_edge::wire::{AppSync, Role, UpdateResponseCode as Code};

use crate::{
    BRAVO, CHARLIE, alices, bobs, cathys,
    common::{
        group::{Member, sync},
        hub::Hub,
        member::{adds, member, removes, uri, with_role},
    },
    invalid, not_allowed,
};

/// Everybody takes note of what waits.
fn take_note(hub: &mut Hub, members: &mut [&mut Member]) {
    for proposal in hub.notified(CHARLIE) {
        for member in &mut *members {
            member.process(&proposal);
        }
    }
    hub.effects();
}

#[test]
fn r54_r62_a_commit_that_omits_a_cached_proposal_gets_401_and_all_of_them() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.pending(alices(), &upload, &leave);
    hub.restart();
    hub.pending(alices(), &upload, &leave);
    alice.clear_own();
    // All or none is covered; one is not enough.
    alice.receive_proposal(&leave[0]);
    hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &leave);
    alice.clear_own();
    // The same by value is not the same.
    alice.forget_proposals();
    let by_value = alice.propose(vec![sync(&removes(&bob.user()))], &[], &[&bob.client.clone()]);
    hub.pending(alices(), &by_value, &leave);
    alice.clear_own();

    // A12: what is in the answer is what was signed, so the commit can be built anew (R63).
    for proposal in &leave {
        alice.receive_proposal(proposal);
        cathy.receive_proposal(proposal);
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
    cathy.process(&hub.notified(CHARLIE)[0]);
    assert_eq!((alice.list(), alice.list().participants.len()), (cathy.list(), 2));
}

#[test]
fn r54_the_queue_is_listed_in_the_order_of_acceptance() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let (dave, erin) = (uri("dave@alpha.example"), uri("erin@alpha.example"));
    let first = [cathy.app_sync(&adds(&dave)), cathy.removal(&cathy.client.clone())];
    let second = [bob.app_sync(&adds(&erin))];
    hub.propose(cathys(), &first);
    hub.propose(bobs(), &second);
    let all = [first.to_vec(), second.to_vec()].concat();
    hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &all);
}

#[test]
fn r54_a_commit_of_a_leaf_that_the_queue_removes_is_not_allowed() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let refused = not_allowed("a pending proposal removes the committer");
    hub.propose(bobs(), &bob.leave(&[&bob.client.clone()]));
    hub.propose(cathys(), &[cathy.self_removal()]);
    hub.settle();
    for (member, source) in [(&mut bob, bobs()), (&mut cathy, cathys())] {
        member.forget_proposals();
        let upload = member.propose(Vec::new(), &[], &[]);
        hub.refuses_update(source, upload.body(), refused);
    }
    alice.propose(Vec::new(), &[], &[]);
}

#[test]
fn r62_not_valid_in_mls_comes_before_401_and_401_before_what_the_list_says() {
    let (mut hub, mut alice, mut bob, _) = Hub::with_alice_bob_and_cathy();
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    hub.settle();
    let mut upload = alice.propose(Vec::new(), &[], &[]);
    let at = upload.message.len() - 33 - 33 - 1;
    upload.message[at] ^= 1;
    hub.refuses_update(alices(), upload.body(), invalid("MLS refuses the message"));
    alice.clear_own();
    // R38 would refuse it.
    let upload = alice.propose(vec![sync(&adds(&bob.user()))], &[], &[]);
    hub.pending(alices(), &upload, &leave);
    alice.clear_own();
    // R40 would.
    let mut dave = member("dave@alpha.example/phone");
    let packages = hub.claim(&alice.client, &mut [&mut dave]);
    hub.pending(alices(), &alice.propose(Vec::new(), &packages, &[]), &leave);
}

#[test]
fn r38_r39_app_syncs_by_reference_and_by_value_make_one_list_in_the_commits_order() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let (dave, erin, frank) =
        (uri("dave@alpha.example"), uri("erin@alpha.example"), uri("frank@alpha.example"));
    hub.propose(bobs(), &[bob.app_sync(&adds(&dave))]);
    hub.propose(cathys(), &[cathy.app_sync(&removes(&bob.user()))]);
    hub.propose(bobs(), &[bob.app_sync(&adds(&erin))]);
    let waiting = hub.notified(CHARLIE);
    cathy.forget_proposals();
    for proposal in &waiting {
        alice.process(proposal);
        cathy.process(proposal);
    }
    // Not valid together with what waits.
    let admin = AppSync { update_users: vec![with_role(&dave, Role::Admin)], ..AppSync::default() };
    let upload = alice.propose(vec![sync(&admin)], &[], &[]);
    hub.effects();
    hub.refuses_update(alices(), upload.body(), invalid("a user is named twice"));
    alice.clear_own();
    hub.accept(alices(), &alice.propose(vec![sync(&adds(&frank))], &[], &[]));
    alice.merge_own();
    cathy.process(&hub.notified(CHARLIE)[0]);
    assert_eq!(alice.list(), cathy.list());
    let users: Vec<_> = alice.list().participants.into_iter().map(|entry| entry.user.0).collect();
    let names = ["alice", "dave", "erin", "frank"].map(|name| format!("{name}@alpha.example"));
    let expected = [&names[..1], &["cathy@charlie.example".to_owned()], &names[1..]].concat();
    assert_eq!(users, expected);
}

#[test]
fn r54_a_commit_may_carry_more_than_what_waits() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    hub.propose(bobs(), &bob.leave(&[&bob.client.clone()]));
    take_note(&mut hub, &mut [&mut alice, &mut cathy]);
    let mut dave = member("dave@alpha.example/phone");
    let upload = hub.addition(&mut alice, &mut dave);
    hub.accept(alices(), &upload);
    alice.merge_own();
    let sent = hub.deliver();
    dave.enter(&sent.iter().find_map(|sent| sent.welcome_for(&dave.client)).unwrap());
    assert_eq!(dave.list(), alice.list());
    assert!(!dave.clients().contains(&bob.client));
}

#[test]
fn r47_r54_a_covered_proposal_is_of_one_epoch() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let dave = uri("dave@alpha.example");
    let proposals = [bob.app_sync(&adds(&dave))];
    hub.propose(bobs(), &proposals);
    take_note(&mut hub, &mut [&mut alice, &mut cathy]);
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    hub.settle();
    let upload = cathy.propose(Vec::new(), &[], &[]);
    hub.refuses_update(cathys(), upload.body(), (409, Code::WrongEpoch, "epoch=3"));
    cathy.clear_own();
    let again = crate::common::proposals::bundle(&[cathy.app_sync(&removes(&dave))]);
    hub.refuses_update(cathys(), again, (409, Code::WrongEpoch, "epoch=3"));
}

#[test]
fn r59_a_storage_that_fails_leaves_no_trace_of_a_proposal() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let body = crate::common::proposals::bundle(&bob.leave(&[&bob.client.clone()]));
    hub.effects();
    let before = hub.rows();
    hub.storage.fail_next_write();
    assert_eq!(hub.update(bobs(), body.clone()).status, 500);
    assert!(hub.rows() == before);
    assert!(matches!(hub.effects().as_slice(), [mimi_edge::transport::Effect::Report { .. }]));
    assert_eq!(hub.deliver(), Vec::new());
    // No proposal waits.
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    assert_eq!(hub.update(bobs(), body).status, 409);
    assert_eq!(hub.notified(BRAVO).len(), 1);
}
