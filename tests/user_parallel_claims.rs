//! Claims that are under way at the same time (R27, R32).
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::BTreeSet;

use common::{
    follower::{Follower, alpha, claim_body},
    universe::Faults,
    user::{Bob, Device, user},
};
use mimi_edge::{
    transport::{Action, Endpoint, Outgoing, Response},
    wire::{ClientMaterial, KeyMaterialResponse, KeyMaterialUserCode, decode_exact},
};

const BOB: &str = "bob@bravo.example";
const ROOMS: usize = 8;
const CLAIMS: usize = 64;
/// How many KeyPackages the second device has.
const FEW: usize = 40;

/// A claim on its way: the object of its room, the body, and what that object goes on with.
struct UnderWay {
    room: usize,
    body: Vec<u8>,
    then: Vec<u8>,
}

fn shuffle<T>(items: &mut [T], faults: &mut Faults) {
    for end in (1..items.len()).rev() {
        items.swap(end, usize::try_from(faults.below(end as u64 + 1)).unwrap());
    }
}

/// The hub's claims reach the objects of their rooms; each asks bob's object.
fn start(rooms: &mut [Follower]) -> Vec<UnderWay> {
    let claim = |number: usize| {
        let room = number % ROOMS;
        let body = claim_body("alice@alpha.example", BOB, &format!("room{room}@alpha.example"));
        let endpoint = Endpoint::KeyMaterial { target: user(BOB) };
        let Action::Forward(forward) = rooms[room].ask(alpha(), endpoint, &body) else {
            panic!("answered without bob")
        };
        let Outgoing::Object(call) = forward.outgoing else { panic!("not an object") };
        UnderWay { room, body: call.request.body, then: forward.then }
    };
    (0..CLAIMS).map(claim).collect()
}

fn packages(answer: &Response) -> Vec<Vec<u8>> {
    let response: KeyMaterialResponse = decode_exact(&answer.body).unwrap();
    let succeeded = response.clients.iter().filter_map(|client| match &client.material {
        ClientMaterial::Success(package) => Some(package.bytes().to_vec()),
        _ => None,
    });
    let packages: Vec<_> = succeeded.collect();
    let code = match packages.len() {
        2 => KeyMaterialUserCode::Success,
        1 => KeyMaterialUserCode::PartialSuccess,
        _ => panic!("{:?}", response.user_status),
    };
    assert_eq!((response.user_status, response.clients.len()), (code, 2));
    packages
}

#[test]
fn r27_r32_64_claims_under_way_at_once_get_64_key_packages() {
    for seed in 0..4 {
        let mut faults = Faults::none(seed);
        let (phone, tablet) =
            (Device::new("bob@bravo.example/phone"), Device::new("bob@bravo.example/tablet"));
        let mut bob = Bob::with(&[&phone, &tablet]);
        let many: Vec<_> = (0..CLAIMS).map(|_| phone.key_package(bob.now)).collect();
        let few: Vec<_> = (0..FEW).map(|_| tablet.key_package(bob.now)).collect();
        assert_eq!(bob.publish(&phone, &many).status, 200);
        assert_eq!(bob.publish(&tablet, &few).status, 200);
        let mut rooms: Vec<_> =
            (0..ROOMS).map(|room| Follower::named(&format!("room{room}@alpha.example"))).collect();

        let mut under_way = start(&mut rooms);
        shuffle(&mut under_way, &mut faults);
        let mut answered: Vec<_> = under_way
            .into_iter()
            .map(|claim| {
                let target = user(BOB);
                let answer = bob.own(Endpoint::KeyMaterial { target }, claim.body.clone());
                (claim, answer)
            })
            .collect();
        shuffle(&mut answered, &mut faults);

        let mut seen = BTreeSet::new();
        for (claim, answer) in answered {
            let room = &mut rooms[claim.room];
            let action = room.object.resume(&claim.then, Some(answer.clone()), bob.now);
            assert_eq!(action, Action::Respond(answer.clone()));
            for package in packages(&answer) {
                assert!(seen.insert(package), "seed {seed}: handed out twice");
            }
        }
        assert_eq!(seen.len(), CLAIMS + FEW);
        // Each by its ref and by its end, and in each room the version of the rows.
        let recorded: usize = rooms.iter().map(|room| room.storage.snapshot().rows().count()).sum();
        assert_eq!(recorded, 2 * (CLAIMS + FEW) + rooms.len());
        assert_eq!((bob.stock(&phone).available, bob.stock(&tablet).available), (0, 0));
    }
}
