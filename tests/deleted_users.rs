//! A user deleted at the room's hub, among real providers (D19, R56, R77).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::{
    scene::{ALICE, BOB, CATHY, ROOM, Scene},
    universe::{Faults, room, user},
};
use mimi_edge::{
    client::{AddOptions, CreateOptions, HubProposals},
    room::Profile,
    transport::{Endpoint, IncomingRequest, ObjectCall, ObjectName, Source},
};

const BOBS_ROOM: &str = "lounge@bravo.example";

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
fn r56_d1_without_proposals_of_the_hub_the_next_commit_takes_the_leaves_out_too() {
    for profile in [Profile::A, Profile::B] {
        let (mut scene, [alice, bob, cathy]) = Scene::empty(2);
        let options = CreateOptions { hub_proposals: HubProposals::Off, profile };
        scene.ask(&bob, |bob, now| bob.create_room(&room(BOBS_ROOM), options, now));
        scene.universe.run();
        for name in [ALICE, CATHY] {
            scene.ask(&bob, |bob, now| {
                bob.add_user(&room(BOBS_ROOM), &user(name), AddOptions::default(), now)
            });
            scene.universe.run();
        }
        scene.ask(&bob, |bob, now| bob.delete_user(now));
        scene.universe.run();
        scene.ask(&cathy, |cathy, now| cathy.update_keys(&room(BOBS_ROOM), now));
        scene.universe.run();
        assert_eq!(scene.failures(&cathy), [] as [&str; 0]);
        for device in [&alice, &cathy] {
            let state = scene.universe.act(device, |client, _| client.room_state(&room(BOBS_ROOM)));
            let state = state.unwrap().unwrap();
            let listed: Vec<_> = state.participants.iter().map(|it| it.user.to_string()).collect();
            assert_eq!(listed, [ALICE, CATHY]);
            assert_eq!(state.epoch, 3);
        }
    }
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
