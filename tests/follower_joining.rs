//! Devices of a follower that join by an external commit.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    mls::{credential::credential_of, key_package::KeyPackageKind},
    transport::{Endpoint, HttpCall, Outcome, Outgoing, Response},
    wire::{
        AppSync, FromProvider, GroupInfoRequest, GroupInfoRequestTbs, GroupInfoResponse,
        IdentifierUri, RatchetTreeOption, Role, RoomProfile, UpdateResponseCode,
        UpdateRoomResponse, UserRoles, Verbatim, encode, uri::ClientUri,
    },
};

use common::{
    follower::{BOB, Follower, Story, alpha, device, listed, user_uri},
    group::{list_change, membership, no_membership, room},
    member::{Upload, member},
    own_group::RoomChange,
};

const BOB_USER: &str = "bob@bravo.example";
const LAPTOP: &str = "bob@bravo.example/laptop";

fn update() -> Endpoint {
    Endpoint::Update { room: room() }
}

fn submit() -> Endpoint {
    Endpoint::SubmitMessage { room: room(), sending_user: Some(user_uri(BOB_USER)) }
}

fn update_answer(status: u16, code: UpdateResponseCode) -> Response {
    let response = UpdateRoomResponse { response_code: code, error_description: b"".into() };
    Response::tls(status, encode(&response).unwrap())
}

fn success() -> Outcome {
    Some(update_answer(200, UpdateResponseCode::Success))
}

/// A request for the room's group state, for the client of this name.
fn group_info_request(client: &str) -> Vec<u8> {
    let credential = credential_of(&ClientUri::parse(client).unwrap());
    encode(&GroupInfoRequest {
        signature: vec![1; 64].into(),
        tbs: GroupInfoRequestTbs {
            room_id: room().to_wire(),
            requesting_signature_key: vec![2; 32].into(),
            requesting_credential: Verbatim::own(encode(&credential).unwrap()).unwrap(),
        },
    })
    .unwrap()
}

fn group_info_answer(group_info: Vec<u8>, ratchet_tree_option: RatchetTreeOption) -> Response {
    let group_info = Box::new(Verbatim::own(group_info).unwrap());
    let answer = GroupInfoResponse::Success { group_info, ratchet_tree_option };
    Response::tls(200, encode(&answer).unwrap())
}

/// A room at alpha of which bravo knows nothing: bob stands on its list, with no leaf. Leaves:
/// alice 0, blank 1, cathy 2.
fn unknown_room() -> Story {
    let mut alice = member("alice@alpha.example/phone");
    alice.create(None);
    let bob = member(BOB);
    let mut story = Story { alice, bob, follower: Follower::new(), clock: 0, invitation: None };
    for guest in ["dora", "cathy"] {
        let package = package_of(guest);
        story.commit(listed(&format!("{guest}@delta.example"), &[&package]));
    }
    story.commit(RoomChange { removes: vec![1], ..listed(BOB_USER, &[]) });
    story
}

/// That room, and the external commit that bob's device made of what it was told.
fn ready() -> (Story, Upload) {
    let mut story = unknown_room();
    fetch(&mut story, &ClientUri::parse(BOB).unwrap());
    let upload = story.upload_of(&mut member(BOB));
    (story, upload)
}

/// `client` is told the group's state.
fn fetch(story: &mut Story, client: &ClientUri) {
    let (group_info, tree) = story.group_state();
    let answer = group_info_answer(group_info, tree);
    let asked = group_info_request(client.as_str());
    let endpoint = Endpoint::GroupInfo { room: room() };
    let source = device(client.as_str());
    let (outgoing, response) =
        story.follower.ask_through(source, endpoint, &asked, Some(answer.clone()));
    assert_eq!(response, answer);
    let Outgoing::Http(HttpCall { url, body, .. }) = outgoing else { panic!("{outgoing:?}") };
    assert_eq!(url, "https://alpha.example/v1/groupInfo/clubhouse%40alpha.example");
    assert_eq!(body, asked);
}

