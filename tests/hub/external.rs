//! External commits (R36, R55, R56, R64–R66, R90, A17): a client joins by itself.

use mimi_edge::{
    room::codepoints::component,
    wire::{UpdateResponseCode as Code, encode},
};
use openmls::{
    messages::proposals::{AppDataUpdateProposal, PreSharedKeyProposal},
    schedule::PreSharedKeyId,
};

use crate::{
    BRAVO, CHARLIE, alices, bobs, cathys,
    common::{
        group::{SUITE, sync},
        hub::{Hub, Sent, provider, source_of},
        member::{Upload, adds, bans, member, removes, uri},
    },
    invalid, not_allowed,
};

#[test]
fn r55_an_external_commit_voids_the_queue() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let leave = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &leave);
    for proposal in hub.notified(CHARLIE) {
        alice.process(&proposal);
        cathy.process(&proposal);
    }
    let mut laptop = member("cathy@charlie.example/laptop");
    let upload = hub.external_commit(&mut laptop, &[]);
    hub.accept(cathys(), &upload);
    let commit = hub.notified(BRAVO).remove(0);
    for member in [&mut alice, &mut bob, &mut cathy] {
        member.process(&commit);
        assert_eq!(member.state(), laptop.state());
    }
    hub.restart();
    // Nothing waits; what waited is of an epoch that ended; it is sent again (R56).
    hub.accept(alices(), &alice.propose(Vec::new(), &[], &[]));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    let again = bob.leave(&[&bob.client.clone()]);
    hub.propose(bobs(), &again);
    hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &again);
}

#[test]
fn r55_a17_an_external_commit_has_to_cover_self_removes_and_nothing_else() {
    let (mut hub, mut alice, mut bob, mut cathy) = Hub::with_alice_bob_and_cathy();
    let app_sync = bob.app_sync(&removes(&bob.user()));
    let self_remove = bob.self_removal();
    hub.propose(bobs(), &[app_sync, self_remove.clone()]);
    let waiting = hub.notified(CHARLIE);
    let mut laptop = member("cathy@charlie.example/laptop");
    let upload = hub.external_commit(&mut laptop, &[]);
    hub.pending(cathys(), &upload, std::slice::from_ref(&self_remove));
    let upload = hub.external_commit(&mut laptop, &[self_remove]);
    hub.accept(cathys(), &upload);
    let commit = hub.notified(CHARLIE).remove(0);
    for member in [&mut alice, &mut cathy] {
        waiting.iter().for_each(|proposal| drop(member.process(proposal)));
        member.process(&commit);
        assert_eq!(member.state(), laptop.state());
        assert!(!member.clients().contains(&bob.client));
    }
}

#[test]
fn r90_a_client_that_is_there_replaces_its_leaf() {
    let (mut hub, mut alice, mut bob, _) = Hub::with_alice_bob_and_cathy();
    let upload = hub.external_commit(&mut bob, &[]);
    hub.accept(bobs(), &upload);
    let commit = hub.notified(CHARLIE).remove(0);
    alice.process(&commit);
    assert_eq!((alice.clients().len(), alice.state()), (3, bob.state()));
}

#[test]
fn r65_r90_a_joiner_keeps_no_second_leaf() {
    let (mut hub, _, _, _) = Hub::with_alice_bob_and_cathy();
    // The same client with another key: openmls does not remove the old leaf.
    let mut twin = member("bob@bravo.example/phone");
    let upload = hub.external_commit(&mut twin, &[]);
    hub.refuses_update(bobs(), upload.body(), invalid("a client has two leaves"));
}

/// Its leaf goes by its own SelfRemove, so it may come back under a new key (R55, A17).
#[test]
fn r65_r90_a_client_whose_leaf_goes_meanwhile_comes_in_with_another_key() {
    let (mut hub, mut alice, mut bob, _) = Hub::with_alice_bob_and_cathy();
    let self_remove = bob.self_removal();
    hub.propose(bobs(), std::slice::from_ref(&self_remove));
    let mut twin = member("bob@bravo.example/phone");
    let upload = hub.external_commit(&mut twin, &[self_remove]);
    hub.accept(bobs(), &upload);
    for message in hub.notified(CHARLIE) {
        alice.process(&message);
    }
    assert_eq!((alice.clients().len(), alice.state()), (3, twin.state()));
}

