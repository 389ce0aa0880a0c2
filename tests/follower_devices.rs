//! What a follower's own devices ask of a room's hub.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use mimi_edge::{
    transport::{Action, Endpoint, HttpCall, Method, Outgoing, Response, Source},
    wire::{
        AppSync, CommitBundle, IdentifierUri, Protocol, RatchetTreeOption, Role,
        SubmitMessageResponse, SubmitStatus, UpdateContent, UpdateRequest, UpdateResponseCode,
        UpdateRoomResponse, UserRoles, Verbatim, encode, uri::Domain,
    },
};

use common::{
    follower::{BOB, Follower, Story, alpha, device, user_uri},
    group::{list_change, room},
    member::member,
    own_group::{OwnCommit, RoomChange},
};

/// A commit as its sender uploads it.
fn upload(commit: OwnCommit) -> Vec<u8> {
    let bundle = CommitBundle {
        welcome: commit.welcome.map(|welcome| Verbatim::own(welcome).unwrap()),
        group_info: Verbatim::own(commit.group_info).unwrap(),
        ratchet_tree_option: RatchetTreeOption::Full(commit.tree),
    };
    encode(&UpdateRequest {
        proposal_or_commit: Verbatim::own(commit.message).unwrap(),
        content: UpdateContent::Commit(Box::new(bundle)),
    })
    .unwrap()
}

/// An update of anybody's making: what the follower looks at is whose device asks.
fn some_update() -> Vec<u8> {
    let mut alice = member("alice@alpha.example/phone");
    alice.create(None);
    upload(alice.commit(RoomChange::default()).unwrap())
}

fn update() -> Endpoint {
    Endpoint::Update { room: room() }
}

fn submit() -> Endpoint {
    Endpoint::SubmitMessage { room: room(), sending_user: Some(user_uri("bob@bravo.example")) }
}

fn update_answer(code: UpdateResponseCode, description: &str) -> Vec<u8> {
    let error_description = description.as_bytes().into();
    encode(&UpdateRoomResponse { response_code: code, error_description }).unwrap()
}

fn http(outgoing: Outgoing) -> HttpCall {
    match outgoing {
        Outgoing::Http(call) => call,
        Outgoing::Object(call) => panic!("not to another provider: {call:?}"),
    }
}

fn header<'c>(call: &'c HttpCall, name: &str) -> Option<&'c str> {
    call.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
}

fn ban(story: &mut Story) {
    let entry =
        UserRoles { user: IdentifierUri("bob@bravo.example".into()), roles: vec![Role::Banned] };
    let (commit, _) =
        story.commit(list_change(AppSync { update_users: vec![entry], ..AppSync::default() }));
    story.follower.accept(&[&commit]);
    story.follower.told();
    story.follower.pushed();
}

#[test]
fn r62_an_update_goes_to_the_hub_and_its_answer_comes_back_unchanged() {
    let mut story = Story::new();
    let body = some_update();
    let answers = [
        Response::tls(200, update_answer(UpdateResponseCode::Success, "")),
        Response::tls(409, update_answer(UpdateResponseCode::WrongEpoch, "epoch=7")),
        Response::tls(403, update_answer(UpdateResponseCode::NotAllowed, "no")),
        Response::tls(422, update_answer(UpdateResponseCode::InvalidProposal, "bad")),
        Response::text(404, "not found: room"),
        Response {
            status: 401,
            headers: vec![
                ("content-type".into(), "application/octet-stream".into()),
                ("www-authenticate".into(), "MIMI-Pending-Proposals".into()),
            ],
            body: b"proposals".to_vec(),
        },
        Response::empty(500),
    ];
    for answer in answers {
        let (outgoing, response) =
            story.follower.ask_through(device(BOB), update(), &body, Some(answer.clone()));
        assert_eq!(response, answer);
        let call = http(outgoing);
        assert_eq!(call.method, Method::Post);
        assert_eq!(call.url, "https://alpha.example/v1/update/clubhouse%40alpha.example");
        assert_eq!(header(&call, "from"), Some("mimi@bravo.example"));
        assert_eq!(call.body, body);
    }
    // What belongs to the hub's connection stays there.
    let mut answer = Response::tls(200, update_answer(UpdateResponseCode::Success, ""));
    answer.headers.push(("set-cookie".into(), "x".into()));
    let (_, response) = story.follower.ask_through(device(BOB), update(), &body, Some(answer));
    assert_eq!(response.header("set-cookie"), None);
}

#[test]
fn r61_r62_a_hub_that_does_not_answer_is_504_hub_unresponsive() {
    let mut story = Story::new();
    let before = story.follower.storage.snapshot();
    let (_, response) = story.follower.ask_through(device(BOB), update(), &some_update(), None);
    // UpdateRoomResponse: hubUnresponsive(3), empty errorDescription.
    assert_eq!(response, Response::tls(504, vec![3, 0]));
    let message = story.message();
    let (_, response) = story.follower.ask_through(device(BOB), submit(), &message, None);
    assert_eq!(response, Response::text(504, "hub unresponsive"));
    // Nothing but the hub's directory was kept: there is no outbox for what devices ask.
    assert_eq!(story.follower.told(), []);
    assert_eq!(story.follower.storage.snapshot().rows().count(), before.rows().count() + 1);
}