/// The device's external commit is passed on, and the hub says this.
fn forward(story: &mut Story, client: &str, upload: &Upload, outcome: Outcome) -> Response {
    let (outgoing, response) =
        story.follower.ask_through(device(client), update(), &upload.body(), outcome);
    let Outgoing::Http(HttpCall { url, body, .. }) = outgoing else { panic!("{outgoing:?}") };
    assert_eq!(url, "https://alpha.example/v1/update/clubhouse%40alpha.example");
    assert_eq!(body, upload.body());
    response
}

#[test]
fn r81_after_a_forwarded_external_commit_an_unknown_rooms_notifications_are_taken() {
    for outcome in [success(), None, Some(Response::empty(503))] {
        let (mut story, upload) = ready();
        forward(&mut story, BOB, &upload, outcome);
        let commit = story.entered(&upload);
        let message = story.message();
        story.follower.accept(&[&commit, &message]);
        // D11: from the position after its external commit.
        assert_eq!(story.follower.seen(BOB), [2]);
        assert!(!story.follower.events(BOB, 0).gap);
        assert_eq!(
            story.follower.told(),
            [(BOB_USER.into(), membership(Some(RoomProfile::B)), Vec::new())]
        );
        assert_eq!(story.follower.pushed().len(), 1);
    }
}

#[test]
fn r81_without_an_external_commit_of_ours_an_unknown_room_stays_404() {
    let (mut story, upload) = ready();
    let commit = story.entered(&upload);
    story.follower.assert_refused(404, |follower| follower.notify(&[&commit]));
}

#[test]
fn r81_after_a_refusal_an_unknown_room_is_404_again() {
    for (status, code) in [
        (403, UpdateResponseCode::NotAllowed),
        (409, UpdateResponseCode::WrongEpoch),
        (422, UpdateResponseCode::InvalidProposal),
    ] {
        let (mut story, upload) = ready();
        let refusal = update_answer(status, code);
        assert_eq!(forward(&mut story, BOB, &upload, Some(refusal.clone())), refusal);
        let commit = story.entered(&upload);
        story.follower.assert_refused(404, |follower| follower.notify(&[&commit]));
    }
}

#[test]
fn r81_the_answer_to_an_older_external_commit_decides_nothing_about_a_newer_one() {
    let (mut story, older) = ready();
    story.commit(RoomChange::default());
    fetch(&mut story, &ClientUri::parse(BOB).unwrap());
    let newer = story.upload_of(&mut member(BOB));
    // The hub's word about the older one comes when the newer one is under way.
    let action = story.follower.ask(device(BOB), update(), &older.body());
    let mimi_edge::transport::Action::Forward(forwarded) = action else { panic!("{action:?}") };
    forward(&mut story, BOB, &newer, None);
    let refusal = update_answer(409, UpdateResponseCode::WrongEpoch);
    story.follower.object.resume(&forwarded.then, Some(refusal), common::follower::NOW);
    let commit = story.entered(&newer);
    story.follower.accept(&[&commit]);
}

#[test]
fn r81_only_the_rooms_hub_may_use_it() {
    let (mut story, upload) = ready();
    forward(&mut story, BOB, &upload, success());
    let commit = story.entered(&upload);
    story.follower.assert_refused(403, |follower| follower.notify_from(device(BOB), &commit));
    // A Welcome still has to be for KeyPackages of ours.
    story.follower.accept(&[&commit]);
    story.follower.told();
    story.follower.pushed();
    let (_, invitation) = story.commit(listed("erin@delta.example", &[&package_of("erin")]));
    let invitation = invitation.unwrap();
    story.follower.assert_refused(404, |follower| follower.notify(&[&invitation]));
}

