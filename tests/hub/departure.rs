//! Who is on the way out (R56, R57, R77, D19), and the end of a room.

use mimi_edge::{
    transport::{Endpoint, ObjectName, Source},
    wire::{FanoutMessage, UpdateResponseCode as Code, uri::UserUri},
};

use crate::{
    BRAVO, CHARLIE, alices, bobs, cathys,
    common::{
        group::{Member, room, sync},
        hub::{Hub, Sent, provider, source_of, update_response},
        member::{adds, member, removes},
        proposals::bundle,
    },
    not_allowed,
};

fn deleted(user: &UserUri) -> Endpoint {
    Endpoint::UserDeleted { user: user.clone() }
}

/// The room of alice, bob and dave, who is the hub's own user with two devices.
fn with_dave() -> (Hub, Member, Member, [Member; 2]) {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut devices = [member("dave@alpha.example/phone"), member("dave@alpha.example/laptop")];
    for entrant in 0..2 {
        let upload = hub.addition(&mut alice, &mut devices[entrant]);
        hub.accept(alices(), &upload);
        alice.merge_own();
        let sent = hub.deliver();
        let device = &mut devices[entrant];
        device.enter(&sent.iter().find_map(|sent| sent.welcome_for(&device.client)).unwrap());
        let commit = &sent[0].fanout()[0];
        bob.process(commit);
        if entrant == 1 {
            devices[0].process(commit);
        }
    }
    hub.effects();
    (hub, alice, bob, devices)
}

#[test]
fn r56_r77_d19_a_deleted_user_is_proposed_out_and_the_next_commit_takes_it_off_the_list() {
    let (mut hub, mut alice, mut bob, [dave, _]) = with_dave();
    let response = hub.call(Source::Own, deleted(&dave.user()), Vec::new());
    assert_eq!((response.status, response.body), (200, Vec::new()));
    assert!(!hub.effects().is_empty(), "own devices get a push");
    let waiting = hub.notified(BRAVO);
    assert_eq!(waiting.len(), 2, "R77: one Remove for each leaf, sent on");
    assert!(waiting[0].timestamp < waiting[1].timestamp);
    let proposals: Vec<_> =
        waiting.iter().map(|fanout| fanout.message.bytes()[4..].to_vec()).collect();
    hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &proposals);
    alice.clear_own();
    for proposal in &waiting {
        alice.process(proposal);
        bob.process(proposal);
    }
    // Without the AppSync.
    let why = "appsync-remove dave@alpha.example";
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), not_allowed(why));
    alice.clear_own();
    hub.restart();
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), not_allowed(why));
    alice.clear_own();
    hub.accept(alices(), &alice.propose(vec![sync(&removes(&dave.user()))], &[], &[]));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    assert_eq!((alice.clients().len(), bob.list().participants.len()), (2, 2));
    // And that was all.
    hub.accept(bobs(), &bob.propose(Vec::new(), &[], &[]));
}

#[test]
fn r77_a_deletion_that_is_told_again_changes_nothing() {
    let (mut hub, _, _, [dave, _]) = with_dave();
    hub.call(Source::Own, deleted(&dave.user()), Vec::new());
    hub.settle();
    hub.refused(Source::Own, deleted(&dave.user()), Vec::new(), (200, Vec::new()));
    // Nor does that of somebody who is not there.
    let erin = UserUri::parse("erin@alpha.example").unwrap();
    hub.refused(Source::Own, deleted(&erin), Vec::new(), (200, Vec::new()));
}

#[test]
fn r66_r77_nobody_else_deletes_a_user_or_proposes_for_the_hub() {
    let (mut hub, mut alice, bob, [dave, _]) = with_dave();
    let refused = (403, b"peer refused: not of an own user".to_vec());
    for source in [provider(BRAVO), source_of(&alice.client)] {
        hub.refused(source, deleted(&dave.user()), Vec::new(), refused.clone());
    }
    hub.refused(Source::Own, deleted(&bob.user()), Vec::new(), refused);
    // What the hub itself signed, sent by somebody else.
    hub.call(Source::Own, deleted(&dave.user()), Vec::new());
    let waiting = hub.notified(BRAVO);
    let removal = waiting[0].message.bytes()[4..].to_vec();
    hub.effects();
    let body = bundle(&[removal]);
    hub.refuses_update(bobs(), body.clone(), not_allowed("not by this sender"));
    hub.refuses_update(alices(), body, not_allowed("not by this sender"));
    alice.propose(Vec::new(), &[], &[]);
}

