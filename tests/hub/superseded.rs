//! What somebody's leaving voids, and what may not wait beside it (R53, R54, R56, R57, R64).

use mimi_edge::{
    transport::{Endpoint, Source},
    wire::{AppSync, Role, uri::UserUri},
};

use crate::{
    BRAVO, CHARLIE, alices, bobs, cathys,
    common::{
        group::{Member, sync},
        hub::Hub,
        member::{adds, bans, member, removes, with_role},
        proposals::bundle,
    },
    invalid, not_allowed,
};

/// An AppSync that makes a user of the list admin.
fn promotes(user: &UserUri) -> AppSync {
    AppSync { update_users: vec![with_role(user, Role::Admin)], ..AppSync::default() }
}

/// Alice covers what waits, which the others process.
fn commits(hub: &mut Hub, alice: &mut Member, other: &mut Member, waiting: &[Vec<u8>]) {
    for member in [&mut *alice, &mut *other] {
        member.forget_proposals();
        waiting.iter().for_each(|proposal| member.receive_proposal(proposal));
    }
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
    let commit = hub.notified(other.client.domain().as_str()).pop().unwrap();
    other.process(&commit);
    assert_eq!(alice.list(), other.list());
}

#[test]
fn r53_r54_r57_nothing_that_waits_stops_a_leave_and_a_commit_without_it_gets_401() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let mut laptop = member("bob@bravo.example/laptop");
    let package = hub.claim(&cathy.client, &mut [&mut laptop]).remove(0);
    let promotion = [cathy.app_sync(&promotes(&bob.user())), cathy.add(&package)];
    hub.propose(cathys(), &promotion);
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    // Who has what is void learns from the answer.
    for proposal in &promotion {
        alice.receive_proposal(proposal);
        hub.restart();
        hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &leave);
        alice.clear_own();
    }
    commits(&mut hub, &mut alice, &mut cathy, &leave);
    assert_eq!((alice.list().participants.len(), alice.clients().len()), (2, 2));
}

#[test]
fn r40_r53_r57_who_came_in_by_a_proposal_that_is_void_does_not_come_in() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let mut dave = member("dave@alpha.example/phone");
    let package = hub.claim(&cathy.client, &mut [&mut dave]).remove(0);
    let mixed = AppSync { add_users: adds(&dave.user()).add_users, ..promotes(&bob.user()) };
    hub.propose(cathys(), &[cathy.app_sync(&mixed), cathy.add(&package)]);
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    commits(&mut hub, &mut alice, &mut cathy, &leave);
    assert_eq!((alice.list().participants.len(), alice.clients().len()), (2, 2));
}

#[test]
fn r53_r57_who_leaves_while_a_ban_of_it_waits_takes_its_leaves_out_and_is_banned() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let ban = cathy.app_sync(&bans(&bob.user()));
    hub.propose(cathys(), std::slice::from_ref(&ban));
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    commits(&mut hub, &mut alice, &mut cathy, &[ban, leave[0].clone()]);
    assert_eq!(alice.list().participants[1], with_role(&bob.user(), Role::Banned));
    assert_eq!(alice.clients().len(), 2);
}