#[test]
fn d7_the_leaves_of_a_room_entered_by_external_commit_are_known_from_its_tree() {
    let (mut story, upload) = ready();
    let mut laptop = member(LAPTOP);
    forward(&mut story, BOB, &upload, success());
    // Bob's phone takes the blank leaf 1, his laptop leaf 3.
    let first = story.entered(&upload);
    let upload = story.upload_of(&mut laptop);
    let second = story.entered(&upload);
    let (third, _) = story.commit(RoomChange { removes: vec![1], ..RoomChange::default() });
    let (fourth, _) = story.commit(RoomChange { removes: vec![3], ..RoomChange::default() });
    let (fifth, _) = story.commit(RoomChange { removes: vec![2], ..RoomChange::default() });
    story.follower.accept(&[&first, &second, &third, &fourth, &fifth]);
    assert_eq!(story.follower.seen(BOB), [2, 3]);
    assert_eq!(story.follower.seen(LAPTOP), [3, 4]);
    assert!(!story.follower.events(BOB, 0).gap);
}

#[test]
fn d7_d10_users_of_ours_on_the_list_are_told_of_the_room_also_with_no_leaf() {
    let mut story = unknown_room();
    let bea = UserRoles {
        user: IdentifierUri("bea@bravo.example".into()),
        roles: vec![Role::RegularUser],
    };
    let banned =
        UserRoles { user: IdentifierUri("ben@bravo.example".into()), roles: vec![Role::Banned] };
    let change = AppSync { add_users: vec![bea, banned], ..AppSync::default() };
    story.commit(list_change(change));
    fetch(&mut story, &ClientUri::parse(BOB).unwrap());
    let upload = story.upload_of(&mut member(BOB));
    forward(&mut story, BOB, &upload, success());
    let commit = story.entered(&upload);
    story.follower.accept(&[&commit]);
    let told = story.follower.told();
    let users: Vec<&str> = told.iter().map(|(user, ..)| user.as_str()).collect();
    assert_eq!(users, ["bea@bravo.example", BOB_USER]);
}

#[test]
fn r69_a_device_that_the_hub_took_in_sends_before_its_commit_comes_around() {
    let (mut story, upload) = ready();
    story.follower.assert_refused(404, |follower| follower.answer(device(BOB), submit(), b"hi"));
    forward(&mut story, BOB, &upload, None);
    story.follower.assert_refused(404, |follower| follower.answer(device(BOB), submit(), b"hi"));
    forward(&mut story, BOB, &upload, success());
    let answer = Some(Response::empty(200));
    let (_, response) = story.follower.ask_through(device(BOB), submit(), b"hi", answer.clone());
    assert_eq!(response.status, 200);
    assert_eq!(story.follower.events(BOB, 0).events, []);
    let commit = story.entered(&upload);
    story.follower.accept(&[&commit]);
    // From here on the log decides.
    let (_, response) = story.follower.ask_through(device(BOB), submit(), b"hi", answer);
    assert_eq!(response.status, 200);
    let (removal, _) = story.commit(RoomChange { removes: vec![1], ..RoomChange::default() });
    story.follower.accept(&[&removal]);
    story.follower.told();
    story.follower.pushed();
    story.follower.assert_refused(403, |follower| follower.answer(device(BOB), submit(), b"hi"));
}

#[test]
fn r64_r69_a_device_joins_as_itself_alone() {
    let (mut story, upload) = ready();
    let body = upload.body();
    for other in [LAPTOP, "bea@bravo.example/phone"] {
        story.follower.assert_refused(403, |follower| {
            let response = follower.answer(device(other), update(), &body);
            let refusal = UpdateRoomResponse {
                response_code: UpdateResponseCode::NotAllowed,
                error_description: b"the leaf of another client".into(),
            };
            assert_eq!(response.body, encode(&refusal).unwrap());
            response
        });
        let asked = group_info_request(BOB);
        story.follower.assert_refused(403, |follower| {
            let endpoint = Endpoint::GroupInfo { room: room() };
            let response = follower.answer(device(other), endpoint, &asked);
            // GroupInfoResponse: notAuthorized(2).
            assert_eq!(response.body, [2]);
            response
        });
    }
}

