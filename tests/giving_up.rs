//! A provider that is gone for days: given up, found again, and its devices back in the room (D22).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{
    scene::{ALICE, BOB, CATHY, ROOM, Scene},
    universe::room,
};
use mimi_edge::client::Event;

const HOUR_MILLIS: u64 = 60 * 60 * 1000;

/// So much time goes by; whatever is to be done meanwhile is done.
fn pass(scene: &mut Scene, millis: u64) {
    let end = scene.universe.now.plus(millis);
    while scene.universe.now < end {
        scene.universe.run();
        // Nothing was left to do: the clock stands.
        scene.universe.now = scene.universe.now.plus(HOUR_MILLIS / 4).min(end);
    }
    scene.universe.run();
}

#[test]
fn d22_r84_a_provider_that_was_gone_for_days_is_given_up_and_comes_back_by_external_commit() {
    let (mut scene, [alice, bob, cathy]) = Scene::new(22);
    scene.universe.set_online(&bob, false);
    scene.universe.provider("bravo.example").online = false;
    scene.send(&alice, "bob?");
    scene.commit(&cathy);
    scene.commit(&alice);
    // R84: the others go on meanwhile.
    assert_eq!(scene.messages(&cathy), ["bob?"]);
    pass(&mut scene, 73 * HOUR_MILLIS);
    let tries = |scene: &Scene| {
        let to_bravo = scene.universe.exchanges.iter();
        to_bravo.filter(|exchange| exchange.to.as_str() == "bravo.example").count()
    };
    let before = tries(&scene);
    assert!(before > 500, "{before}");
    pass(&mut scene, 24 * HOUR_MILLIS);
    assert_eq!(tries(&scene), before, "nothing waits for bravo any more");

    scene.universe.provider("bravo.example").online = true;
    scene.universe.set_online(&bob, true);
    pass(&mut scene, HOUR_MILLIS);
    scene.send(&alice, "bob, are you there?");
    pass(&mut scene, 2 * HOUR_MILLIS);
    let events = scene.universe.events(&bob);
    assert!(events.contains(&Event::Gap { room: room(ROOM) }), "{events:?}");
    assert!(events.contains(&Event::Rejoined { room: room(ROOM) }), "{events:?}");
    assert_eq!(scene.agree(&[&alice, &bob, &cathy]), [ALICE, BOB, CATHY]);
    scene.universe.events(&alice);
    scene.send(&bob, "here again");
    assert_eq!(scene.messages(&alice), ["here again"]);
    scene.send(&alice, "good");
    assert_eq!(scene.messages(&bob), ["good"]);
}
