//! Fan-out (R60, R75–R80, R83, R84; D3, D11) and what own devices read of the log.

use mimi_edge::{
    mls::ratchet_tree,
    time::UnixMillis,
    transport::{Effect, Endpoint, ObjectName, Outgoing, Response, Source},
    wire::{
        EventPage, FromProvider, RatchetTreeOption, RoomProfile, decode_concatenated, decode_exact,
        uri::ClientUri,
    },
};

use crate::common::{
    group::{Member, membership, no_membership, room, sync},
    hub::{Hub, Sent, accepted_at, provider, source_of},
    member::{adds, member, removes, uri},
};

const BRAVO: &str = "bravo.example";
const CHARLIE: &str = "charlie.example";

fn alices(alice: &Member) -> Source {
    source_of(&alice.client)
}

/// The providers that get something, in order of sending.
fn receivers(sent: &[Sent]) -> Vec<&str> {
    sent.iter()
        .map(|sent| match sent {
            Sent::Notify { to, .. } => to.as_str(),
            Sent::Call(call) => call.object.name.as_str(),
        })
        .collect()
}

#[test]
fn d3_the_commit_and_then_the_welcome_in_one_body() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut beth = member("beth@bravo.example/phone");
    let upload = hub.addition(&mut alice, &mut beth);
    hub.accept(alices(&alice), &upload);
    let sent = hub.deliver();
    let [Sent::Notify { label, .. }] = &sent[..] else { panic!("{sent:?}") };
    assert!(label.starts_with("commit ") && label.contains(" kB, welcome + tree "), "{label}");
    let [commit, welcome] = &sent[0].fanout()[..] else { panic!("{sent:?}") };
    assert_eq!(commit.message.bytes()[..4], [0, 1, 0, 1]);
    assert_eq!(commit.message.bytes()[4..], upload.message);
    assert_eq!(welcome.message.bytes()[..4], [0, 1, 0, 3]);
    assert_eq!(Some(&welcome.message.bytes()[4..]), upload.welcome.as_deref());
    bob.process(commit);
    beth.enter(welcome);
    assert_eq!((bob.epoch(), beth.epoch()), (2, 2));
}

#[test]
fn d3_a_provider_new_to_the_room_gets_the_welcome_only() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let upload = hub.addition(&mut alice, &mut cathy);
    hub.accept(alices(&alice), &upload);
    let sent = hub.deliver();
    assert_eq!(receivers(&sent), [BRAVO, CHARLIE]);
    assert_eq!(sent[0].fanout().len(), 1);
    let [welcome] = &sent[1].fanout()[..] else { panic!("{sent:?}") };
    cathy.enter(welcome);
}

#[test]
fn r76_the_welcome_goes_to_nobody_else() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let upload = hub.addition(&mut alice, &mut cathy);
    hub.accept(alices(&alice), &upload);
    let to_bravo = hub.notified(BRAVO);
    assert!(to_bravo.iter().all(|message| message.ratchet_tree_option.is_none()));
}

#[test]
fn d3_one_welcome_per_provider_and_one_per_own_user() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut packages = Vec::new();
    let mut entrants: Vec<Vec<Member>> = [
        ["cathy@charlie.example/phone", "cathy@charlie.example/laptop"],
        ["chris@charlie.example/phone", "chris@charlie.example/laptop"],
        ["dave@alpha.example/phone", "dave@alpha.example/laptop"],
    ]
    .map(|clients| clients.map(member).into())
    .into();
    let mut app_syncs = Vec::new();
    for clients in &mut entrants {
        let mut clients: Vec<_> = clients.iter_mut().collect();
        packages.extend(hub.claim(&alice.client, &mut clients));
        app_syncs.push(sync(&adds(&clients[0].user())));
    }
    let upload = alice.propose(app_syncs, &packages, &[]);
    hub.accept(alices(&alice), &upload);
    let sent = hub.deliver();
    let dave = ObjectName::user(&uri("dave@alpha.example"));
    let to_dave: Vec<_> = sent
        .iter()
        .filter_map(|sent| match sent {
            Sent::Call(call) if call.object == dave => Some(call.request.endpoint.clone()),
            _ => None,
        })
        .collect();
    let membership = membership(Some(RoomProfile::B));
    assert_eq!(to_dave, [membership, Endpoint::DeliverWelcome { room: room() }]);
    let to_charlie: Vec<_> = sent
        .iter()
        .filter(|sent| matches!(sent, Sent::Notify { to, .. } if to == CHARLIE))
        .collect();
    assert_eq!((to_charlie.len(), to_charlie[0].fanout().len()), (1, 1));
    for clients in &mut entrants {
        for client in clients {
            let welcome = sent.iter().find_map(|sent| sent.welcome_for(&client.client));
            client.enter(&welcome.unwrap());
            assert_eq!(client.epoch(), 2);
        }
    }
}

