//! In headless Chrome: the crate as WebAssembly, by its own exports and through the draft's story.
//! `wasm-pack test --headless --chrome` runs these; so does `npm test`.
#![cfg(target_arch = "wasm32")]

mod common;

use common::universe::{Faults, Universe, room, user};
use mimi_edge::{
    client::{AddOptions, CreateOptions, Event, RoomPhase},
    wire::uri::ClientUri,
};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const ROOM: &str = "clubhouse@alpha.example";

fn add(universe: &mut Universe, by: &ClientUri, whom: &ClientUri) {
    let whom = user(whom.user().as_str());
    universe
        .act(by, |client, now| client.add_user(&room(ROOM), &whom, AddOptions::default(), now))
        .unwrap();
    universe.run();
    universe.calm_down();
}

/// Clients and providers of the story, all of them WebAssembly in the page.
fn play(faults: Faults) -> (Universe, [ClientUri; 3]) {
    let mut universe = Universe::new(&["alpha.example", "bravo.example", "charlie.example"], 7);
    let alice = universe.add_device("alice@alpha.example");
    let bob = universe.add_device("bob@bravo.example");
    let cathy = universe.add_device("cathy@charlie.example");
    universe.run();
    universe.faults = faults;
    universe
        .act(&alice, |client, now| client.create_room(&room(ROOM), CreateOptions::default(), now))
        .unwrap();
    universe.run();
    universe.calm_down();
    add(&mut universe, &alice, &bob);
    add(&mut universe, &bob, &cathy);
    universe.act(&cathy, |client, now| client.send(&room(ROOM), b"hello".to_vec(), now)).unwrap();
    universe.run();
    for device in [&alice, &bob, &cathy] {
        universe.reopen(device);
    }
    universe.calm_down();

    let states = [&alice, &bob, &cathy].map(|device| {
        universe.act(device, |client, _| client.room_state(&room(ROOM))).unwrap().unwrap()
    });
    for state in &states {
        assert_eq!(state.epoch, 2);
        assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
        assert_eq!(state.participants, states[0].participants);
    }
    for device in [&alice, &bob] {
        let messages: Vec<_> = universe
            .events(device)
            .into_iter()
            .filter_map(|event| match event {
                Event::Message(message) => Some((message.sender, message.content)),
                _ => None,
            })
            .collect();
        assert_eq!(messages, [(cathy.clone(), b"hello".to_vec())]);
    }
    (universe, [alice, bob, cathy])
}

#[wasm_bindgen_test]
fn the_drafts_story_in_a_browser() {
    play(Faults::none(1));
}

#[wasm_bindgen_test]
fn r54_r57_bob_leaves_in_a_browser_and_cathys_commit_takes_him_out() {
    let (mut universe, [alice, bob, cathy]) = play(Faults::none(1));
    universe.act(&bob, |client, now| client.leave(&room(ROOM), now)).unwrap();
    universe.run();
    universe.act(&cathy, |client, now| client.update_keys(&room(ROOM), now)).unwrap();
    universe.run();
    let mut state_of =
        |device| universe.act(device, |client, _| client.room_state(&room(ROOM))).unwrap().unwrap();
    assert_eq!(state_of(&bob).phase, RoomPhase::Left);
    for device in [&alice, &cathy] {
        let state = state_of(device);
        let users: Vec<_> = state.participants.into_iter().map(|entry| entry.user).collect();
        assert_eq!((state.epoch, users), (3, vec![alice.user(), cathy.user()]));
    }
}

#[wasm_bindgen_test]
fn r67_the_story_in_a_browser_on_a_bad_network() {
    play(Faults::stormy(1));
}

#[cfg(feature = "wasm-client")]
mod exports {
    use js_sys::{Array, Reflect};
    use mimi_edge::wasm::ClientCore;
    use wasm_bindgen::JsValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::ROOM;

    const ALICE: &str = "alice@alpha.example";
    const BOB: &str = "bob@bravo.example";

    fn member(value: &JsValue, name: &str) -> JsValue {
        Reflect::get(value, &name.into()).unwrap()
    }

    #[wasm_bindgen_test]
    fn d9_a_new_device_registers_and_is_the_same_when_it_is_opened_again() {
        let now = js_sys::Date::now();
        let mut core = ClientCore::new(ALICE, Array::new(), None, now, None, None).unwrap();
        assert_eq!(core.user(), ALICE);
        let stored = core.take_changes();
        assert!(stored.length() > 0, "the device is to be stored before anything is sent");
        let request = core.poll_request(now).unwrap();
        assert_eq!(member(&request, "method"), "POST");
        assert_eq!(member(&request, "url"), "/client/v1/devices");

        let again = ClientCore::new(ALICE, stored, None, now, None, None).unwrap();
        assert_eq!(again.device(), core.device());
        let other = ClientCore::new(ALICE, Array::new(), None, now, None, None).unwrap();
        assert_ne!(other.device(), core.device(), "a device's name is random");
    }