#[test]
fn r56_the_hubs_proposals_come_again_in_the_epoch_after_an_external_commit() {
    let (mut hub, mut alice, mut bob, [dave, _]) = with_dave();
    hub.call(Source::Own, deleted(&dave.user()), Vec::new());
    assert_eq!(hub.notified(BRAVO).len(), 2);
    let mut tablet = member("bob@bravo.example/tablet");
    let upload = hub.external_commit(&mut tablet, &[]);
    hub.accept(bobs(), &upload);
    let fanned_out = hub.notified(BRAVO);
    assert_eq!(fanned_out.len(), 3, "the commit, and the Removes anew");
    for message in &fanned_out {
        alice.process(message);
        bob.process(message);
    }
    let why = "appsync-remove dave@alpha.example";
    hub.effects();
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), not_allowed(why));
    alice.clear_own();
    hub.accept(alices(), &alice.propose(vec![sync(&removes(&dave.user()))], &[], &[]));
    alice.merge_own();
    assert_eq!(alice.clients().len(), 3);
}

#[test]
fn d19_a_deleted_user_does_not_come_in_again() {
    let (mut hub, alice, _, [dave, _]) = with_dave();
    let (group_info, tree) = hub.group_info(&alice);
    hub.call(Source::Own, deleted(&dave.user()), Vec::new());
    let mut tablet = member("dave@alpha.example/tablet");
    let upload = tablet.external_commit(&group_info, &tree, &[]);
    hub.settle();
    let source = source_of(&tablet.client);
    let refused = not_allowed("the joiner's user was deleted");
    hub.refuses_update(source.clone(), upload.body(), refused);
    hub.refuses_group_info(source, &tablet.group_info_request(&room()));
}

#[test]
fn r56_d19_a_deleted_user_without_a_leaf_leaves_the_list_too() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let dave = UserUri::parse("dave@alpha.example").unwrap();
    hub.accept(alices(), &alice.propose(vec![sync(&adds(&dave))], &[], &[]));
    alice.merge_own();
    hub.settle();
    hub.call(Source::Own, deleted(&dave), Vec::new());
    assert_eq!(hub.deliver(), Vec::new());
    let refused = not_allowed("appsync-remove dave@alpha.example");
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), refused);
    alice.clear_own();
    hub.accept(alices(), &alice.propose(vec![sync(&removes(&dave))], &[], &[]));
}

/// `hubProposals: false` (D1): there is nothing that the hub could propose.
#[test]
fn r77_a_room_without_the_hub_among_its_senders_gets_no_proposals_but_the_list_has_to_change() {
    let mut hub = Hub::new();
    let mut alice = member("alice@alpha.example/phone");
    let body = mimi_edge::wire::encode(&alice.creation(None)).unwrap();
    assert_eq!(hub.create(alices(), body).status, 201);
    let mut dave = member("dave@alpha.example/phone");
    hub.add(&mut alice, &mut dave);
    hub.call(Source::Own, deleted(&dave.user()), Vec::new());
    assert_eq!(hub.deliver(), Vec::new());
    hub.effects();
    let refused = not_allowed("appsync-remove dave@alpha.example");
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), refused);
    alice.clear_own();
    let removal = alice.propose(vec![sync(&removes(&dave.user()))], &[], &[&dave.client]);
    hub.accept(alices(), &removal);
}

/// Bob leaves, and cathy's laptop joins before anybody commits: his leaf goes, he stays on the list.
/// With what alice and cathy have to process.
fn bobs_leave_is_voided_in_part() -> (Hub, [Member; 3], Vec<FanoutMessage>) {
    let (mut hub, alice, mut bob, cathy) = Hub::with_alice_bob_and_cathy();
    let leave = [bob.self_removal(), bob.app_sync(&removes(&bob.user()))];
    hub.propose(bobs(), &leave);
    let mut messages = hub.notified(CHARLIE);
    let mut laptop = member("cathy@charlie.example/laptop");
    let upload = hub.external_commit(&mut laptop, &leave);
    hub.accept(cathys(), &upload);
    messages.extend(hub.notified(CHARLIE));
    (hub, [alice, bob, cathy], messages)
}

#[test]
fn r55_r56_whose_leaf_went_without_its_app_sync_leaves_the_list_with_the_next_commit() {
    let (mut hub, [mut alice, bob, mut cathy], messages) = bobs_leave_is_voided_in_part();
    for member in [&mut alice, &mut cathy] {
        messages.iter().for_each(|message| drop(member.process(message)));
        assert!(!member.clients().contains(&bob.client));
        assert_eq!(member.list().participants.len(), 3);
    }
    hub.effects();
    let refused = not_allowed("appsync-remove bob@bravo.example");
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), refused);
    alice.clear_own();
    // Another external commit cannot do it, and need not.
    let mut tablet = member("cathy@charlie.example/tablet");
    let upload = hub.external_commit(&mut tablet, &[]);
    hub.accept(cathys(), &upload);
    alice.process(&hub.notified(CHARLIE)[0]);
    hub.effects();
    hub.restart();
    hub.refuses_update(alices(), alice.propose(Vec::new(), &[], &[]).body(), refused);
    alice.clear_own();
    hub.accept(alices(), &alice.propose(vec![sync(&removes(&bob.user()))], &[], &[]));
    alice.merge_own();
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
}