#[test]
fn r60_r75_everybodys_provider_gets_it_the_senders_too() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    hub.add(&mut alice, &mut cathy);
    bob.process(&hub_commit(&mut hub, &alice.client, 2));
    hub.accept(provider(BRAVO), &bob.propose(Vec::new(), &[], &[]));
    assert_eq!(receivers(&hub.deliver()), [BRAVO, CHARLIE]);
    bob.merge_own();
    assert_eq!(hub.submit(provider(BRAVO), bob.message("hello")).status, 200);
    let sent = hub.deliver();
    assert_eq!(receivers(&sent), [BRAVO, CHARLIE]);
    let [Sent::Notify { body: first, .. }, Sent::Notify { body: second, .. }] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(first, second, "R79: identical in every copy");
}

/// The event at `position`, as alice's device reads it.
fn hub_commit(hub: &mut Hub, device: &ClientUri, position: u64) -> mimi_edge::wire::FanoutMessage {
    let page = events(hub, device, position - 1);
    page.events.into_iter().next().unwrap().message
}

fn events(hub: &mut Hub, device: &ClientUri, after: u64) -> EventPage {
    let endpoint = Endpoint::Events { room: room(), after };
    let response = hub.call(source_of(device), endpoint, Vec::new());
    assert_eq!(response.status, 200);
    decode_exact(&response.body).unwrap()
}

#[test]
fn r79_timestamps_strictly_increase_whatever_the_clock_does() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut last = 0;
    for step in [5_000_u64, 0, 0, 1] {
        hub.now = UnixMillis(hub.now.0 + step);
        let timestamp = accepted_at(&hub.submit(alices(&alice), alice.message("tick")));
        assert!(timestamp > last && timestamp >= hub.now.0);
        last = timestamp;
    }
    hub.now = UnixMillis(hub.now.0 - 60_000);
    let timestamp = accepted_at(&hub.submit(alices(&alice), alice.message("back")));
    assert_eq!(timestamp, last + 1);
}

#[test]
fn r79_a_welcome_has_its_commits_timestamp() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut beth = member("beth@bravo.example/phone");
    let upload = hub.addition(&mut alice, &mut beth);
    hub.accept(alices(&alice), &upload);
    let [commit, welcome] = &hub.notified(BRAVO)[..] else { panic!() };
    assert_eq!(commit.timestamp, welcome.timestamp);
}

#[test]
fn r80_a30_the_tree_comes_with_the_welcome_alone_and_is_the_hubs() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut beth = member("beth@bravo.example/phone");
    let upload = hub.addition(&mut alice, &mut beth);
    hub.accept(alices(&alice), &upload);
    let [commit, welcome] = &hub.notified(BRAVO)[..] else { panic!() };
    assert_eq!(commit.ratchet_tree_option, None);
    alice.merge_own();
    let own = alice
        .with_group(|group, _, _| ratchet_tree::to_wire(&group.export_ratchet_tree()))
        .unwrap();
    assert_eq!(welcome.ratchet_tree_option, Some(RatchetTreeOption::Full(own)));
}

#[test]
fn r83_a_provider_without_a_leaf_left_drops_out_after_the_commit() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let removal = alice.propose(vec![sync(&removes(&bob.user()))], &[], &[&bob.client]);
    hub.accept(alices(&alice), &removal);
    alice.merge_own();
    assert_eq!(receivers(&hub.deliver()), [BRAVO]);
    assert_eq!(hub.submit(alices(&alice), alice.message("alone")).status, 200);
    hub.accept(alices(&alice), &alice.propose(Vec::new(), &[], &[]));
    assert_eq!(hub.deliver(), Vec::new());
}

