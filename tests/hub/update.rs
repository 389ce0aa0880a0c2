//! `POST /update/{roomId}` (R46–R52, R62, R64–R67): what is accepted, and each refusal with its code.

use mimi_edge::{
    config::Limits,
    mls::credential::credential_with_key,
    room::codepoints::component,
    transport::{Endpoint, Response, Source},
    wire::{AppSync, RatchetTreeOption, Role, UpdateResponseCode as Code, UserRoles, encode},
};
use openmls::{
    messages::proposals::{AppDataUpdateProposal, Proposal},
    prelude::{Extension, ExtensionType, LeafNodeParameters, UnknownExtension},
};
use tls_codec::{DeserializeBytes, Serialize, VLBytes};

use crate::{
    BRAVO, CHARLIE, alices,
    common::{
        group::{room, sync},
        hub::{Hub, Sent, claim, claimed, provider, source_of, update_response},
        member::{Draft, GroupInfoTree, Upload, adds, bans, member, removes, uri, with_role},
    },
    invalid, not_allowed,
};

fn endpoint() -> Endpoint {
    Endpoint::Update { room: room() }
}

/// A malformed body: 400 with a text, not an `UpdateRoomResponse`.
fn refuses_malformed(hub: &mut Hub, body: Vec<u8>, text: &str) {
    let answer = format!("malformed: {text}").into_bytes();
    hub.refused(alices(), endpoint(), body, (400, answer));
}

#[test]
fn r47_one_commit_per_epoch() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut uploads = vec![(source_of(&alice.client), alice.propose(Vec::new(), &[], &[]))];
    for _ in 0..3 {
        uploads.push((provider(BRAVO), bob.propose(Vec::new(), &[], &[])));
        bob.clear_own();
    }
    let (first, later) = uploads.split_first().unwrap();
    hub.accept(first.0.clone(), &first.1);
    hub.deliver();
    hub.effects();
    for (source, upload) in later {
        hub.refuses_update(source.clone(), upload.body(), (409, Code::WrongEpoch, "epoch=2"));
    }
}

#[test]
fn r48_another_epoch_is_refused_whether_past_or_future() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let old = alice.propose(Vec::new(), &[], &[]);
    alice.merge_own();
    let future = alice.propose(Vec::new(), &[], &[]);
    hub.refuses_update(alices(), future.body(), (409, Code::WrongEpoch, "epoch=1"));
    hub.accept(alices(), &old);
    hub.accept(alices(), &future);
}

#[test]
fn r67_the_same_body_again_is_answered_again_and_has_no_other_effect() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.accept(alices(), &upload);
    hub.deliver();
    hub.effects();
    let success = update_response(Code::Success, "");
    hub.refused(alices(), endpoint(), upload.body(), (200, success.clone()));
    hub.restart();
    hub.refused(alices(), endpoint(), upload.body(), (200, success));
    // Another source did not send it.
    hub.refuses_update(provider(BRAVO), upload.body(), (409, Code::WrongEpoch, "epoch=2"));
}

#[test]
fn r62_an_unknown_room_is_404_after_malformed() {
    let (mut hub, mut alice) = (Hub::new(), member("alice@alpha.example/phone"));
    alice.creation(None);
    let upload = alice.propose(Vec::new(), &[], &[]);
    hub.refused(alices(), endpoint(), upload.body(), (404, b"not found: room".to_vec()));
    refuses_malformed(&mut hub, vec![1, 2, 3], "body");
}

#[test]
fn r62_the_first_check_that_fails_answers() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    // Malformed before epoch; epoch before source; source before the commit's validity.
    let mut upload = alice.propose(Vec::new(), &[], &[]);
    let good = upload.clone();
    *upload.message.last_mut().unwrap() ^= 1;
    flip_signature(&mut upload.message);
    let refused = not_allowed("not the sender's provider");
    hub.refuses_update(provider(BRAVO), upload.body(), refused);
    hub.accept(alices(), &good);
    hub.deliver();
    hub.effects();
    hub.refuses_update(provider(BRAVO), upload.body(), (409, Code::WrongEpoch, "epoch=2"));
    let malformed = [upload.body(), vec![0]].concat();
    refuses_malformed(&mut hub, malformed, "body");
}

