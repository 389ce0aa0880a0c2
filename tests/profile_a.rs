//! The life of a room of profile A, by clients at three providers, natively (WIRE a.5): the same as in
//! profile B, with every change of the list in a GroupContextExtensions proposal too.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::universe::{Faults, Universe, room, user};
use mimi_edge::{
    client::{
        AddOptions, Client, CreateOptions, HubProposals, IntentId, Participant, RoomPhase,
        RoomState,
    },
    error::Result,
    room::Profile,
    time::UnixMillis,
    wire::{
        Role,
        uri::{ClientUri, RoomUri},
    },
};

const ROOM: &str = "clubhouse@alpha.example";
const MEMBERS: [&str; 3] = ["alice@alpha.example", "bob@bravo.example", "cathy@charlie.example"];
const ALICE: &str = MEMBERS[0];
const BOB: &str = MEMBERS[1];
const CATHY: &str = MEMBERS[2];
const EVE: &str = "eve@bravo.example";

struct Story {
    universe: Universe,
}

impl Story {
    /// Alice's room of profile A with bob and cathy in it.
    fn new(seed: u64) -> (Self, [ClientUri; 3]) {
        let domains = MEMBERS.map(|member| member.split_once('@').unwrap().1);
        let mut story = Self { universe: Universe::new(&domains, seed) };
        let devices = MEMBERS.map(|member| story.universe.add_device(member));
        story.universe.run();
        let options = CreateOptions { hub_proposals: HubProposals::On, profile: Profile::A };
        story.wish(&devices[0], |client, room, now| client.create_room(room, options, now));
        story.add(&devices[0], BOB);
        story.add(&devices[1], CATHY);
        (story, devices)
    }

    /// A device wishes for something in the room, and everything comes of it that can.
    fn wish(
        &mut self,
        by: &ClientUri,
        wish: impl FnOnce(&mut Client, &RoomUri, UnixMillis) -> Result<IntentId>,
    ) {
        self.universe.act(by, |client, now| wish(client, &room(ROOM), now)).unwrap();
        self.universe.run();
    }

    fn add(&mut self, by: &ClientUri, whom: &str) {
        let whom = user(whom);
        self.wish(by, |client, room, now| client.add_user(room, &whom, AddOptions::default(), now));
    }

    fn set_roles(&mut self, by: &ClientUri, whom: &str, roles: &[Role]) {
        let (whom, roles) = (user(whom), roles.to_vec());
        self.wish(by, |client, room, now| client.set_roles(room, &whom, roles, now));
    }

    fn send(&mut self, by: &ClientUri, text: &str) {
        let content = text.as_bytes().to_vec();
        self.universe.act(by, |client, now| client.send(&room(ROOM), content, now)).unwrap();
        self.universe.run();
    }

    fn state(&mut self, of: &ClientUri) -> RoomState {
        let state = self.universe.act(of, |client, _| client.room_state(&room(ROOM)));
        state.unwrap().expect("is in the room")
    }

    /// All of them are in the room, in the same state; this is the list.
    fn agree(&mut self, members: &[ClientUri]) -> Vec<(String, Vec<Role>)> {
        let states: Vec<RoomState> = members.iter().map(|member| self.state(member)).collect();
        for state in &states {
            assert_eq!((state.phase, state.profile), (RoomPhase::Joined, Profile::A));
            assert_eq!(state.epoch_authenticator, states[0].epoch_authenticator);
            assert_eq!(state.participants, states[0].participants);
            assert_eq!(state.policy, states[0].policy);
            assert_eq!(state.pending.len(), 0);
        }
        let entry =
            |participant: &Participant| (participant.user.to_string(), participant.roles.clone());
        states[0].participants.iter().map(entry).collect()
    }

    fn users(&mut self, members: &[ClientUri]) -> Vec<String> {
        self.agree(members).into_iter().map(|(user, _)| user).collect()
    }
}