#[test]
fn r84_a_dead_follower_stalls_nobody_and_gets_everything_in_order_later() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    hub.add(&mut alice, &mut cathy);
    bob.process(&hub_commit(&mut hub, &alice.client, 2));
    for text in ["one", "two", "three"] {
        assert_eq!(hub.submit(alices(&alice), alice.message(text)).status, 200);
        let mut reached = Vec::new();
        let now = hub.now;
        while let Some(request) = hub.object().poll_request(now).unwrap() {
            let Outgoing::Http(call) = &request.outgoing else { panic!("{request:?}") };
            let is_dead = call.url.contains(BRAVO);
            let outcome = if is_dead { None } else { Some(Response::empty(200)) };
            reached.push(is_dead);
            hub.object().handle_response(request.id, outcome, now).unwrap();
        }
        assert!(reached.contains(&false), "{text} reaches charlie at once");
    }
    hub.now = hub.object().next_wake().unwrap().unwrap();
    let sent = hub.deliver();
    assert_eq!(receivers(&sent), [BRAVO], "R78: what waited goes in one body");
    let texts: Vec<_> =
        sent[0].fanout().iter().map(|message| bob.process(message).unwrap()).collect();
    assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
}

#[test]
fn r74_no_message_is_kept_shorter_than_another() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let (typing, long) = ("…", "long ".repeat(1000));
    let texts = ["", typing, &long, typing];
    for text in texts {
        assert_eq!(hub.submit(alices(&alice), alice.message(text)).status, 200);
    }
    // Nobody was there for a day; then all of them come, in order.
    hub.now = hub.now.plus(24 * 60 * 60 * 1000);
    hub.restart();
    let received: Vec<_> = hub
        .notified(BRAVO)
        .iter()
        .map(|message| String::from_utf8(bob.process(message).unwrap()).unwrap())
        .collect();
    assert_eq!(received, texts);
    assert_eq!(events(&mut hub, &alice.client, 1).events.len(), texts.len(), "in the log too");
}

#[test]
fn r82_a_refused_batch_is_sent_singly_and_what_is_final_is_skipped() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    for text in ["one", "two", "three"] {
        assert_eq!(hub.submit(alices(&alice), alice.message(text)).status, 200);
    }
    let now = hub.now;
    let mut sizes = Vec::new();
    while let Some(request) = hub.object().poll_request(now).unwrap() {
        let Outgoing::Http(call) = &request.outgoing else { panic!("{request:?}") };
        let messages = decode_concatenated::<mimi_edge::wire::FanoutMessage>(&call.body).unwrap();
        sizes.push(messages.len());
        // The second one alone is at fault.
        let status = if sizes.len() == 1 || sizes.len() == 3 { 400 } else { 200 };
        hub.object().handle_response(request.id, Some(Response::empty(status)), now).unwrap();
    }
    assert_eq!(sizes, [3, 1, 1, 1]);
    assert_eq!(hub.object().next_wake().unwrap(), None);
}

#[test]
fn d10_own_users_learn_that_they_are_in_and_that_they_are_out() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let dave = uri("dave@alpha.example");
    let mut memberships = |app_sync| {
        hub.accept(alices(&alice), &alice.propose(vec![sync(&app_sync)], &[], &[]));
        alice.merge_own();
        let sent = hub.deliver();
        let calls = sent.into_iter().filter_map(|sent| match sent {
            Sent::Call(call) => Some((call.object, call.request.endpoint)),
            Sent::Notify { .. } => None,
        });
        calls.collect::<Vec<_>>()
    };
    let of_dave = |endpoint| vec![(ObjectName::user(&dave), endpoint)];
    assert_eq!(memberships(adds(&dave)), of_dave(membership(Some(RoomProfile::B))));
    assert_eq!(memberships(adds(&uri("cathy@charlie.example"))), vec![]);
    assert_eq!(memberships(removes(&dave)), of_dave(no_membership()));
}