/// Flips a bit of the signature: it stands before the confirmation tag and the membership tag.
fn flip_signature(message: &mut [u8]) {
    let at = message.len() - 33 - 33 - 1;
    message[at] ^= 1;
}

#[test]
fn r7_a_flipped_signature_bit_is_refused() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut upload = alice.propose(Vec::new(), &[], &[]);
    flip_signature(&mut upload.message);
    hub.refuses_update(alices(), upload.body(), invalid("MLS refuses the message"));
}

#[test]
fn r6_application_content_is_malformed() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let message = alice.message("hello");
    refuses_malformed(&mut hub, message, "body");
}

#[test]
fn r8_another_group_is_malformed() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut upload = alice.propose(Vec::new(), &[], &[]);
    upload.message[1] = b'C';
    refuses_malformed(&mut hub, upload.body(), "another group");
}

#[test]
fn a23_the_tree_may_be_the_one_that_the_hub_has() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let by_reference = |upload: Upload| Upload { tree: RatchetTreeOption::ByReference, ..upload };
    hub.accept(alices(), &by_reference(alice.propose(Vec::new(), &[], &[])));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    // Its hash is in the GroupInfo, which is of this commit.
    let other = alice.propose(Vec::new(), &[], &[]).group_info;
    alice.clear_own();
    let upload = Upload { group_info: other, ..alice.propose(Vec::new(), &[], &[]) };
    let refused = invalid("the GroupInfo is not of this commit");
    hub.effects();
    hub.refuses_update(alices(), by_reference(upload).body(), refused);
    alice.clear_own();
    // Those who come get the whole tree, the hub's own (A30).
    let mut cathy = member("cathy@charlie.example/phone");
    let upload = hub.addition(&mut alice, &mut cathy);
    assert!(by_reference(upload.clone()).body().len() < upload.body().len());
    hub.accept(alices(), &by_reference(upload));
    cathy.enter(&hub.notified(CHARLIE)[0]);
    assert_eq!(cathy.epoch(), 3);
}

#[test]
fn r66_only_the_senders_provider_submits_and_of_ours_only_the_device() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let refused = not_allowed("not the sender's provider");
    let alices_commit = alice.propose(Vec::new(), &[], &[]).body();
    let other_device = source_of(&member("alice@alpha.example/laptop").client);
    for source in [provider(BRAVO), provider("alpha.example.org"), other_device, Source::Own] {
        hub.refuses_update(source, alices_commit.clone(), refused);
    }
    let bobs_commit = bob.propose(Vec::new(), &[], &[]).body();
    for source in [alices(), provider("charlie.example")] {
        hub.refuses_update(source, bobs_commit.clone(), refused);
    }
}

#[test]
fn r40_a_client_enters_only_with_its_user_on_the_list() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let packages = hub.claim(&alice.client, &mut [&mut cathy]);
    let refused = not_allowed("a client enters whose user does not take part");
    hub.effects();
    let upload = alice.propose(Vec::new(), &packages, &[]);
    hub.refuses_update(alices(), upload.body(), refused);
    alice.clear_own();
    let banned =
        AppSync { add_users: vec![with_role(&cathy.user(), Role::Banned)], ..AppSync::default() };
    let upload = alice.propose(vec![sync(&banned)], &packages, &[]);
    hub.refuses_update(alices(), upload.body(), refused);
    alice.clear_own();

    // The list first, the client later.
    hub.accept(alices(), &alice.propose(vec![sync(&adds(&cathy.user()))], &[], &[]));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    hub.accept(provider(BRAVO), &bob.propose(Vec::new(), &packages, &[]));
}

#[test]
fn r51_a_key_package_that_was_not_claimed_through_the_hub_is_refused() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    for client in ["cathy@charlie.example/phone", "dave@alpha.example/phone"] {
        let mut entrant = member(client);
        let package = entrant.single_use();
        let upload = alice.propose(vec![sync(&adds(&entrant.user()))], &[package], &[]);
        let why = "a KeyPackage that its provider did not give out through this hub";
        hub.refuses_update(alices(), upload.body(), not_allowed(why));
        alice.clear_own();
    }
}