#[test]
fn r90_a_joiner_removes_no_other_client_not_even_of_its_user() {
    let (mut hub, mut alice, bob, cathy) = Hub::with_alice_bob_and_cathy();
    let mut laptop = member("bob@bravo.example/laptop");
    hub.add(&mut alice, &mut laptop);
    let refused = not_allowed("a joiner removes another client");
    // A client with the key of another: openmls removes the leaf of that key.
    for (joins, key_of, source) in [
        ("bob@bravo.example/tablet", &bob, bobs()),
        ("bob@bravo.example/tablet", &laptop, bobs()),
        ("bob@bravo.example/tablet", &cathy, bobs()),
    ] {
        let mut joiner = member(joins);
        let key = serde_json::to_value(&key_of.key).unwrap();
        joiner.key = serde_json::from_value(key).unwrap();
        let upload = hub.external_commit(&mut joiner, &[]);
        hub.settle();
        hub.refuses_update(source, upload.body(), refused);
    }
}

#[test]
fn r64_r66_an_external_commit_comes_from_the_joiners_provider_and_of_ours_from_the_device() {
    let (mut hub, _, _, _) = Hub::with_alice_bob_and_cathy();
    let refused = not_allowed("not the joiner's provider");
    let mut laptop = member("bob@bravo.example/laptop");
    let body = hub.external_commit(&mut laptop, &[]).body();
    for source in [cathys(), alices(), provider("bravo.example.org")] {
        hub.refuses_update(source, body.clone(), refused);
    }
    let mut tablet = member("alice@alpha.example/tablet");
    let upload = hub.external_commit(&mut tablet, &[]);
    for source in [alices(), bobs()] {
        hub.refuses_update(source, upload.body(), refused);
    }
    hub.accept(source_of(&tablet.client), &upload);
    assert_eq!(tablet.epoch(), 3);
}

#[test]
fn r9_r90_only_participants_join() {
    let (mut hub, mut alice, bob, _) = Hub::with_alice_bob_and_cathy();
    let why = not_allowed("a client enters whose user does not take part");
    let (group_info, tree) = hub.group_info(&alice);
    let mut dave = member("dave@charlie.example/phone");
    let upload = dave.external_commit(&group_info, &tree, &[]);
    hub.refuses_update(cathys(), upload.body(), why);
    // Banned, and taken off the list.
    for change in [bans, removes] {
        hub.accept(alices(), &alice.propose(vec![sync(&change(&bob.user()))], &[], &[]));
        alice.merge_own();
        hub.settle();
        let (group_info, tree) = hub.group_info(&alice);
        let mut laptop = member("bob@bravo.example/laptop");
        let upload = laptop.external_commit(&group_info, &tree, &[]);
        hub.refuses_update(bobs(), upload.body(), why);
    }
}

#[test]
fn r36_an_external_commit_carries_no_app_sync_and_no_psk() {
    let (mut hub, _, _, _) = Hub::with_alice_bob_and_cathy();
    let why = not_allowed("an external commit carries no AppSync and no PSK");
    let mut laptop = member("bob@bravo.example/laptop");
    let (group_info, tree) = hub.group_info(&laptop);
    let app_sync = encode(&adds(&uri("dave@alpha.example"))).unwrap();
    let upload = laptop.external_commit_with(&group_info, &tree, &[], |builder| {
        let update = AppDataUpdateProposal::update(component::PARTICIPANT_LIST, app_sync);
        builder.add_app_data_update_proposal(update)
    });
    hub.refuses_update(bobs(), upload.body(), why);
    let psk = PreSharedKeyId::external(b"psk".to_vec(), vec![7; SUITE.hash_length()]);
    laptop.step(|provider, _| psk.store(provider, &[1; 32])).unwrap();
    let upload = laptop.external_commit_with(&group_info, &tree, &[], |builder| {
        builder.add_psk_proposal(PreSharedKeyProposal::new(psk))
    });
    hub.refuses_update(bobs(), upload.body(), why);
}