#[test]
fn r35_r41_the_list_changes_and_all_agree_on_it() {
    let (mut story, [alice, bob, cathy]) = Story::new(1);
    assert_eq!(story.users(&[alice.clone(), bob.clone(), cathy.clone()]), [ALICE, BOB, CATHY]);
    story.set_roles(&cathy, BOB, &[Role::Admin, Role::RegularUser]);
    story.set_roles(&alice, EVE, &[Role::Banned]);
    let list = story.agree(&[alice.clone(), bob.clone(), cathy.clone()]);
    assert_eq!(list[1], (BOB.to_owned(), vec![Role::Admin, Role::RegularUser]));
    assert_eq!(list[3], (EVE.to_owned(), vec![Role::Banned]));
    story.wish(&alice, |client, room, now| client.remove_user(room, &user(EVE), now));
    story.wish(&alice, |client, room, now| client.remove_user(room, &user(CATHY), now));
    assert_eq!(story.users(&[alice.clone(), bob.clone()]), [ALICE, BOB]);
    assert_eq!(story.state(&cathy).phase, RoomPhase::Left);
    story.set_roles(&alice, BOB, &[Role::Banned]);
    let list = story.agree(&[alice]);
    assert_eq!(list[1], (BOB.to_owned(), vec![Role::Banned]));
}

#[test]
fn r36_the_policy_stays_when_the_list_changes() {
    let (mut story, [alice, bob, cathy]) = Story::new(2);
    story.wish(&bob, |client, room, now| client.set_policy(room, b"be kind".to_vec(), now));
    story.set_roles(&cathy, EVE, &[Role::Banned]);
    story.agree(&[alice.clone(), bob, cathy]);
    assert_eq!(story.state(&alice).policy.as_deref(), Some(b"be kind".as_slice()));
}

#[test]
fn r57_r54_a_leave_is_committed_with_what_it_makes_of_the_list() {
    let (mut story, [alice, bob, cathy]) = Story::new(3);
    story.wish(&bob, |client, room, now| client.leave(room, now));
    story.send(&cathy, "bye");
    assert_eq!(story.users(&[alice, cathy]), [ALICE, CATHY]);
    assert_eq!(story.state(&bob).phase, RoomPhase::Left);
}

#[test]
fn r63_a_commit_that_does_not_know_of_the_leave_is_made_anew() {
    let (mut story, [alice, bob, cathy]) = Story::new(4);
    // Cathy hears of nothing before her own commit is refused.
    story.universe.set_online(&cathy, false);
    story.wish(&bob, |client, room, now| client.leave(room, now));
    let ban = vec![Role::Banned];
    story
        .universe
        .act(&cathy, |client, now| client.set_roles(&room(ROOM), &user(EVE), ban, now))
        .unwrap();
    story.universe.set_online(&cathy, true);
    story.universe.run();
    assert_eq!(story.users(&[alice, cathy]), [ALICE, CATHY, EVE]);
    assert_eq!(story.state(&bob).phase, RoomPhase::Left);
}

#[test]
fn r89_a_new_device_joins_and_changes_the_list() {
    let (mut story, [alice, bob, cathy]) = Story::new(5);
    story.wish(&alice, |client, room, now| client.set_policy(room, b"be kind".to_vec(), now));
    let tablet = story.universe.add_device(CATHY);
    story.universe.run();
    story.wish(&tablet, |client, room, now| client.join_room(room, now));
    story.set_roles(&tablet, EVE, &[Role::Banned]);
    assert_eq!(story.users(&[alice, bob, cathy, tablet]), [ALICE, BOB, CATHY, EVE]);
}

#[test]
fn r35_on_a_bad_network_too() {
    for seed in 10..20 {
        let (mut story, [alice, bob, cathy]) = Story::new(seed);
        story.universe.faults = Faults::stormy(seed);
        for (by, whom) in [(&alice, EVE), (&bob, "dave@alpha.example"), (&cathy, "f@bravo.example")]
        {
            let ban = vec![Role::Banned];
            let wish =
                |client: &mut Client, now| client.set_roles(&room(ROOM), &user(whom), ban, now);
            story.universe.act(by, wish).unwrap();
        }
        story.universe.run();
        story.universe.calm_down();
        assert_eq!(story.users(&[alice, bob, cathy]).len(), 6, "seed {seed}");
    }
}