#[test]
fn r64_a_provider_gives_out_key_packages_of_its_own_users_alone() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let (cathy, mut forged) = (uri("cathy@charlie.example"), member("bob@bravo.example/evil"));
    let package = forged.single_use();
    let before = hub.rows();
    // Charlie answers a claim for cathy with bob's name, outside or inside the KeyPackage.
    let inside = member("cathy@charlie.example/phone").client;
    for client in [&forged.client, &inside] {
        let answer = encode(&claimed(&cathy, &[(client, &package)])).unwrap();
        let body = encode(&claim(&alice.user(), &cathy)).unwrap();
        let endpoint = Endpoint::KeyMaterial { target: cathy.clone() };
        let response =
            hub.request(alices(), endpoint, body, |_| Some(Response::tls(200, answer.clone())));
        assert_eq!(response.status, 502);
    }
    assert_eq!(hub.rows().rows().count(), before.rows().count() + 1, "the directory alone");
    let upload = alice.propose(Vec::new(), &[package], &[]);
    let why = "a KeyPackage that its provider did not give out through this hub";
    hub.refuses_update(alices(), upload.body(), not_allowed(why));
}

#[test]
fn r65_no_client_has_two_leaves() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut twin = member("bob@bravo.example/phone");
    let packages = hub.claim(&alice.client, &mut [&mut twin]);
    let upload = alice.propose(Vec::new(), &packages, &[]);
    hub.refuses_update(alices(), upload.body(), invalid("a client has two leaves"));
}

#[test]
fn r65_the_committer_keeps_its_credential() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let other = alice.user().client("laptop").unwrap();
    let who = credential_with_key(&other, alice.key.public());
    let leaf = LeafNodeParameters::builder().with_credential_with_key(who).build();
    let upload = alice.build(Draft { leaf, ..Draft::default() });
    hub.refuses_update(alices(), upload.body(), invalid("a leaf's credential changes"));
}

#[test]
fn r35_the_list_is_not_removed_and_other_components_do_not_change() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let removal = AppDataUpdateProposal::remove(component::PARTICIPANT_LIST);
    let upload = alice.propose(vec![Proposal::AppDataUpdate(Box::new(removal))], &[], &[]);
    let refused = invalid("the participant list cannot be removed");
    hub.refuses_update(alices(), upload.body(), refused);
    alice.clear_own();
    let other = AppDataUpdateProposal::update(0xF023, vec![1]);
    let upload = alice.propose(vec![Proposal::AppDataUpdate(Box::new(other))], &[], &[]);
    hub.refuses_update(alices(), upload.body(), not_allowed("an update of another component"));
}

/// A commit of alice with one proposal by value; its signature and tags are nonsense.
pub(super) fn commit_of(proposal: &[u8]) -> Vec<u8> {
    let vector = |bytes: &[u8]| VLBytes::from(bytes).tls_serialize_detached().unwrap();
    let sender_leaf_0 = [1, 0, 0, 0, 0];
    let commit = [vector(&[&[1], proposal].concat()), vec![0]].concat();
    [
        &vector(room().as_str().as_bytes())[..],
        &1_u64.to_be_bytes(),
        &sender_leaf_0,
        &vector(&[]),
        &[3],
        &commit,
        &vector(&[0; 64]),
        &vector(&[0; 32]),
        &vector(&[0; 32]),
    ]
    .concat()
}

#[test]
fn r53_a_commit_carries_no_reinit() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    // Group id, version, cipher suite, extensions.
    let reinit = commit_of(&[0, 5, 1, b'x', 0, 1, 0, 1, 0]);
    let upload = Upload { message: reinit, ..alice.propose(Vec::new(), &[], &[]) };
    hub.refuses_update(alices(), upload.body(), invalid("a proposal type"));
    // A proposal type that may be there comes as far as the signature.
    let removal = Upload { message: commit_of(&[0, 3, 0, 0, 0, 1]), ..upload };
    hub.refuses_update(alices(), removal.body(), invalid("MLS refuses the message"));
}

#[test]
fn r46_a_welcome_comes_iff_somebody_is_added() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let upload = hub.addition(&mut alice, &mut cathy);
    let without = Upload { welcome: None, ..upload.clone() };
    hub.refuses_update(alices(), without.body(), invalid("a Welcome is missing"));
    alice.clear_own();
    let nobody = Upload { welcome: upload.welcome, ..alice.propose(Vec::new(), &[], &[]) };
    hub.refuses_update(alices(), nobody.body(), invalid("a Welcome for nobody"));
}