#[test]
fn r47_r48_an_external_commit_ends_the_epoch_like_any_other() {
    let (mut hub, mut alice, _, _) = Hub::with_alice_bob_and_cathy();
    let mut laptop = member("bob@bravo.example/laptop");
    let late = hub.external_commit(&mut laptop, &[]);
    let mut tablet = member("cathy@charlie.example/tablet");
    let first = hub.external_commit(&mut tablet, &[]);
    hub.accept(cathys(), &first);
    hub.settle();
    hub.refuses_update(bobs(), late.body(), (409, Code::WrongEpoch, "epoch=3"));
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.refuses_update(alices(), upload.body(), (409, Code::WrongEpoch, "epoch=3"));
    let again = hub.external_commit(&mut laptop, &[]);
    hub.accept(bobs(), &again);
}

#[test]
fn r46_r50_what_comes_with_an_external_commit_is_checked() {
    let (mut hub, mut alice, _, _) = Hub::with_alice_bob_and_cathy();
    let mut dave = member("dave@alpha.example/phone");
    let welcome = hub.addition(&mut alice, &mut dave).welcome;
    alice.clear_own();
    let mut laptop = member("bob@bravo.example/laptop");
    let upload = hub.external_commit(&mut laptop, &[]);
    hub.settle();
    let (old, _) = hub.group_info(&alice);
    let other = Upload { group_info: old, ..upload.clone() };
    let refused = invalid("the GroupInfo is not of this commit");
    hub.refuses_update(bobs(), other.body(), refused);
    let invited = Upload { welcome, ..upload.clone() };
    hub.refuses_update(bobs(), invited.body(), invalid("a Welcome for nobody"));
    let mut flipped = upload.clone();
    *flipped.group_info.last_mut().unwrap() ^= 1;
    hub.refuses_update(bobs(), flipped.body(), invalid("the GroupInfo's signature"));
    hub.accept(bobs(), &upload);
}

#[test]
fn r75_r81_it_goes_to_everybody_and_to_a_provider_that_had_no_leaf() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let cathy_user = uri("cathy@charlie.example");
    hub.accept(alices(), &alice.propose(vec![sync(&adds(&cathy_user))], &[], &[]));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    let mut cathy = member("cathy@charlie.example/phone");
    let upload = hub.external_commit(&mut cathy, &[]);
    hub.accept(cathys(), &upload);
    let sent = hub.deliver();
    let receivers: Vec<_> = sent
        .iter()
        .map(|sent| match sent {
            Sent::Notify { to, .. } => to.as_str(),
            Sent::Call(call) => panic!("{call:?}"),
        })
        .collect();
    assert_eq!(receivers, [BRAVO, CHARLIE]);
    assert_eq!(sent[1].fanout()[0].message.bytes()[4..], upload.message);
    // From then on it is in the room.
    alice.process(&sent[0].fanout()[0]);
    assert_eq!(hub.submit(alices(), alice.message("welcome")).status, 200);
    let message = hub.notified(CHARLIE).remove(0);
    assert_eq!(cathy.process(&message).unwrap(), b"welcome");
    assert_eq!(hub.submit(cathys(), cathy.message("thanks")).status, 200);
}

#[test]
fn d11_an_own_device_reads_from_its_external_commit_on() {
    let (mut hub, mut alice, _, _) = Hub::with_alice_bob_and_cathy();
    assert_eq!(hub.submit(alices(), alice.message("before")).status, 200);
    let mut laptop = member("alice@alpha.example/laptop");
    let upload = hub.external_commit(&mut laptop, &[]);
    hub.accept(source_of(&laptop.client), &upload);
    alice.process(&hub.notified(BRAVO).pop().unwrap());
    assert_eq!(hub.submit(alices(), alice.message("after")).status, 200);
    let events = hub.events(&laptop.client, 0);
    assert_eq!(events.len(), 1);
    assert_eq!(laptop.process(&events[0].message).unwrap(), b"after");
}

#[test]
fn r7_a_forged_external_commit_is_refused() {
    let (mut hub, _, _, _) = Hub::with_alice_bob_and_cathy();
    let mut laptop = member("bob@bravo.example/laptop");
    let mut upload = hub.external_commit(&mut laptop, &[]);
    // The signature stands before the confirmation tag; there is no membership tag.
    let at = upload.message.len() - 33 - 1;
    upload.message[at] ^= 1;
    hub.refuses_update(bobs(), upload.body(), invalid("MLS refuses the message"));
}
