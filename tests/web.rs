//! In headless Chrome: the crate as WebAssembly, by its own exports and through the draft's story.
//! `wasm-pack test --headless --chrome` runs these; so does `npm test`.
#![cfg(target_arch = "wasm32")]

mod common;

use common::universe::{Faults, Universe, room, user};
use mimi_edge::{
    client::{AddOptions, CreateOptions, Event},
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
fn play(faults: Faults) {
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
}

#[wasm_bindgen_test]
fn the_drafts_story_in_a_browser() {
    play(Faults::none(1));
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

    const ALICE: &str = "alice@alpha.example";

    fn member(value: &JsValue, name: &str) -> JsValue {
        Reflect::get(value, &name.into()).unwrap()
    }

    #[wasm_bindgen_test]
    fn d9_a_new_device_registers_and_is_the_same_when_it_is_opened_again() {
        let now = js_sys::Date::now();
        let mut core = ClientCore::new(ALICE, Array::new(), now).unwrap();
        assert_eq!(core.user(), ALICE);
        let stored = core.take_changes();
        assert!(stored.length() > 0, "the device is to be stored before anything is sent");
        let request = core.poll_request(now).unwrap();
        assert_eq!(member(&request, "method"), "POST");
        assert_eq!(member(&request, "url"), "/client/v1/devices");

        let again = ClientCore::new(ALICE, stored, now).unwrap();
        assert_eq!(again.device(), core.device());
        let other = ClientCore::new(ALICE, Array::new(), now).unwrap();
        assert_ne!(other.device(), core.device(), "a device's name is random");
    }

    #[wasm_bindgen_test]
    fn what_is_wrong_is_thrown_with_a_code() {
        let now = js_sys::Date::now();
        let error = ClientCore::new("alice", Array::new(), now).err().unwrap();
        assert_eq!(member(&error, "code"), "bad-uri");
        let mut core = ClientCore::new(ALICE, Array::new(), now).unwrap();
        let error = core.send("clubhouse@alpha.example", b"hello".to_vec(), now).err().unwrap();
        assert_eq!(member(&error, "code"), "room-unknown");
        let error = core.create_room("clubhouse@bravo.example", now).err().unwrap();
        assert_eq!(member(&error, "code"), "bad-argument");
        let error = core
            .add_user(
                "clubhouse@alpha.example",
                "bob@bravo.example",
                vec!["king".into()],
                false,
                now,
            )
            .err()
            .unwrap();
        assert_eq!(member(&error, "code"), "bad-argument");
    }
}