#[test]
fn r46_the_group_info_carries_no_tree() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let draft = Draft { group_info: GroupInfoTree::Inside, ..Draft::default() };
    let upload = alice.build(draft);
    let refused = invalid("the GroupInfo carries a ratchet tree");
    hub.refuses_update(alices(), upload.body(), refused);
}

#[test]
fn r50_the_group_info_carries_external_pub_and_nothing_else() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let upload = alice.propose(Vec::new(), &[], &[]);
    let group_info = crate::create::with_another_extension(&upload.group_info);
    let changed = Upload { group_info, ..upload };
    let refused = invalid("the GroupInfo carries another extension");
    hub.refuses_update(alices(), changed.body(), refused);
}

/// Changes the first EncryptedGroupSecrets of a Welcome.
fn change_secrets(welcome: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (suite, rest) = welcome.split_at(2);
    let (secrets, rest) = VLBytes::tls_deserialize_bytes(rest).unwrap();
    let mut secrets: Vec<u8> = secrets.into();
    change(&mut secrets);
    let secrets = VLBytes::from(secrets).tls_serialize_detached().unwrap();
    [suite, &secrets, rest].concat()
}

#[test]
fn r52_the_welcome_is_for_exactly_those_who_are_added() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let mut laptop = member("cathy@charlie.example/laptop");
    let packages = hub.claim(&alice.client, &mut [&mut cathy, &mut laptop]);
    let upload = alice.propose(vec![sync(&adds(&cathy.user()))], &packages, &[]);
    let refused = invalid("the Welcome is not for those who are added");
    let welcome = upload.welcome.clone().unwrap();
    // Two of the same size: one gone, one twice, one more, another one.
    for change in [
        (|secrets: &mut Vec<u8>| secrets.truncate(secrets.len() / 2)) as fn(&mut Vec<u8>),
        |secrets| {
            let half = secrets.len() / 2;
            secrets.copy_within(..half, half);
        },
        |secrets| secrets.extend_from_within(..secrets.len() / 2),
        |secrets| secrets[1] ^= 1,
    ] {
        let welcome = Some(change_secrets(&welcome, change));
        let changed = Upload { welcome, ..upload.clone() };
        hub.refuses_update(alices(), changed.body(), refused);
    }
    hub.accept(alices(), &upload);
}

#[test]
fn r50_the_group_info_is_of_this_commit() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let other = alice.propose(Vec::new(), &[], &[]);
    alice.clear_own();
    let upload = alice.propose(Vec::new(), &[], &[]);
    let refused = invalid("the GroupInfo is not of this commit");

    let another = Upload { group_info: other.group_info.clone(), ..upload.clone() };
    hub.refuses_update(alices(), another.body(), refused);

    // Nothing but the GroupInfo protects the confirmation tag in transit.
    let mut flipped_tag = upload.clone();
    let at = flipped_tag.message.len() - 33 - 1;
    flipped_tag.message[at] ^= 1;
    hub.refuses_update(alices(), flipped_tag.body(), refused);

    let mut flipped = upload.clone();
    *flipped.group_info.last_mut().unwrap() ^= 1;
    hub.refuses_update(alices(), flipped.body(), invalid("the GroupInfo's signature"));
    hub.accept(alices(), &upload);
}

#[test]
fn r50_the_tree_is_the_one_after_the_commit() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let other = alice.propose(Vec::new(), &[], &[]);
    alice.clear_own();
    let upload = alice.propose(Vec::new(), &[], &[]);
    let another = Upload { tree: other.tree, ..upload.clone() };
    let refused = invalid("the ratchet tree is not the one after the commit");
    hub.refuses_update(alices(), another.body(), refused);
    // What the hub merged before it saw the tree is gone.
    hub.accept(alices(), &upload);
}

