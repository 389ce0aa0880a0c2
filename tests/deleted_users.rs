//! A user deleted at the room's hub, among real providers (D19, R56, R77).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{
    scene::{ALICE, BOB, CATHY, ROOM, Scene},
    universe::{Faults, room, user},
};
use mimi_edge::transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, Source};

/// Alice's provider, the hub, deletes her.
fn delete_alice(scene: &mut Scene) {
    let call = ObjectCall {
        object: ObjectName::user(&user(ALICE)),
        request: IncomingRequest {
            source: Source::Own,
            endpoint: Endpoint::DeleteUser,
            body: Vec::new(),
        },
    };
    let domain = user(ALICE).domain().clone();
    assert_eq!(scene.universe.call(&domain, call).status, 200);
}

#[test]
fn r56_r77_d19_the_next_commit_takes_a_deleted_user_out() {
    let (mut scene, [_, bob, cathy]) = Scene::new(1);
    delete_alice(&mut scene);
    scene.universe.run();
    scene.ask(&cathy, |cathy, now| cathy.update_keys(&room(ROOM), now));
    scene.universe.run();
    assert_eq!(scene.agree(&[&bob, &cathy]), [BOB, CATHY]);
    assert_eq!(scene.failures(&cathy), [] as [&str; 0]);
    scene.send(&bob, "she is gone");
    assert_eq!(scene.messages(&cathy), ["she is gone"]);
}

#[test]
fn r55_r56_a_deletion_that_races_with_an_external_commit_ends_with_the_user_out() {
    for seed in 0..4 {
        let (mut scene, [_, bob, cathy]) = Scene::new(seed);
        let second = scene.universe.add_device(CATHY);
        scene.universe.run();
        scene.universe.faults = Faults::stormy(seed);
        scene.ask(&second, |second, now| second.join_room(&room(ROOM), now));
        delete_alice(&mut scene);
        scene.universe.run_steps(8);
        scene.universe.calm_down();
        scene.universe.faults = Faults::none(seed);
        scene.ask(&bob, |bob, now| bob.update_keys(&room(ROOM), now));
        scene.universe.run();
        assert_eq!(scene.agree(&[&bob, &cathy, &second]), [BOB, CATHY], "seed {seed}");
        assert_eq!(scene.failures(&bob), [] as [&str; 0], "seed {seed}");
    }
}