#[test]
fn d11_an_own_device_reads_from_its_entry_to_its_removal() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let mut dave = member("dave@alpha.example/phone");
    let stranger = Endpoint::Events { room: room(), after: 0 };
    let refused = hub.call(source_of(&dave.client), stranger.clone(), Vec::new());
    assert_eq!(refused.status, 403);
    assert_eq!(hub.call(provider(BRAVO), stranger, Vec::new()).status, 403);

    hub.add(&mut alice, &mut dave);
    assert_eq!(hub.submit(alices(&alice), alice.message("hello dave")).status, 200);
    let page = events(&mut hub, &dave.client, 0);
    let positions: Vec<_> =
        page.events.iter().map(|event| (event.position, event.previous)).collect();
    assert_eq!((positions, page.end), (vec![(3, 0)], 3));
    assert_eq!(dave.process(&page.events[0].message).unwrap(), b"hello dave");

    let removal = alice.propose(vec![sync(&removes(&dave.user()))], &[], &[&dave.client]);
    hub.accept(alices(&alice), &removal);
    alice.merge_own();
    assert_eq!(hub.submit(alices(&alice), alice.message("goodbye")).status, 200);
    let page = events(&mut hub, &dave.client, 3);
    let positions: Vec<_> = page.events.iter().map(|event| event.position).collect();
    assert_eq!(positions, [4], "the commit that removes it, and nothing after");
    let all: Vec<_> =
        events(&mut hub, &alice.client, 0).events.iter().map(|event| event.position).collect();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    assert_eq!(bob.client.domain().as_str(), BRAVO);
}

#[test]
fn r75_connected_own_devices_get_a_push() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    hub.effects();
    assert_eq!(hub.submit(provider(BRAVO), bob.message("hello")).status, 200);
    let effects = hub.effects();
    let [Effect::Push { call, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(call.object, ObjectName::user(&alice.user()));
    assert_eq!(call.request.endpoint, Endpoint::Push { devices: vec![alice.client.clone()] });
    let FromProvider::Event(event) = decode_exact(&call.request.body).unwrap() else { panic!() };
    assert_eq!((event.position, event.previous), (2, 1));
    // Alice was in epoch 1 already: her commit was the first event.
    assert_eq!(alice.process(&event.message).unwrap(), b"hello");
}

/// Who has nobody connected is not called for every message; a device that connects asks for what it
/// lacks, and is called again.
#[test]
fn d11_users_without_a_connected_device_get_no_push_until_they_ask() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    hub.effects();
    let mut hello = |hub: &mut Hub, text: &str| {
        assert_eq!(hub.submit(provider(BRAVO), bob.message(text)).status, 200);
        hub.effects()
    };
    let pushes = hello(&mut hub, "one");
    assert_eq!(pushes.len(), 1);
    hub.found_none(&pushes[0]);
    assert_eq!(hello(&mut hub, "two"), []);

    // A push that was under way when the device asked says nothing of what is now.
    let events = || Endpoint::Events { room: room(), after: 0 };
    hub.request(alices(&alice), events(), Vec::new(), |_| None);
    hub.found_none(&pushes[0]);
    let pushes = hello(&mut hub, "three");
    assert_eq!(pushes.len(), 1);
    hub.found_none(&pushes[0]);
    assert_eq!(hello(&mut hub, "four"), []);

    // What the object knew is gone with it.
    hub.restart();
    let pushes = hello(&mut hub, "five");
    assert_eq!(pushes.len(), 1);
    hub.found_none(&pushes[0]);

    // Who has something in the inbox may well be there to read it: a Welcome.
    let mut anna = member("anna@alpha.example/phone");
    hub.add(&mut alice, &mut anna);
    hub.effects();
    let say = |hub: &mut Hub, alice: &mut Member, text: &str| {
        assert_eq!(hub.submit(alices(alice), alice.message(text)).status, 200);
        hub.effects()
    };
    let pushes = say(&mut hub, &mut alice, "six");
    assert_eq!(pushes.len(), 2);
    hub.found_none(&pushes[1]);
    assert_eq!(say(&mut hub, &mut alice, "seven").len(), 1);
    let mut tablet = member("anna@alpha.example/tablet");
    hub.add(&mut alice, &mut tablet);
    hub.effects();
    // Her devices have read different events before this one: a push for each.
    assert_eq!(say(&mut hub, &mut alice, "eight").len(), 3);
}