#[test]
fn r38_app_syncs_that_are_not_valid_are_refused() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let (bob, cathy) = (uri("bob@bravo.example"), uri("cathy@charlie.example"));
    let role = |roles: &[Role]| UserRoles { user: cathy.to_wire(), roles: roles.to_vec() };
    let adding = |entry: UserRoles| AppSync { add_users: vec![entry], ..AppSync::default() };
    let twice = AppSync { remove_users: vec![bob.to_wire()], ..bans(&bob) };
    let cases = [
        (adds(&bob), "an added user is on the list"),
        (removes(&cathy), "a user is not on the list"),
        (bans(&cathy), "a user is not on the list"),
        (twice, "a user is named twice"),
        (adding(role(&[])), "no role"),
        (adding(role(&[Role::Admin, Role::Admin])), "a role stands twice"),
        (adding(role(&[Role::Banned, Role::Admin])), "banned stands with other roles"),
        (AppSync::default(), "an AppSync is empty"),
    ];
    for (app_sync, why) in cases {
        let upload = alice.propose(vec![sync(&app_sync)], &[], &[]);
        hub.refuses_update(alices(), upload.body(), invalid(why));
        alice.clear_own();
    }
    // Valid one by one, not together.
    let upload = alice.propose(vec![sync(&bans(&bob)), sync(&removes(&bob))], &[], &[]);
    hub.refuses_update(alices(), upload.body(), invalid("a user is named twice"));
}

#[test]
fn r39_the_hub_and_members_come_to_the_same_list() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let (cathy, dave) = (uri("cathy@charlie.example"), uri("dave@alpha.example"));
    let app_syncs =
        [sync(&adds(&cathy)), sync(&AppSync { ..removes(&bob.user()) }), sync(&adds(&dave))];
    let upload = alice.propose(app_syncs.to_vec(), &[], &[]);
    hub.accept(alices(), &upload);
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    assert_eq!(alice.list(), bob.list());
    let users: Vec<_> = alice.list().participants.into_iter().map(|entry| entry.user.0).collect();
    assert_eq!(users, ["alice@alpha.example", "cathy@charlie.example", "dave@alpha.example"]);
}

/// The committer's group has another list than its AppSync makes: so has its GroupInfo.
#[test]
fn r44_the_hub_applies_the_app_sync_itself() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let cathy = uri("cathy@charlie.example");
    let upload = alice.propose_lying(&adds(&cathy));
    let refused = invalid("the GroupInfo is not of this commit");
    hub.refuses_update(alices(), upload.body(), refused);
}

#[test]
fn r36_the_policy_may_change_and_no_other_extension() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut extensions = alice.extensions();
    extensions.add(Extension::Unknown(0xF0A7, UnknownExtension(vec![1, 0]))).unwrap();
    let draft = Draft { extensions: Some(extensions.clone()), ..Draft::default() };
    hub.accept(alices(), &alice.build(draft));
    alice.merge_own();
    bob.process(&hub.notified(BRAVO)[0]);
    assert_eq!(bob.extensions(), extensions);
    hub.effects();

    let mut without_hub = extensions.clone();
    without_hub.remove(ExtensionType::ExternalSenders).unwrap();
    let draft = Draft { extensions: Some(without_hub), ..Draft::default() };
    let refused = not_allowed("only the policy may change this way");
    hub.refuses_update(alices(), alice.build(draft).body(), refused);
    alice.clear_own();

    let mut nonsense = extensions;
    nonsense.add_or_replace(Extension::Unknown(0xF0A7, UnknownExtension(vec![2, 0]))).unwrap();
    let draft = Draft { extensions: Some(nonsense), ..Draft::default() };
    hub.refuses_update(alices(), alice.build(draft).body(), invalid("the room's policy"));
}

#[test]
fn r45_a_banned_or_removed_user_with_a_leaf_commits_nothing() {
    for change in [bans, removes] {
        let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
        hub.accept(alices(), &alice.propose(vec![sync(&change(&bob.user()))], &[], &[]));
        // R83: its provider still gets the commit.
        bob.process(&hub.notified(BRAVO)[0]);
        hub.effects();
        let upload = bob.propose(vec![sync(&removes(&uri("alice@alpha.example")))], &[], &[]);
        let refused = not_allowed("only participants commit");
        hub.refuses_update(provider(BRAVO), upload.body(), refused);
    }
}

#[test]
fn r42_a_removed_user_is_out_and_may_come_back() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let removal = alice.propose(vec![sync(&removes(&bob.user()))], &[], &[&bob.client]);
    hub.accept(alices(), &removal);
    alice.merge_own();
    assert_eq!(hub.notified(BRAVO).len(), 1, "R83: the commit that removes them");
    let mut again = member("bob@bravo.example/phone");
    hub.add(&mut alice, &mut again);
    assert_eq!((alice.epoch(), again.epoch()), (3, 3));
}