#[test]
fn r69_r90_a_user_who_is_known_to_be_off_the_list_joins_nothing() {
    let mut story = Story::new();
    let banned = UserRoles { user: IdentifierUri(BOB_USER.into()), roles: vec![Role::Banned] };
    let change = AppSync { update_users: vec![banned], ..AppSync::default() };
    let (ban, _) = story.commit(list_change(change));
    story.follower.accept(&[&ban]);
    story.follower.told();
    story.follower.pushed();
    let mut laptop = member(LAPTOP);
    let body = story.upload_of(&mut laptop).body();
    story.follower.assert_refused(403, |follower| follower.answer(device(LAPTOP), update(), &body));
    // Of another epoch the follower knows nothing: the hub decides.
    story.commit(RoomChange::default());
    let upload = story.upload_of(&mut laptop);
    let refusal = update_answer(403, UpdateResponseCode::NotAllowed);
    assert_eq!(forward(&mut story, LAPTOP, &upload, Some(refusal.clone())), refusal);
}

#[test]
fn d9_d11_a_device_that_rejoins_a_room_with_a_gap_reads_on_from_its_commit() {
    let mut story = Story::new();
    let (first, _) = story.commit(RoomChange::default());
    let (_lost, _) = story.commit(listed("dora@delta.example", &[&package_of("dora")]));
    let (third, _) = story.commit(listed("erin@delta.example", &[&package_of("erin")]));
    story.follower.accept(&[&first, &third]);
    assert!(story.follower.events(BOB, 1).gap);
    story.follower.pushed();
    let mut bob = std::mem::replace(&mut story.bob, member(BOB));
    fetch(&mut story, &bob.client.clone());
    let upload = story.upload_of(&mut bob);
    forward(&mut story, BOB, &upload, success());
    let rejoined = story.entered(&upload);
    let message = story.message();
    story.follower.accept(&[&rejoined, &message]);
    let page = story.follower.events(BOB, 3);
    assert_eq!(page.events.iter().map(|event| event.position).collect::<Vec<_>>(), [4]);
    assert!(!page.gap);
    let is_event = |frame: &FromProvider| matches!(frame, FromProvider::Event(_));
    assert!(story.follower.pushed().iter().all(|(.., frame)| is_event(frame)));
    // Dora and erin are at leaves 2 and 3: the tree of the rejoin put that right. The laptop's is 4.
    let mut laptop = member(LAPTOP);
    let upload = story.upload_of(&mut laptop);
    let entry = story.entered(&upload);
    let (last, _) = story.commit(RoomChange { removes: vec![4], ..RoomChange::default() });
    let after = story.message();
    story.follower.accept(&[&entry, &last, &after]);
    assert_eq!(story.follower.seen(LAPTOP), [6]);
    assert!(story.follower.pushed().iter().all(|(.., frame)| is_event(frame)));
}

/// The room's gap, as devices are told.
fn gap() -> FromProvider {
    FromProvider::Gap { room_id: room().to_wire() }
}

#[test]
fn d22_r69_r81_a_device_whose_accepted_commit_is_lost_is_told_and_comes_back() {
    let (mut story, upload) = ready();
    forward(&mut story, BOB, &upload, success());
    // The hub gave bravo up meanwhile: what comes next is of a later epoch.
    let _lost = story.entered(&upload);
    let message = story.message();
    story.follower.accept(&[&message]);
    assert_eq!(story.follower.pushed(), [(BOB_USER.into(), vec![BOB.into()], gap())]);
    assert!(story.follower.events(BOB, 0).gap);
    story.follower.assert_refused(403, |follower| follower.answer(device(BOB), submit(), b"hi"));
    let after = story.message();
    story.follower.accept(&[&after]);
    assert_eq!(story.follower.seen(BOB), [0_u64; 0]);
    story.follower.pushed();

    let mut bob = member(BOB);
    fetch(&mut story, &bob.client.clone());
    let upload = story.upload_of(&mut bob);
    forward(&mut story, BOB, &upload, success());
    let commit = story.entered(&upload);
    let message = story.message();
    story.follower.accept(&[&commit, &message]);
    let page = story.follower.events(BOB, 2);
    let positions: Vec<u64> = page.events.iter().map(|event| event.position).collect();
    assert_eq!((page.gap, positions), (false, vec![3, 4]));
}