    #[wasm_bindgen_test]
    fn what_is_wrong_is_thrown_with_a_code() {
        let now = js_sys::Date::now();
        let error = ClientCore::new("alice", Array::new(), None, now, None, None).err().unwrap();
        assert_eq!(member(&error, "code"), "bad-uri");
        let mut core = ClientCore::new(ALICE, Array::new(), None, now, None, None).unwrap();
        let key = "0123456789abcdef0123456789abcdef";
        let error = core.send(ROOM, key, b"hello".to_vec(), now).err().unwrap();
        assert_eq!(member(&error, "code"), "room-unknown");
        let error = core.send(ROOM, "k", b"hello".to_vec(), now).err().unwrap();
        assert_eq!(member(&error, "code"), "bad-argument");
        let code = |refused: Result<f64, JsValue>| {
            member(&refused.err().unwrap(), "code").as_string().unwrap()
        };
        assert_eq!(
            code(core.create_room("clubhouse@bravo.example", "B", true, &Array::new(), now)),
            "bad-argument"
        );
        assert_eq!(code(core.create_room(ROOM, "C", true, &Array::new(), now)), "bad-argument");
        let king = vec!["king".into()];
        assert_eq!(code(core.add_user(ROOM, BOB, king.clone(), false, false, now)), "bad-argument");
        assert_eq!(code(core.set_roles(ROOM, BOB, king, now)), "bad-argument");
        assert_eq!(code(core.remove_user(ROOM, "bob", now)), "bad-uri");
        assert_eq!(code(core.request_consent(ALICE, None, now)), "bad-argument");
        assert_eq!(code(core.grant_consent(BOB, Some("clubhouse".into()), false, now)), "bad-uri");
        let own = core.device();
        let error = core.revoke_device(&own, now).err().unwrap();
        assert_eq!(member(&error, "code"), "bad-argument");
    }

    #[wasm_bindgen_test]
    fn what_is_wished_for_in_a_room_that_is_not_there_is_thrown_back() {
        let now = js_sys::Date::now();
        let mut core = ClientCore::new(ALICE, Array::new(), None, now, None, None).unwrap();
        let roles = || vec!["visitor".to_owned()];
        let refused = [
            core.add_user(ROOM, BOB, roles(), false, true, now),
            core.remove_user(ROOM, BOB, now),
            core.set_roles(ROOM, BOB, roles(), now),
            core.leave(ROOM, now),
            core.remove_device(ROOM, "bob@bravo.example/phone", now),
            core.set_policy(ROOM, vec![1], now),
            core.update_keys(ROOM, now),
        ];
        for refused in refused {
            assert_eq!(member(&refused.err().unwrap(), "code"), "room-unknown");
        }
        assert!(!core.cancel(ROOM, 1.0, now).unwrap());
        assert!(core.room_state(ROOM).unwrap().is_undefined());
    }

    #[wasm_bindgen_test]
    fn r91_a_pseudonym_is_asked_for_and_garbage_is_none() {
        let now = js_sys::Date::now();
        let mut core = ClientCore::new(ALICE, Array::new(), None, now, None, None).unwrap();
        core.request_pseudonym(now).unwrap();
        assert_eq!(core.pseudonyms().unwrap().length(), 0, "the provider has not answered");
        assert_eq!(
            member(&core.forget_pseudonym(&[1, 2], now).unwrap_err(), "code"),
            "bad-argument"
        );
        let refused = ClientCore::new(ALICE, Array::new(), Some(vec![1, 2]), now, None, None);
        assert_eq!(member(&refused.err().unwrap(), "code"), "bad-argument");
    }

    #[wasm_bindgen_test]
    fn r95_what_is_said_about_consent_and_devices_waits_for_the_provider() {
        let now = js_sys::Date::now();
        let mut core = ClientCore::new(ALICE, Array::new(), None, now, None, None).unwrap();
        let names = [
            core.request_consent(BOB, Some(ROOM.into()), now).unwrap(),
            core.cancel_consent(BOB, Some(ROOM.into()), now).unwrap(),
            core.grant_consent(BOB, None, false, now).unwrap(),
            core.grant_consent(BOB, None, true, now).unwrap(),
            core.revoke_consent(BOB, None, now).unwrap(),
            core.revoke_device("alice@alpha.example/lost", now).unwrap(),
            core.delete_user(now).unwrap(),
        ];
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
        core.retry_now(now).unwrap();
        for list in [core.consent_incoming(), core.consent_granted(), core.devices()] {
            assert_eq!(list.unwrap().length(), 0);
        }
    }
}