#[test]
fn r9_every_leaf_is_of_a_user_on_the_list() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let mut laptop = member("bob@bravo.example/laptop");
    let packages = hub.claim(&alice.client, &mut [&mut laptop]);
    hub.effects();
    // The list loses bob in the commit that adds a client of his.
    let upload = alice.propose(vec![sync(&removes(&bob.user()))], &packages, &[&bob.client]);
    let refused = not_allowed("a client enters whose user does not take part");
    hub.refuses_update(alices(), upload.body(), refused);
}

#[test]
fn r16_own_devices_enter_by_the_same_rules() {
    let (mut hub, mut alice) = Hub::with_alice();
    let mut laptop = member("alice@alpha.example/laptop");
    let packages = hub.claim(&alice.client, &mut [&mut laptop]);
    let upload = alice.propose(Vec::new(), &packages, &[]);
    hub.accept(alices(), &upload);
    let sent = hub.deliver();
    let [Sent::Call(_)] = &sent[..] else { panic!("{sent:?}") };
    laptop.enter(&sent[0].welcome_for(&laptop.client).unwrap());
    assert_eq!(laptop.epoch(), 1);
}

#[test]
fn r54_a_commit_that_refers_to_what_does_not_wait_gets_401_and_what_does() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let proposal = bob.removal(&bob.client.clone());
    alice.receive_proposal(&proposal);
    hub.pending(alices(), &alice.propose(Vec::new(), &[], &[]), &[]);
}

#[test]
fn r49_what_is_not_valid_is_invalid_and_what_is_not_permitted_is_not_allowed() {
    let (mut hub, mut alice, bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/phone");
    let packages = hub.claim(&alice.client, &mut [&mut cathy]);
    hub.effects();
    // An AppSync that does not fit to the list, beside an Add that would be permitted.
    let both = vec![sync(&adds(&cathy.user())), sync(&adds(&bob.user()))];
    let upload = alice.propose(both, &packages, &[]);
    hub.refuses_update(alices(), upload.body(), invalid("an added user is on the list"));
    alice.clear_own();
    // An Add that is valid in MLS, of a user who does not take part.
    let upload = alice.propose(Vec::new(), &packages, &[]);
    let why = "a client enters whose user does not take part";
    hub.refuses_update(alices(), upload.body(), not_allowed(why));
    alice.clear_own();
    // A removal is anybody's right (R43).
    let removal = alice.propose(vec![sync(&removes(&bob.user()))], &[], &[&bob.client]);
    hub.accept(alices(), &removal);
}

#[test]
fn r61_the_response_codes_are_the_drafts_numbers() {
    let (mut hub, mut alice, _) = Hub::with_alice_and_bob();
    let mut answer = |source: Source, body: Vec<u8>| {
        let response = hub.update(source, body);
        let [code, length, description @ ..] = &response.body[..] else { panic!("{response:?}") };
        assert_eq!(usize::from(*length), description.len());
        (response.status, *code)
    };
    let upload = alice.propose(Vec::new(), &[], &[]);
    let mut broken = upload.clone();
    flip_signature(&mut broken.message);
    assert_eq!(answer(alices(), broken.body()), (422, 4));
    assert_eq!(answer(provider(BRAVO), upload.body()), (403, 2));
    assert_eq!(answer(alices(), upload.body()), (200, 0));
    assert_eq!(answer(alices(), broken.body()), (409, 1));
}

#[test]
fn d18_a_commit_that_makes_the_list_longer_than_allowed_is_refused() {
    let mut hub = Hub::new();
    hub.limit(Limits { participants_per_room: 2, ..Limits::default() });
    let mut alice = member("alice@alpha.example/phone");
    let body = encode(&alice.creation(Some(hub.external_sender()))).unwrap();
    assert_eq!(hub.create(source_of(&alice.client), body).status, 201);
    let mut bob = member("bob@bravo.example/phone");
    hub.add(&mut alice, &mut bob);
    let upload = hub.addition(&mut alice, &mut member("cathy@charlie.example/phone"));
    let response = hub.update(source_of(&alice.client), upload.body());
    assert_eq!(response.status, 403);
    assert_eq!(response.body, update_response(Code::NotAllowed, "too many participants"));
}