#[test]
fn d22_r67_a_success_that_comes_after_a_later_epoch_is_a_gap() {
    let mut story = Story::new();
    fetch(&mut story, &ClientUri::parse(LAPTOP).unwrap());
    let upload = story.upload_of(&mut member(LAPTOP));
    forward(&mut story, LAPTOP, &upload, None);
    let _lost = story.entered(&upload);
    let message = story.message();
    let (next, _) = story.commit(RoomChange::default());
    story.follower.accept(&[&message, &next]);
    assert!(story.follower.pushed().iter().all(|(_, devices, _)| *devices == [BOB]));
    forward(&mut story, LAPTOP, &upload, success());
    assert!(story.follower.pushed().contains(&(
        BOB_USER.into(),
        vec![BOB.into(), LAPTOP.into()],
        gap()
    )));
    assert!(story.follower.events(LAPTOP, 0).gap);
}

#[test]
fn d22_r45_r69_who_was_banned_in_a_gap_is_inactive_once_the_list_is_known() {
    let mut story = Story::new();
    let banned = UserRoles { user: IdentifierUri(BOB_USER.into()), roles: vec![Role::Banned] };
    let change = AppSync { update_users: vec![banned], ..AppSync::default() };
    let (first, _) = story.commit(RoomChange::default());
    let (_lost, _) = story.commit(list_change(change));
    let (third, _) = story.commit(listed("bea@bravo.example", &[]));
    story.follower.accept(&[&first, &third]);
    story.follower.told();
    let mut bea = member("bea@bravo.example/phone");
    fetch(&mut story, &bea.client.clone());
    let upload = story.upload_of(&mut bea);
    forward(&mut story, bea.client.as_str(), &upload, success());
    let commit = story.entered(&upload);
    story.follower.accept(&[&commit]);
    assert_eq!(story.follower.told(), [(BOB_USER.into(), no_membership(), Vec::new())]);
    story.follower.pushed();
    story.follower.assert_refused(403, |follower| follower.answer(device(BOB), submit(), b"hi"));
}

fn package_of(name: &str) -> mimi_edge::mls::key_package::ValidKeyPackage {
    member(&format!("{name}@delta.example/phone")).key_package(KeyPackageKind::SingleUse)
}

#[test]
fn d7_of_a_hub_that_says_many_epochs_four_are_kept() {
    let bob = ClientUri::parse(BOB).unwrap();
    let mut story = unknown_room();
    let mut rows = Vec::new();
    for _ in 0..8 {
        fetch(&mut story, &bob);
        rows.push(story.follower.storage.snapshot().rows().count());
        story.commit(RoomChange::default());
    }
    // The version of the rows, the hub's directory, and two rows for each epoch.
    assert_eq!(rows, [4, 6, 8, 10, 10, 10, 10, 10]);
    // A hub that speaks of another group, or nonsense, says nothing.
    let before = story.follower.storage.snapshot();
    for answer in [Response::tls(200, b"\x01nonsense".to_vec()), Response::tls(403, vec![2])] {
        let endpoint = Endpoint::GroupInfo { room: room() };
        let asked = group_info_request(BOB);
        let (_, response) =
            story.follower.ask_through(device(BOB), endpoint, &asked, Some(answer.clone()));
        assert_eq!(response, answer);
    }
    assert_eq!(story.follower.storage.snapshot(), before);
}

#[test]
fn d7_of_a_room_that_is_followed_the_hubs_answer_is_not_kept() {
    let mut story = Story::new();
    let (commit, _) = story.commit(RoomChange::default());
    story.follower.accept(&[&commit]);
    let before = story.follower.storage.snapshot().rows().count();
    fetch(&mut story, &ClientUri::parse(LAPTOP).unwrap());
    // The hub's directory alone.
    assert_eq!(story.follower.storage.snapshot().rows().count(), before + 1);
}

#[test]
fn r81_a_hub_cannot_make_an_answer_to_one_device_a_notification() {
    let (mut story, _) = ready();
    let message = story.message();
    story.follower.assert_refused(404, |follower| follower.notify_from(alpha(), &message));
}