#[test]
fn r53_r57_a_leave_that_is_refused_voids_nothing() {
    let (mut hub, _, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    hub.propose(cathys(), &[cathy.app_sync(&promotes(&bob.user()))]);
    hub.settle();
    let dave = UserUri::parse("dave@alpha.example").unwrap();
    let bad = bundle(&[bob.app_sync(&removes(&bob.user())), bob.app_sync(&removes(&dave))]);
    hub.refuses_update(bobs(), bad, invalid("a user is not on the list"));
    // Nor does anybody else.
    let others = bundle(&[cathy.app_sync(&removes(&bob.user()))]);
    hub.refuses_update(cathys(), others, invalid("a user is named twice"));
}

/// The room of alice, bob and dave, who is the hub's own user.
fn with_dave() -> (Hub, Member, Member, Member) {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut dave = member("dave@alpha.example/phone");
    hub.add(&mut alice, &mut dave);
    bob.process(&hub.events(&alice.client, 1).remove(0).message);
    hub.settle();
    (hub, alice, bob, dave)
}

fn delete(hub: &mut Hub, user: &UserUri) {
    let endpoint = Endpoint::UserDeleted { user: user.clone() };
    assert_eq!(hub.call(Source::Own, endpoint, Vec::new()).status, 200);
}

#[test]
fn r53_r54_r56_what_waits_about_a_user_is_void_when_it_is_deleted() {
    let (mut hub, mut alice, mut bob, dave) = with_dave();
    let mut tablet = member("dave@alpha.example/tablet");
    let package = hub.claim(&bob.client, &mut [&mut tablet]).remove(0);
    let about_dave = [bob.app_sync(&promotes(&dave.user())), bob.add(&package)];
    hub.propose(bobs(), &about_dave);
    hub.settle();
    delete(&mut hub, &dave.user());
    let waiting: Vec<_> =
        hub.notified(BRAVO).iter().map(|fanout| fanout.message.bytes()[4..].to_vec()).collect();
    assert_eq!(waiting.len(), 1, "the hub's Remove");
    for proposal in &about_dave {
        alice.receive_proposal(proposal);
    }
    hub.restart();
    hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &waiting);
    alice.clear_own();
    alice.forget_proposals();
    alice.receive_proposal(&waiting[0]);
    hub.accept(alices(), &alice.propose(vec![sync(&removes(&dave.user()))], &[], &[]));
    alice.merge_own();
    assert_eq!((alice.list().participants.len(), alice.clients().len()), (2, 2));
}

#[test]
fn r53_r56_nothing_waits_that_keeps_a_departing_user_on_the_list() {
    let (mut hub, _, mut bob, dave) = with_dave();
    let mut tablet = member("dave@alpha.example/tablet");
    let package = hub.claim(&bob.client, &mut [&mut tablet]).remove(0);
    delete(&mut hub, &dave.user());
    hub.settle();
    let refused = not_allowed("dave@alpha.example is on the way out");
    let promotion = bundle(&[bob.app_sync(&promotes(&dave.user()))]);
    hub.refuses_update(bobs(), promotion, refused);
    hub.refuses_update(bobs(), bundle(&[bob.add(&package)]), refused);
    hub.propose(bobs(), &[bob.app_sync(&bans(&dave.user()))]);
}

#[test]
fn r53_who_takes_others_out_leaves_somebody_to_commit_it() {
    let (mut hub, alice, mut bob) = Hub::with_alice_and_bob();
    let all = bundle(&[bob.removal(&alice.client), bob.removal(&bob.client.clone())]);
    hub.refuses_update(bobs(), all, invalid("nobody is left to commit this"));
    hub.propose(bobs(), &[bob.removal(&alice.client)]);
}

#[test]
fn r51_r64_who_was_removed_does_not_come_in_again_by_the_same_claim() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let mut dave = member("dave@charlie.example/phone");
    let packages = hub.claim(&alice.client, &mut [&mut dave]);
    let add = |alice: &mut Member| alice.propose(vec![sync(&adds(&dave.user()))], &packages, &[]);
    hub.accept(alices(), &add(&mut alice));
    alice.merge_own();
    hub.accept(alices(), &alice.propose(vec![sync(&removes(&dave.user()))], &[], &[&dave.client]));
    alice.merge_own();
    for fanout in hub.notified(CHARLIE) {
        if fanout.ratchet_tree_option.is_none() {
            bob.process(&fanout);
            cathy.process(&fanout);
        }
    }
    hub.effects();
    let why = "a KeyPackage that was used since its claim";
    hub.refuses_update(alices(), add(&mut alice).body(), not_allowed(why));
    alice.clear_own();
    let by_proposal = bundle(&[bob.app_sync(&adds(&dave.user())), bob.add(&packages[0])]);
    hub.refuses_update(bobs(), by_proposal, not_allowed(why));
    // With another claim it does.
    hub.add(&mut alice, &mut member("dave@charlie.example/phone"));
}