#[test]
fn r56_who_left_and_came_back_is_not_on_the_way_out() {
    let (mut hub, [mut alice, _, _], mut messages) = bobs_leave_is_voided_in_part();
    let mut tablet = member("bob@bravo.example/tablet");
    let upload = hub.external_commit(&mut tablet, &[]);
    hub.accept(bobs(), &upload);
    messages.extend(hub.notified(CHARLIE));
    messages.iter().for_each(|message| drop(alice.process(message)));
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
}

/// Everything of a closed room is not found.
fn is_closed(hub: &mut Hub, member: &mut Member) {
    member.forget_proposals();
    let upload = member.propose(Vec::new(), &[], &[]);
    member.clear_own();
    let source = source_of(&member.client);
    hub.settle();
    let not_found = (404, b"not found: room".to_vec());
    let update = Endpoint::Update { room: room() };
    hub.refused(source.clone(), update, upload.body(), not_found.clone());
    let submit = Endpoint::SubmitMessage { room: room(), sending_user: None };
    hub.refused(source.clone(), submit, member.message("hello?"), not_found);
    let request = mimi_edge::wire::encode(&member.group_info_request(&room())).unwrap();
    hub.refused(source, Endpoint::GroupInfo { room: room() }, request, (404, vec![3]));
}

#[test]
fn r57_the_room_closes_when_the_last_users_leave() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    hub.propose(bobs(), &bob.leave(&[&bob.client.clone()]));
    hub.settle();
    let leave = alice.leave(&[&alice.client.clone()]);
    hub.propose(alices(), &leave);
    let sent = hub.deliver();
    let [Sent::Notify { to, .. }, Sent::Call(call)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((to.as_str(), sent[0].fanout().len()), (BRAVO, 2), "the proposals are sent on");
    assert_eq!(call.object, ObjectName::user(&alice.user()));
    let gone = Endpoint::Membership { room: room(), facts: None };
    assert_eq!(call.request.endpoint, gone);
    // A lost answer is given again (R67); the log can still be read.
    let success = update_response(Code::Success, "");
    hub.effects();
    hub.refused(alices(), Endpoint::Update { room: room() }, bundle(&leave), (200, success));
    assert_eq!(hub.events(&alice.client, 0).len(), 5);
    is_closed(&mut hub, &mut alice);
    hub.restart();
    is_closed(&mut hub, &mut bob);
    // The name stays taken.
    let mut again = member("alice@alpha.example/phone");
    let body = mimi_edge::wire::encode(&again.creation(None)).unwrap();
    let endpoint = Endpoint::CreateRoom { room: room() };
    hub.refused(alices(), endpoint, body, (409, b"conflict: the room exists".to_vec()));
}

#[test]
fn r57_a_commit_that_takes_everybody_off_the_list_closes_the_room() {
    let (mut hub, mut alice) = Hub::with_alice();
    let upload = alice.propose(vec![sync(&removes(&alice.user()))], &[], &[]);
    hub.accept(alices(), &upload);
    alice.merge_own();
    is_closed(&mut hub, &mut alice);
}

#[test]
fn r57_the_last_users_deletion_closes_the_room() {
    let (mut hub, mut alice) = Hub::with_alice();
    hub.call(Source::Own, deleted(&alice.user()), Vec::new());
    is_closed(&mut hub, &mut alice);
}

/// Who stays on the list can come back by an external commit.
#[test]
fn r57_a_room_whose_last_leaf_goes_without_its_user_stays() {
    let (mut hub, mut alice) = Hub::with_alice();
    hub.propose(alices(), &[alice.removal(&alice.client.clone())]);
    let mut laptop = member("alice@alpha.example/laptop");
    let upload = hub.external_commit(&mut laptop, &[]);
    hub.accept(source_of(&laptop.client), &upload);
    assert_eq!(laptop.epoch(), 1);
}

#[test]
fn r57_a_room_with_somebody_left_stays() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    hub.propose(alices(), &alice.leave(&[&alice.client.clone()]));
    for proposal in hub.notified(BRAVO) {
        bob.process(&proposal);
    }
    hub.accept(bobs(), &bob.propose(Vec::new(), &[], &[]));
    bob.merge_own();
    assert_eq!(bob.list().participants.len(), 1);
}

/// `hubProposals: false`: nothing takes its leaf out, but it commits nothing any more.
#[test]
fn r57_the_last_users_deletion_closes_a_room_without_proposals_of_the_hub() {
    let mut hub = Hub::new();
    let mut alice = member("alice@alpha.example/phone");
    let body = mimi_edge::wire::encode(&alice.creation(None)).unwrap();
    assert_eq!(hub.create(alices(), body).status, 201);
    hub.call(Source::Own, deleted(&alice.user()), Vec::new());
    is_closed(&mut hub, &mut alice);
}