#[test]
fn r62_a_hub_without_a_directory_does_not_answer() {
    let mut story = Story::new();
    let action = story.follower.ask(device(BOB), update(), &some_update());
    let Action::Forward(forward) = action else { panic!("{action:?}") };
    let not_found = Some(Response::empty(404));
    let action = story.follower.object.resume(&forward.then, not_found, common::follower::NOW);
    assert_eq!(action, Action::Respond(Response::tls(504, vec![3, 0])));
}

#[test]
fn r69_r71_a_message_of_an_active_user_goes_to_the_hub_with_its_sender() {
    let mut story = Story::new();
    let accepted = encode(&SubmitMessageResponse {
        protocol: Protocol::MLS10,
        status: SubmitStatus::Accepted(12),
    })
    .unwrap();
    let answer = Response::tls(200, accepted);
    let (outgoing, response) =
        story.follower.ask_through(device(BOB), submit(), b"message", Some(answer.clone()));
    assert_eq!(response, answer);
    let call = http(outgoing);
    assert_eq!(call.url, "https://alpha.example/v1/submitMessage/clubhouse%40alpha.example");
    assert_eq!(header(&call, "mimi-sending-user"), Some("bob@bravo.example"));
    assert_eq!(header(&call, "content-type"), Some("message/mls"));
    assert_eq!(call.body, b"message");
}

#[test]
fn r69_a_device_without_a_leaf_sends_nothing() {
    let mut story = Story::new();
    let other = "bob@bravo.example/other";
    let body = some_update();
    story.follower.assert_refused(403, |follower| {
        let response = follower.answer(device(other), update(), &body);
        let expected =
            update_answer(UpdateResponseCode::NotAllowed, "this device is not in the room");
        assert_eq!(response.body, expected);
        response
    });
    story.follower.assert_refused(403, |follower| {
        let response = follower.answer(device(other), submit(), b"message");
        // SubmitMessageResponse: mls10(1), notAllowed(1).
        assert_eq!(response.body, [1, 1]);
        response
    });
}

#[test]
fn r69_a_banned_user_sends_no_messages_and_no_commits() {
    let mut story = Story::new();
    ban(&mut story);
    let body = some_update();
    story.follower.assert_refused(403, |follower| {
        let response = follower.answer(device(BOB), update(), &body);
        let expected = update_answer(UpdateResponseCode::NotAllowed, "not an active participant");
        assert_eq!(response.body, expected);
        response
    });
    story.follower.assert_refused(403, |follower| {
        let response = follower.answer(device(BOB), submit(), b"message");
        assert_eq!(response.body, [1, 1]);
        response
    });
}

#[test]
fn r45_a_banned_user_may_still_propose_to_go() {
    let mut story = Story::new();
    ban(&mut story);
    let bare = story
        .alice
        .with_group(|group, provider, key| {
            let leaf = group.own_leaf_index();
            let (message, _) = group.propose_remove_member(provider, key, leaf).unwrap();
            mimi_edge::mls::without_header(&message, openmls::prelude::WireFormat::PublicMessage)
        })
        .unwrap();
    let body = encode(&UpdateRequest {
        proposal_or_commit: Verbatim::own(bare).unwrap(),
        content: UpdateContent::Proposal(Vec::new()),
    })
    .unwrap();
    let answer = Response::tls(200, vec![0, 0]);
    let (_, response) =
        story.follower.ask_through(device(BOB), update(), &body, Some(answer.clone()));
    assert_eq!(response, answer);
}

#[test]
fn r5_an_update_that_does_not_decode_never_reaches_the_hub() {
    let mut story = Story::new();
    let mut body = some_update();
    body.push(0);
    story.follower.assert_refused(400, |follower| follower.answer(device(BOB), update(), &body));
}

#[test]
fn a_device_asks_nothing_of_a_room_that_is_not_known() {
    let mut stranger = Follower::new();
    let body = some_update();
    stranger.assert_refused(404, |follower| follower.answer(device(BOB), update(), &body));
    stranger.assert_refused(404, |follower| follower.answer(device(BOB), submit(), b"message"));
}

#[test]
fn r4_providers_do_not_use_a_follower_as_a_hub() {
    let mut story = Story::new();
    let body = some_update();
    let charlie = Source::Provider(Domain::parse("charlie.example").unwrap());
    for source in [alpha(), charlie, Source::Own] {
        for endpoint in [update(), submit(), Endpoint::GroupInfo { room: room() }] {
            story.follower.assert_refused(403, |follower| {
                follower.answer(source.clone(), endpoint.clone(), &body)
            });
        }
    }
    let create = Endpoint::CreateRoom { room: room() };
    story.follower.assert_refused(404, |follower| follower.answer(device(BOB), create, b""));
}

#[test]
fn d21_a_hub_does_not_redirect_our_devices_and_does_not_sign_them_out() {
    let header = |challenge: &str| vec![("www-authenticate".into(), challenge.into())];
    for (status, headers) in [
        (101, Vec::new()),
        (205, Vec::new()),
        (302, Vec::new()),
        (401, Vec::new()),
        (401, header("Mimi-Device")),
    ] {
        let mut story = Story::new();
        let answer = Response { status, headers, body: Vec::new() };
        let (_, response) = story.follower.ask_through(device(BOB), submit(), b"", Some(answer));
        assert_eq!(response, Response::text(502, "bad gateway: the hub's answer"), "{status}");
    }
}
